import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.example_models import save_examples
from zoo.serving.examples import classify, from_json, regress
from zoo.serving.models import Models
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError
from zoo.serving.warmup import FILE, replay

TARGET = ("examples", None, None)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    folder = tmp_path_factory.mktemp("examples_models")
    save_examples(folder / "examples")
    models = Models(folder, Servable)
    models.start()
    yield models
    models.stop()


def ask(models: Models, request: Any, api: Any = classify) -> Any:
    return json.loads(api(models, TARGET, json.dumps(request).encode()))["results"]


def complaint(models: Models, request: Any, api: Any = classify) -> str:
    with pytest.raises(RequestError) as caught:
        ask(models, request, api)
    return str(caught.value)


def test_a_classification_is_servings_byte_for_byte(models: Models) -> None:
    body = b'{"examples": [{"x": 0.25}, {"x": 0.5, "word": "er \\"\xc3\xbc\\""}]}'
    wanted = (
        b'{\n    "results": [[["low", 0.75], ["high", 0.25]], [["low", 0.5], ["higher \\"\xc3\xbc\\"", 0.5]]\n    ]\n}'
    )
    assert classify(models, TARGET, body) == wanted


def test_a_regression_is_servings_byte_for_byte(models: Models) -> None:
    body = b'{"signature_name": "double", "examples": [{"x": [0.25]}, {"n": 3}]}'
    assert regress(models, ("examples", 3, None), body) == b'{\n    "results": [0.5, 3.0]\n}'
    request = {"signature_name": "double_column", "examples": [{"x": 0.1}]}
    assert ask(models, request, regress) == [0.2]


def test_every_kind_of_value_becomes_a_feature(models: Models) -> None:
    rows = [{"n": True}, {"n": False}, {"n": [7]}, {"x": 1.5, "n": -(2**20)}, {}]
    assert ask(models, {"signature_name": "double", "examples": rows}, regress) == [1.0, 0.0, 7.0, -1048573.0, 0.0]
    rows = [{"word": {"b64": "w7w="}}, {"word": ["s"]}, {"word": []}]
    answers = ask(models, {"signature_name": "labels", "examples": rows})
    assert answers == [[["low", 0.0], [f"high{end}", 0.0]] for end in ("ü", "s", "")]


def test_bytes_and_wide_numbers_are_kept() -> None:
    from tensorflow.core.example.example_pb2 import Example

    request = {"examples": [{"a": [1.5, 1e300, -1e300], "b": [{"b64": "/wA="}, "\udcff"], "c": [2**64, 10**400]}]}
    name, (raw,) = from_json(request)
    feature = Example.FromString(raw).features.feature
    assert name == "serving_default"
    assert list(feature["a"].float_list.value) == [1.5, float("inf"), float("-inf")]
    assert list(feature["b"].bytes_list.value) == [b"\xff\x00", b"\xff"]
    assert list(feature["c"].float_list.value) == [float(2**64), float("inf")]


def test_the_context_counts_for_every_example_that_does_not_say_otherwise(models: Models) -> None:
    request = {"signature_name": "double", "context": {"x": 0.5, "n": 1}, "examples": [{}, {"x": 1.0}, {"n": 5}]}
    assert ask(models, request, regress) == [2.0, 3.0, 6.0]


def test_scores_and_labels_may_come_alone(models: Models) -> None:
    assert ask(models, {"signature_name": "scores", "examples": [{"x": 0.25}]}) == [[["", 0.75], ["", 0.25]]]
    assert ask(models, {"signature_name": "labels", "examples": [{}]}) == [[["low", 0.0], ["high", 0.0]]]


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ({"instances": [1]}, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": {"x": 1}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [True]}, "Example must be JSON object but got JSON True"),
        ({"examples": [{}], "context": []}, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"y": 1}}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1, 2.0]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": [2.0, True]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": ["a", 1]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has uint64 element. Only int64 is supported."),
        ({"examples": [{"x": {"b64": "?"}}]}, "Unable to base64 decode"),
        ({"examples": [{}], "signature_name": 1}, "'signature_name' key must be a string value."),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_servings_words(models: Models, request_: Any, wanted: str) -> None:
    for api in (classify, regress):
        text = complaint(models, request_, api)
        assert text.startswith("INVALID_ARGUMENT: ") and text.endswith(wanted)
    if "examples" not in request_ or not isinstance(request_["examples"], list):
        assert complaint(models, request_).startswith("INVALID_ARGUMENT: JSON Value: {\n")


@pytest.mark.parametrize(
    ("signature", "wanted"),
    [
        ("none", "INVALID_ARGUMENT: No signature was found with the name: none"),
        ("two_inputs", "INVALID_ARGUMENT: Expected one input Tensor."),
        ("three", "INVALID_ARGUMENT: Expected one or two output Tensors, found 3"),
        ("misnamed", "FAILED_PRECONDITION: No classification inputs found in SignatureDef: inputs {"),
        (
            "double",
            "FAILED_PRECONDITION: Expected classification signature outputs to contain at least one of "
            + '"classes" or "scores". Signature was: inputs {',
        ),
        ("flat", "INVALID_ARGUMENT: Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("numbers", "INVALID_ARGUMENT: Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("short", "INVALID_ARGUMENT: Expected scores output batch size of 2. Got: 1"),
        ("uneven", "INVALID_ARGUMENT: Tensors class and score should match in dim_size(1). Got 2 vs. 1"),
    ],
)
def test_a_signature_that_cannot_classify_is_refused(models: Models, signature: str, wanted: str) -> None:
    assert complaint(models, {"signature_name": signature, "examples": [{}, {}]}).startswith(wanted)


@pytest.mark.parametrize(
    ("signature", "wanted"),
    [
        ("none", "INVALID_ARGUMENT: No signature was found with the name: none"),
        ("two_inputs", "INVALID_ARGUMENT: Expected one input Tensor."),
        ("serving_default", "INVALID_ARGUMENT: Expected one output Tensor."),
        ("misnamed", "FAILED_PRECONDITION: No regression inputs found in SignatureDef: inputs {"),
        ("misnamed_output", "FAILED_PRECONDITION: No regression outputs found in SignatureDef: inputs {"),
        (
            "square",
            "INVALID_ARGUMENT: Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
        ),
        ("cut", "INVALID_ARGUMENT: Input batch size did not match output batch size: 2 vs. 1"),
        ("whole", "INVALID_ARGUMENT: Expected output Tensor of DT_FLOAT.  Got: DT_INT32"),
    ],
)
def test_a_signature_that_cannot_regress_is_refused(models: Models, signature: str, wanted: str) -> None:
    assert complaint(models, {"signature_name": signature, "examples": [{}, {}]}, regress).startswith(wanted)


def test_an_unknown_model_is_found_out_after_the_request_is_read(models: Models) -> None:
    with pytest.raises(RequestError, match="Servable not found for request: Latest\\(none\\)") as caught:
        classify(models, ("none", None, None), b'{"examples": [{}]}')
    assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(RequestError, match="Example must be"):
        classify(models, ("none", None, None), b'{"examples": [0]}')


@pytest.mark.parametrize("signature", ["", "none"])
def test_warm_up_replays_requests_with_examples(models: Models, tmp_path: Path, signature: str) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    with models.use("examples") as served:
        shutil.copytree(served.path, tmp_path / "3")
    (tmp_path / "3" / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "3" / FILE)) as writer:
        for kind, name in (("classify_log", signature), ("regress_log", "double"), ("multi_inference_log", "double")):
            log = PredictionLog()
            request = getattr(log, kind).request
            request.input.example_list.examples.add()
            if kind == "multi_inference_log":
                request.tasks.add(method_name="tensorflow/serving/regress")
            spec = request.tasks[0].model_spec if kind == "multi_inference_log" else request.model_spec
            spec.name, spec.signature_name = "examples", name
            writer.write(log.SerializeToString())
    servable = Servable(tmp_path / "3", "examples", 3)
    if signature:
        with pytest.raises(RequestError, match="No signature was found with the name: none"):
            replay(servable)
    else:
        assert replay(servable) == 3
    servable.close()
