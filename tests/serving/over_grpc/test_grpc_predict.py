"""Predict over gRPC, asked by TensorFlow Serving's own client library."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from tests.serving.over_grpc.calls import SEEN, arrays, failure, predict_request
from zoo.serving.grpc_server import GrpcServer
from zoo.serving.status import Code


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
                + "value provided. Inputs expected to be in the request {word}, or default input alias set: ",
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


def test_what_is_no_message_is_the_clients_fault(channel: grpc.Channel) -> None:
    for method in ("PredictionService/Predict", "ModelService/GetModelStatus"):
        code, text = failure(channel.unary_unary(f"/tensorflow.serving.{method}"), b"\x0a\xff")
        assert code == "INVALID_ARGUMENT" and text.startswith("This is no message for this method: ")


def test_a_signature_that_answers_nothing_is_the_clients_fault(stub: Any) -> None:
    code, text = failure(stub.Predict, predict_request("upper", "__saved_model_init_op"))
    assert code == "OUT_OF_RANGE" and "does not have output 0" in text


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
