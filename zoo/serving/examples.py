"""Classify and regress: signatures that take serialized tf.Examples, for REST and gRPC alike.

The rules and texts are those of TensorFlow Serving's classifier.cc, regressor.cc and util.cc; the JSON is that of its
util/json_tensor.cc. What a signature may be asked for is decided by its names: `inputs`, and `classes` or `scores` to
classify, `outputs` to regress. (Serving also compares the signature's method name where it is started with
--enable_signature_method_name_check, which it is not by default.)
"""

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Protocol

import numpy as np

from zoo.serving.json_reply import decimals
from zoo.serving.json_tensor import Arrays, base64_bytes, is_base64, signature_name, type_name
from zoo.serving.json_text import parse, quote, utf8
from zoo.serving.status import Code, RequestError, invalid
from zoo.serving.tensor_proto import data_type

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


class Runs(Protocol):
    """What is asked of a servable here."""

    @property
    def signatures(self) -> Mapping[str, Any]:
        """Its signatures by name."""

    def signature_defs(self) -> dict[str, Any]:
        """The same as the JSON of their protos."""

    def run(self, signature: str, inputs: Arrays, outputs: Sequence[str] = ()) -> Arrays:
        """Calls one of them."""


# ---- REST


def classify(models: Any, target: Sequence[Any], body: bytes) -> bytes:
    """Answers a classify request of the REST API.

    Args:
        models: a `zoo.serving.models.Models`.
        target: what its `use` takes: name, version or None, label or None.
        body: the request's JSON.
    Returns: `results`, for each example a list of [label, score] of each class.
    Raises: RequestError with Serving's code and text.
    """
    signature, examples = from_json(parse(body))
    with models.use(*target) as servable:
        labels, scores = run_classify(servable, signature, examples)
    texts = iter(decimals(scores.reshape(-1)))
    rows = (", ".join(f"[{_quoted(label)}, {next(texts)}]" for label in row) for row in labels)
    return utf8(f'{{\n    "results": [{", ".join(f"[{row}]" for row in rows)}\n    ]\n}}')


def regress(models: Any, target: Sequence[Any], body: bytes) -> bytes:
    """Answers a regress request of the REST API: `results`, a number for each example. Else as `classify`."""
    signature, examples = from_json(parse(body))
    with models.use(*target) as servable:
        values = run_regress(servable, signature, examples)
    return utf8(f'{{\n    "results": [{", ".join(decimals(values))}]\n}}')


def from_json(request: Mapping[str, Any]) -> tuple[str, list[bytes]]:
    """The signature's name and the serialized tf.Examples of a request, each with the context before it.

    Raises: RequestError with Serving's code and text.
    """
    signature = signature_name(request)
    context = _example(request["context"]) if "context" in request else b""
    if "examples" not in request:
        problem = "When method is classify, key 'examples' is expected and was not found"
    elif type(request["examples"]) is not list:
        problem = "Expecting 'examples' value to be an list/array"
    elif not request["examples"]:
        problem = "'examples' value is an empty array"
    else:
        return signature, [context + _example(each) for each in request["examples"]]
    raise invalid(f"JSON Value: {quote(request)} {problem}")


def _example(value: Any) -> bytes:
    if type(value) is not dict:
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    from tensorflow.core.example.example_pb2 import Example

    example = Example()
    for name, content in value.items():
        values = content if type(content) is list else [content]
        try:
            feature = example.features.feature[name]
        except UnicodeEncodeError:
            raise invalid(f"Feature: {quote(name)} has a name that is not UTF-8") from None
        for each in values:
            _add(feature, name, each)
    return example.SerializeToString()


def _add(feature: Any, name: str, value: Any) -> None:
    """Adds a JSON value to a feature; the first one decides on the feature's type."""
    kind, stored = _typed(name, value)
    found = feature.WhichOneof("kind")
    if found not in (None, f"{kind}_list"):
        text = f"Unexpected element type in feature: {name} expecting type: {found.removesuffix('_list')}"
        raise invalid(text)
    getattr(feature, f"{kind}_list").value.append(stored)


def _typed(name: str, value: Any) -> tuple[str, Any]:
    """A JSON value as a tf.Example holds it: the type of its feature ("int64", "float", "bytes"), and the value."""
    if type(value) is str:
        return "bytes", utf8(value)
    if type(value) is bool or (type(value) is int and value in _INT64):
        return "int64", int(value)
    if type(value) is int and value in _UINT64:
        raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
    if type(value) in (int, float):  # an integer beyond 64 bits is read as a double
        try:
            number = float(value)
        except OverflowError:
            number = float("inf") if value > 0 else float("-inf")
        with np.errstate(over="ignore"):
            return "float", float(np.float32(number))
    if type(value) is dict and is_base64(value):
        return "bytes", base64_bytes(value)
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _quoted(label: bytes) -> str:
    return encode_basestring(label.decode("utf-8", "surrogateescape"))


# ---- the model's part


def run_classify(servable: Runs, signature: str, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Asks a signature for the classes of examples.

    Args:
        servable: a version of a model.
        signature: its signature's name.
        examples: N serialized tf.Examples.
    Returns: labels [N, C] of bytes (b"" where the signature has no `classes`) and scores [N, C] float32 (0 where it
        has no `scores`).
    Raises: RequestError with Serving's code and text.
    """
    wanted = classify_outputs(servable, signature)
    answer = servable.run(signature, {"inputs": _batch(examples)}, wanted)
    for name, dtype in (("classes", "string"), ("scores", "float")):
        if name in answer:
            _check_class_output(name, answer[name], dtype, len(examples))
    shape = answer[wanted[0]].shape
    labels = answer.get("classes", np.full(shape, b"", object))
    scores = answer.get("scores", np.zeros(shape, np.float32))
    if labels.shape != scores.shape:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {labels.shape[1]} vs. {scores.shape[1]}"
        )
    return labels, scores


def run_regress(servable: Runs, signature: str, examples: Sequence[bytes]) -> np.ndarray:
    """Asks a signature for a number for each of N examples: [N] float32. Else as `run_classify`."""
    regress_outputs(servable, signature)
    values = servable.run(signature, {"inputs": _batch(examples)}, ["outputs"])["outputs"]
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " + _shape(values)
        )
    if len(values) != len(examples):
        raise invalid(f"Input batch size did not match output batch size: {len(examples)} vs. {len(values)}")
    if values.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_type(values)}")
    return values.reshape(-1)


def classify_outputs(servable: Runs, signature: str) -> list[str]:
    """The outputs of a signature that classifies: `classes`, `scores` or both.

    Raises: RequestError where it does not classify.
    """
    found = _signature(servable, signature)
    if len(found.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(found.fetches) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(found.fetches)}")
    if "inputs" not in found.inputs:
        raise _unfit(servable, signature, "No classification inputs found in SignatureDef: ")
    outputs = [name for name in ("classes", "scores") if name in found.fetches]
    if not outputs:
        wish = 'Expected classification signature outputs to contain at least one of "classes" or "scores". '
        raise _unfit(servable, signature, f"{wish}Signature was: ")
    return outputs


def regress_outputs(servable: Runs, signature: str) -> list[str]:
    """The outputs of a signature that regresses: `outputs`.

    Raises: RequestError where it does not regress.
    """
    found = _signature(servable, signature)
    if len(found.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(found.fetches) != 1:
        raise invalid("Expected one output Tensor.")
    for name, kind, names in (("inputs", "inputs", found.inputs), ("outputs", "outputs", found.fetches)):
        if name not in names:
            raise _unfit(servable, signature, f"No regression {kind} found in SignatureDef: ")
    return ["outputs"]


def _signature(servable: Runs, name: str) -> Any:
    if name not in servable.signatures:
        raise invalid(f"No signature was found with the name: {name}")
    return servable.signatures[name]


def _unfit(servable: Runs, signature: str, problem: str) -> RequestError:
    from google.protobuf.json_format import ParseDict
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

    shown = ParseDict(servable.signature_defs()[signature], SignatureDef())
    return RequestError(Code.FAILED_PRECONDITION, f"{problem}{shown}")


def _batch(examples: Sequence[bytes]) -> np.ndarray:
    if not examples:
        raise invalid("Input is empty.")
    array = np.empty(len(examples), object)
    array[:] = examples
    return array


def _check_class_output(name: str, array: np.ndarray, dtype: str, examples: int) -> None:
    if array.ndim != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
    if data_type(array) != dtype:
        raise invalid(f"Expected {name} Tensor of DT_{dtype.upper()}. Got: {_type(array)}")
    if len(array) != examples:
        raise invalid(f"Expected {name} output batch size of {examples}. Got: {len(array)}")


def _shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _type(array: np.ndarray) -> str:
    return f"DT_{data_type(array).upper()}"
