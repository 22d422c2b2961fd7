"""Answers to the requests of TensorFlow Serving's PredictionService by a version that is loaded: proto in, proto out.

Used by the gRPC server and by whoever replays such requests. The order of the checks and the texts are those of
Serving's predict_util.cc, classifier.cc, regressor.cc and multi_inference.cc.
"""

from collections.abc import Callable, Sequence
from typing import Any

from zoo.serving import examples
from zoo.serving.examples import Runs
from zoo.serving.status import Code, RequestError, invalid
from zoo.serving.tensor_proto import fill, to_array

_DEFAULT = "serving_default"


def predict(servable: Any, request: Any) -> Any:
    """PredictRequest -> PredictResponse.

    Raises: RequestError with Serving's code and text.
    """
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    name = request.model_spec.signature_name or _DEFAULT
    inputs = {}
    for alias, tensor in request.inputs.items():
        try:
            inputs[alias] = to_array(tensor)
        except ValueError:
            raise invalid(f"tensor parsing error: {alias}") from None
    wanted = list(request.output_filter)
    _refuse_duplicates(servable, name, wanted)
    response = PredictResponse()
    for alias, array in servable.run(name, inputs, wanted).items():
        fill(response.outputs[alias], array)
    _name(response.model_spec, servable, name)
    return response


def classify(servable: Any, request: Any) -> Any:
    """ClassificationRequest -> ClassificationResponse. Raises as `predict` does."""
    from tensorflow_serving.apis.classification_pb2 import ClassificationResponse

    response = ClassificationResponse()
    _classify(servable, request.model_spec, _serialized(request.input), response.result)
    _name(response.model_spec, servable, request.model_spec.signature_name or _DEFAULT)
    return response


def regress(servable: Any, request: Any) -> Any:
    """RegressionRequest -> RegressionResponse. Raises as `predict` does."""
    from tensorflow_serving.apis.regression_pb2 import RegressionResponse

    response = RegressionResponse()
    _regress(servable, request.model_spec, _serialized(request.input), response.result)
    _name(response.model_spec, servable, request.model_spec.signature_name or _DEFAULT)
    return response


def multi_inference(servable: Any, request: Any) -> Any:
    """MultiInferenceRequest -> MultiInferenceResponse: several signatures asked about the same examples.

    Serving asks them in one run of the graph; here each has its own.

    Raises: RequestError as `predict` does.
    """
    from tensorflow_serving.apis.inference_pb2 import MultiInferenceResponse

    _check_tasks(servable, request.tasks)
    batch = _serialized(request.input)
    response = MultiInferenceResponse()
    for task in request.tasks:
        result = response.results.add()
        answer, _, field = _METHODS[task.method_name]
        answer(servable, task.model_spec, batch, getattr(result, field))
        _name(result.model_spec, servable, task.model_spec.signature_name or _DEFAULT)
    return response


def metadata(servable: Any) -> Any:
    """GetModelMetadataResponse with the signatures of a version."""
    from google.protobuf.json_format import ParseDict
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap

    response = GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    signatures = ParseDict({"signature_def": servable.signature_defs()}, SignatureDefMap())
    response.metadata["signature_def"].Pack(signatures)
    return response


def check_metadata_fields(request: Any) -> None:
    """Refuses a GetModelMetadataRequest that asks for something else than the signatures."""
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")


def _name(spec: Any, servable: Any, signature: str) -> None:
    """Says which model, version and signature answered."""
    spec.name, spec.signature_name = servable.name, signature
    spec.version.value = servable.version


def _refuse_duplicates(servable: Runs, signature: str, wanted: Sequence[str]) -> None:
    if len(wanted) < 2 or signature not in servable.signatures:
        return
    for index, alias in enumerate(wanted):
        if alias not in servable.signatures[signature].fetches:
            return  # a complaint that comes before the one about a duplicate, and that the run makes
        if alias in wanted[:index]:
            raise invalid(f"duplicate output tensor alias: {alias}")


def _serialized(inputs: Any) -> list[bytes]:
    """The examples of an Input, each with the context before it, as bytes; concatenating merges such messages."""
    if inputs.WhichOneof("kind") == "example_list_with_context":
        listed = inputs.example_list_with_context
        context = listed.context.SerializeToString()
        return [context + each.SerializeToString() for each in listed.examples]
    return [each.SerializeToString() for each in inputs.example_list.examples]


def _classify(servable: Runs, spec: Any, batch: list[bytes], result: Any) -> None:
    labels, scores = examples.run_classify(servable, spec.signature_name or _DEFAULT, batch)
    for row in zip(labels.tolist(), scores.tolist(), strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(*row, strict=True):
            classes.add(label=label.decode("utf-8", "replace"), score=score)


def _regress(servable: Runs, spec: Any, batch: list[bytes], result: Any) -> None:
    for value in examples.run_regress(servable, spec.signature_name or _DEFAULT, batch).tolist():
        result.regressions.add(value=value)


# Method name of a task -> how it is answered, how its signature is checked, the field of its result.
_METHODS: dict[str, tuple[Callable[..., None], Callable[[Runs, str], list[str]], str]] = {
    "tensorflow/serving/classify": (_classify, examples.classify_outputs, "classification_result"),
    "tensorflow/serving/regress": (_regress, examples.regress_outputs, "regression_result"),
}


def _check_tasks(servable: Runs, tasks: Sequence[Any]) -> None:
    """Refuses tasks that are not for one model and one input tensor, and signatures that do not fit their method."""
    seen: set[str] = set()
    feeds = set()
    for task in tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != tasks[0].model_spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or _DEFAULT
        if name in seen:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in servable.signatures:
            raise invalid(f"Requested signature not found in model graph: {name}")
        if task.method_name not in _METHODS:
            raise RequestError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        _METHODS[task.method_name][1](servable, name)
        feeds.add(servable.signatures[name].feeds["inputs"])
        if len(feeds) > 1:
            raise invalid("Input tensor must be the same for all Signatures.")
