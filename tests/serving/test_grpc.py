"""The gRPC API, asked by TensorFlow Serving's own client library."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.serving.example_models import save_examples
from zoo.errors import UserError
from zoo.serving.grpc_server import GrpcOptions, GrpcServer, start_grpc
from zoo.serving.models import Models
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError


@pytest.fixture(scope="module")
def models(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    folder = tmp_path_factory.mktemp("grpc_models")
    for name in ("upper", "kinds"):
        shutil.copytree(saved / name, folder / name)
    save_examples(folder / "examples")
    models = Models(folder, Servable)
    models.start()
    yield models
    models.stop()


SEEN: list[tuple[str, str, Code]] = []


@pytest.fixture(scope="module")
def server(models: Models) -> Iterator[GrpcServer]:
    options = GrpcOptions(
        enable_grpc_healthcheck_service=True, observe=lambda model, api, code, seconds: SEEN.append((model, api, code))
    )
    running = start_grpc(models, "127.0.0.1", 0, options)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def channel(server: GrpcServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Any:
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    return PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def management(channel: grpc.Channel) -> Any:
    from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub

    return ModelServiceStub(channel)


def predict_request(model: str, signature: str = "", filtered: tuple[str, ...] = (), **inputs: Any) -> Any:
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    request.output_filter.extend(filtered)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def arrays(response: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.make_ndarray(tensor).tolist() for name, tensor in response.outputs.items()}


def failure(call: Callable[..., Any], request: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **options)
    return caught.value.code().name, caught.value.details()


# ---- Predict


def test_a_prediction_says_who_answered(stub: Any) -> None:
    response = stub.Predict(predict_request("upper", text=["a", "ü"]))
    assert arrays(response) == {"text": [b"A", "ü".encode()]}
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("upper", 1, "serving_default")
    assert ("upper", "Predict", Code.OK) in SEEN


def test_an_output_filter_chooses(stub: Any) -> None:
    request = predict_request("upper", "measured", ("length", "raw_bytes"), text=[b"\xff\x00"])
    assert arrays(stub.Predict(request)) == {"length": [2], "raw_bytes": [b"\xff\x00"]}
    assert set(arrays(stub.Predict(predict_request("upper", "measured", text=["a"])))) == {
        "length",
        "raw_bytes",
        "text",
    }


def test_values_come_in_the_fields_that_clients_of_serving_read(stub: Any) -> None:
    output = stub.Predict(predict_request("kinds", x=np.array([1, 3], np.float32))).outputs["y"]
    assert list(output.float_val) == [0.5, 1.5] and output.tensor_content == b""
    assert [dim.size for dim in output.tensor_shape.dim] == [2]


@pytest.mark.parametrize("shape", [(), (2,), (0,), (2, 0, 3), (2, 1, 2)])
def test_every_kind_of_value_goes_through_a_model(stub: Any, shape: tuple[int, ...]) -> None:
    numbers = ("float64", "int8", "uint8", "int16", "int32", "int64", "uint32", "uint64", "float32", "bool")
    sent: dict[str, Any] = {}
    for name in numbers:
        most = 1 if name == "bool" else np.finfo(name).max if "float" in name else np.iinfo(name).max
        sent[f"a_{name}"] = np.resize(np.array([most, 0, 1], name), shape)
    sent["a_string"] = np.resize(np.array([b"\x00\xff", b"", "ß".encode()], object), shape)
    got = arrays(stub.Predict(predict_request("kinds", "echo", **sent)))
    assert got == {name: array.tolist() for name, array in sent.items()}


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"model": "none"}, ("NOT_FOUND", "Servable not found for request: Latest(none)")),
        ({"model": ""}, ("INVALID_ARGUMENT", "ModelSpec has no name specified.")),
        ({"version": 7}, ("NOT_FOUND", "Servable not found for request: Specific(upper, 7)")),
        ({"label": "new"}, ("INVALID_ARGUMENT", "Unrecognized servable version label: new")),
        ({"signature": "none"}, ("FAILED_PRECONDITION", 'Serving signature key "none" not found.')),
        (
            {"filtered": ("text", "other")},
            (
                "INVALID_ARGUMENT",
                "output tensor alias not found in signature: other Outputs expected to be in the set {text}.",
            ),
        ),
        ({"filtered": ("text", "text")}, ("INVALID_ARGUMENT", "duplicate output tensor alias: text")),
        (
            {"inputs": {}},
            (
                "INVALID_ARGUMENT",
                "input size does not match signature: 0!=1 len({}) != len({text}). Sent extra: {}. "
                + "Missing but required: {text}.",
            ),
        ),
        (
            {"inputs": {"word": ["a"]}},
            (
                "INVALID_ARGUMENT",
                "Signature input alias: text(feed name: serving_default_text:0) not found in request and no default "
                + "value provided. Inputs expected to be in the request {text}, or default input alias set: {}",
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_prediction_is_said_as_serving_does(
    stub: Any, change: dict[str, Any], wanted: tuple[str, str]
) -> None:
    inputs = change.get("inputs", {"text": ["a"]})
    request = predict_request(
        change.get("model", "upper"), change.get("signature", ""), change.get("filtered", ()), **inputs
    )
    if "version" in change:
        request.model_spec.version.value = change["version"]
    if "label" in change:
        request.model_spec.version_label = change["label"]
    assert failure(stub.Predict, request) == wanted


def test_a_version_may_be_asked_for_by_its_number(stub: Any) -> None:
    request = predict_request("upper", text=["a"])
    request.model_spec.version.value = 1
    assert arrays(stub.Predict(request)) == {"text": [b"A"]}


def test_a_request_without_a_model_is_refused_by_every_call(stub: Any, management: Any) -> None:
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        predict_pb2,
        regression_pb2,
    )

    missing = ("INVALID_ARGUMENT", "Missing ModelSpec")
    assert failure(stub.Predict, predict_pb2.PredictRequest()) == missing
    assert failure(stub.Classify, classification_pb2.ClassificationRequest()) == missing
    assert failure(stub.Regress, regression_pb2.RegressionRequest()) == missing
    assert failure(stub.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest()) == missing
    assert failure(management.GetModelStatus, get_model_status_pb2.GetModelStatusRequest()) == missing
    nameless = ("INVALID_ARGUMENT", "ModelSpec has no name specified.")
    assert failure(stub.MultiInference, inference_pb2.MultiInferenceRequest()) == nameless


@pytest.mark.parametrize(
    "break_it",
    [
        lambda tensor: tensor.Clear(),
        lambda tensor: setattr(tensor, "dtype", 99),
        lambda tensor: setattr(tensor, "tensor_content", b"123"),
        lambda tensor: setattr(tensor.tensor_shape.dim[0], "size", -1),
        lambda tensor: setattr(tensor.tensor_shape, "unknown_rank", True),
        lambda tensor: setattr(tensor.tensor_shape.dim[0], "size", 2**60),
        lambda tensor: [tensor.tensor_shape.dim.add(size=1) for _ in range(300)],
    ],
)
def test_a_broken_tensor_is_refused(stub: Any, break_it: Callable[[Any], object]) -> None:
    request = predict_request("kinds", x=np.array([1.0, 2.0], np.float32))
    break_it(request.inputs["x"])
    assert failure(stub.Predict, request) == ("INVALID_ARGUMENT", "tensor parsing error: x")


def test_a_wrong_type_and_a_failing_op_are_the_clients_fault(stub: Any) -> None:
    code, text = failure(stub.Predict, predict_request("kinds", x=["a"]))
    assert code == "INVALID_ARGUMENT" and "float" in text and "string" in text
    code, text = failure(stub.Predict, predict_request("kinds", "positive", x=[-1.0]))
    assert code == "INVALID_ARGUMENT" and "x must be positive" in text


def test_a_long_complaint_is_cut(stub: Any) -> None:
    code, text = failure(stub.Predict, predict_request("upper", "é" * 2000, text=["a"]))
    assert code == "FAILED_PRECONDITION" and text.endswith("é...TRUNCATED")
    assert len(text.removesuffix("...TRUNCATED").encode()) in (1023, 1024)


def test_a_deadline_ends_the_model_too(stub: Any) -> None:
    request = predict_request("upper", "burn", steps=np.int32(2**31 - 1))
    seen = len(SEEN)
    assert failure(stub.Predict, request, timeout=0.3)[0] == "DEADLINE_EXCEEDED"
    began = time.monotonic()
    while len(SEEN) == seen and time.monotonic() - began < 60:
        time.sleep(0.05)
    assert SEEN[seen:] == [("upper", "Predict", Code.DEADLINE_EXCEEDED)]


def test_messages_beyond_grpcs_own_limit_pass(stub: Any, server: GrpcServer) -> None:
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    big = b"a" * (5 * 2**20)
    with grpc.insecure_channel(
        f"127.0.0.1:{server.port}", options=[("grpc.max_receive_message_length", 2**31 - 1)]
    ) as channel:
        assert arrays(PredictionServiceStub(channel).Predict(predict_request("upper", text=[big]))) == {
            "text": [big.upper()]
        }


# ---- Classify, Regress, MultiInference


def examples_request(kind: str, signature: str = "", *features: dict[str, float], context: Any = None) -> Any:
    from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
    from tensorflow_serving.apis.regression_pb2 import RegressionRequest

    request = {"classify": ClassificationRequest, "regress": RegressionRequest}[kind]()
    request.model_spec.name, request.model_spec.signature_name = "examples", signature
    add_examples(request.input, features, context)
    return request


def add_examples(to: Any, features: Any, context: Any = None) -> None:
    listed = to.example_list if context is None else to.example_list_with_context
    if context is not None:
        for name, value in context.items():
            listed.context.features.feature[name].float_list.value.append(value)
    for each in features:
        example = listed.examples.add()
        for name, value in each.items():
            example.features.feature[name].float_list.value.append(value)


def test_classify_and_regress(stub: Any) -> None:
    response = stub.Classify(examples_request("classify", "", {"x": 0.25}, {"x": 1.0}))
    rows = [[(each.label, each.score) for each in row.classes] for row in response.result.classifications]
    assert rows == [[("low", 0.75), ("high", 0.25)], [("low", 0.0), ("high", 1.0)]]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("examples", 3, "serving_default")
    response = stub.Regress(examples_request("regress", "double", {}, {"x": 1.0}, context={"x": 0.5}))
    assert [each.value for each in response.result.regressions] == [1.0, 2.0]
    assert response.model_spec.signature_name == "double"
    assert [api for _, api, _ in SEEN[-2:]] == ["Classify", "Regress"]


def test_classify_and_regress_complain_as_serving_does(stub: Any) -> None:
    assert failure(stub.Classify, examples_request("classify")) == ("INVALID_ARGUMENT", "Input is empty.")
    unknown = ("INVALID_ARGUMENT", "No signature was found with the name: none")
    assert failure(stub.Classify, examples_request("classify", "none", {})) == unknown
    assert failure(stub.Regress, examples_request("regress", "none", {})) == unknown
    code, text = failure(stub.Classify, examples_request("classify", "double", {}))
    assert code == "FAILED_PRECONDITION" and text.startswith("Expected classification signature outputs to contain")


def multi_request(*tasks: tuple[str, str, str], features: Any = ({"x": 0.25},)) -> Any:
    from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest

    request = MultiInferenceRequest()
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = model, signature
    add_examples(request.input, features)
    return request


def test_several_signatures_are_asked_about_the_same_examples(stub: Any) -> None:
    response = stub.MultiInference(multi_request(("examples", "double", "regress"), ("examples", "", "classify")))
    regression, classification = response.results
    assert [each.value for each in regression.regression_result.regressions] == [0.5]
    assert regression.model_spec.signature_name == "double" and regression.model_spec.version.value == 3
    (row,) = classification.classification_result.classifications
    assert [each.label for each in row.classes] == ["low", "high"]


@pytest.mark.parametrize(
    ("tasks", "wanted"),
    [
        (
            [("examples", "double", "regress"), ("upper", "", "classify")],
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        ([("examples", "double", "regress"), ("", "", "regress")], "Found ModelSpec with an empty model name."),
        ([("examples", "double", "regress")] * 2, "Duplicate evaluation of signature: double"),
        ([("examples", "none", "regress")], "Requested signature not found in model graph: none"),
        (
            [("examples", "double", "regress"), ("examples", "elsewhere", "regress")],
            "Input tensor must be the same for all Signatures.",
        ),
        ([("examples", "", "regress")], "Expected one output Tensor."),
    ],
)
def test_tasks_that_do_not_go_together_are_refused(stub: Any, tasks: Any, wanted: str) -> None:
    assert failure(stub.MultiInference, multi_request(*tasks)) == ("INVALID_ARGUMENT", wanted)


def test_other_methods_are_not_for_multi_inference(stub: Any) -> None:
    text = "Unsupported signature method_name: tensorflow/serving/predict"
    assert failure(stub.MultiInference, multi_request(("examples", "", "predict"))) == ("UNIMPLEMENTED", text)
    empty = multi_request(("examples", "double", "regress"), features=())
    assert failure(stub.MultiInference, empty) == ("INVALID_ARGUMENT", "Input is empty.")


# ---- metadata, status, reload, health


def metadata_request(model: str, *fields: str) -> Any:
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest

    request = GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = model
    return request


def test_metadata_holds_the_signatures(stub: Any) -> None:
    from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

    response = stub.GetModelMetadata(metadata_request("upper", "signature_def"))
    signatures = SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    measured = signatures.signature_def["measured"]
    assert sorted(measured.outputs) == ["length", "raw_bytes", "text"]
    assert measured.inputs["text"].dtype == 7 and measured.method_name == "tensorflow/serving/predict"
    assert (response.model_spec.name, response.model_spec.version.value) == ("upper", 1)


def test_metadata_of_other_kinds_is_refused(stub: Any) -> None:
    call = stub.GetModelMetadata
    none = ("INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field")
    assert failure(call, metadata_request("upper")) == none
    other = ("INVALID_ARGUMENT", "Metadata field weights is not supported")
    assert failure(call, metadata_request("upper", "signature_def", "weights")) == other
    unknown = ("NOT_FOUND", "Servable not found for request: Latest(none)")
    assert failure(call, metadata_request("none", "signature_def")) == unknown


def status_request(model: str, version: int | None = None) -> Any:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    request = GetModelStatusRequest()
    request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    return request


def test_the_status_of_versions(management: Any) -> None:
    (version,) = management.GetModelStatus(status_request("examples")).model_version_status
    assert (version.version, version.state, version.status.error_code) == (3, 30, 0)
    missing = ("NOT_FOUND", "Could not find any versions of model none")
    assert failure(management.GetModelStatus, status_request("none")) == missing
    missing = ("NOT_FOUND", "Could not find version 9 of model examples")
    assert failure(management.GetModelStatus, status_request("examples", 9)) == missing


def test_a_configuration_is_handed_to_the_models(management: Any, models: Models, monkeypatch: Any) -> None:
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    got = []
    monkeypatch.setattr(models, "reload", got.append, raising=False)
    request = ReloadConfigRequest()
    request.config.model_config_list.config.add(name="upper", base_path="/models/upper", model_platform="tensorflow")
    response = management.HandleReloadConfigRequest(request)
    assert got == [request.config] and response.status.error_code == 0 and response.HasField("status")

    def refuse(config: Any) -> None:
        raise RequestError(Code.INVALID_ARGUMENT, "Illegal to list model upper multiple times in config list")

    monkeypatch.setattr(models, "reload", refuse, raising=False)
    refused = ("INVALID_ARGUMENT", "Illegal to list model upper multiple times in config list")
    assert failure(management.HandleReloadConfigRequest, request) == refused
    custom = ReloadConfigRequest()
    code, text = failure(management.HandleReloadConfigRequest, custom)
    assert code == "INVALID_ARGUMENT" and text.endswith("Only ModelConfigList is currently supported")


def test_a_reload_replaces_what_is_served_and_gives_labels(saved: Path) -> None:
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
    from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    models = Models(saved / "later", Servable)
    models.start()
    running = start_grpc(models)
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stub, management = PredictionServiceStub(channel), ModelServiceStub(channel)
        request = predict_request("later", text=["a"])
        assert arrays(stub.Predict(request)) == {"text": [b"A!"]}
        reload = ReloadConfigRequest()
        config = reload.config.model_config_list.config.add(name="first", base_path=str(saved / "upper"))
        config.model_platform = "tensorflow"
        assert management.HandleReloadConfigRequest(reload).status.error_code == 0
        config.version_labels["stable"] = 1  # afterwards: a label is for a version that is available
        assert management.HandleReloadConfigRequest(reload).status.error_code == 0
        request.model_spec.name, request.model_spec.version_label = "first", "stable"
        assert arrays(stub.Predict(request)) == {"text": [b"A"]}
        request.model_spec.version_label = "canary"
        assert failure(stub.Predict, request) == (
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: canary",
        )
        assert failure(stub.Predict, predict_request("later", text=["a"]))[0] == "NOT_FOUND"
        config.base_path = "relative"
        code, text = failure(management.HandleReloadConfigRequest, reload)
        assert code == "INVALID_ARGUMENT"
        assert text == "Expected model first to have an absolute path or URI; got base_path()=relative"
    running.stop()
    models.stop()


def test_health_is_that_of_the_server(channel: grpc.Channel, models: Models) -> None:
    from grpc_health.v1.health_pb2 import HealthCheckRequest
    from grpc_health.v1.health_pb2_grpc import HealthStub

    health = HealthStub(channel)
    for name in ("", "ModelService", "PredictionService"):
        assert health.Check(HealthCheckRequest(service=name)).status == 1
    assert failure(health.Check, HealthCheckRequest(service="other"))[0] == "NOT_FOUND"
    without = start_grpc(models)
    with grpc.insecure_channel(f"127.0.0.1:{without.port}") as other:
        assert failure(HealthStub(other).Check, HealthCheckRequest())[0] == "UNIMPLEMENTED"
    without.stop()


# ---- the server


def test_a_token_is_asked_for_by_all_but_health(models: Models) -> None:
    from grpc_health.v1.health_pb2 import HealthCheckRequest
    from grpc_health.v1.health_pb2_grpc import HealthStub
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    running = start_grpc(models, options=GrpcOptions(token="geheim", enable_grpc_healthcheck_service=True))
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stub, request = PredictionServiceStub(channel), predict_request("upper", text=["a"])
        refused = ("UNAUTHENTICATED", "A valid bearer token is required.")
        assert failure(stub.Predict, request) == refused
        assert failure(stub.Predict, request, metadata=[("authorization", "Bearer geheimer")]) == refused
        right = stub.Predict(request, metadata=[("authorization", "Bearer geheim")])
        assert arrays(right) == {"text": [b"A"]}
        assert HealthStub(channel).Check(HealthCheckRequest()).status == 1
    running.stop()


def test_a_port_that_is_taken_is_said(models: Models, server: GrpcServer) -> None:
    with pytest.raises(UserError, match=f"cannot listen on port {server.port} for gRPC"):
        start_grpc(models, "127.0.0.1", server.port)
    with pytest.raises(UserError, match="both a key and a certificate"):
        start_grpc(models, options=GrpcOptions(tls_key=b"key"))
    with pytest.raises(UserError, match="key and certificate are not PEM"):
        start_grpc(models, options=GrpcOptions(tls_key=b"key", tls_certificate=b"certificate"))


def test_stopping_lets_a_request_finish(models: Models) -> None:
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    running = start_grpc(models)
    answers: list[Any] = []
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stub = PredictionServiceStub(channel)
        assert arrays(stub.Predict(predict_request("upper", "burn", steps=np.int32(1)))) == {"steps": 1}
        request = predict_request("upper", "burn", steps=np.int32(100_000))
        thread = threading.Thread(target=lambda: answers.append(stub.Predict(request, timeout=60)))
        thread.start()
        time.sleep(0.1)
        running.stop(60)
        thread.join()
    assert [arrays(each) for each in answers] == [{"steps": 100_000}]
