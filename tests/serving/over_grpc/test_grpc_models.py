"""Metadata, status, reload and health over gRPC; the server itself."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.serving.certificates import needs_openssl, self_signed
from tests.serving.over_grpc.calls import arrays, failure, predict_request
from zoo.errors import UserError
from zoo.serving.grpc_server import GrpcOptions, GrpcServer, start_grpc
from zoo.serving.models import Models
from zoo.serving.servable import Servable
from zoo.serving.server import Options, start
from zoo.serving.status import Code, RequestError


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
    statuses = health.Watch(HealthCheckRequest(service="other"))  # one that may come yet, so that this is no error
    assert next(statuses).status == 3
    statuses.cancel()
    without = start_grpc(models)
    with grpc.insecure_channel(f"127.0.0.1:{without.port}") as other:
        assert failure(HealthStub(other).Check, HealthCheckRequest())[0] == "UNIMPLEMENTED"
    without.stop()


def test_health_may_be_watched_until_the_server_stops(models: Models) -> None:
    from grpc_health.v1.health_pb2 import HealthCheckRequest
    from grpc_health.v1.health_pb2_grpc import HealthStub

    running = start_grpc(models, options=GrpcOptions(enable_grpc_healthcheck_service=True))
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        statuses = HealthStub(channel).Watch(HealthCheckRequest(), timeout=30)
        assert next(statuses).status == 1
        stopping = threading.Thread(target=running.stop, args=(5.0,))
        stopping.start()
        assert next(statuses).status == 2  # before the connection ends: a balancer sends nobody here any more
        statuses.cancel()
        stopping.join(30)
        assert not stopping.is_alive()


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


@needs_openssl
def test_clients_may_be_asked_for_a_certificate(saved: Path, tmp_path: Path) -> None:
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    files = {name: self_signed(tmp_path, name) for name in ("server", "friend", "stranger")}
    pem = {name: [file.read_bytes() for file in pair] for name, pair in files.items()}
    config = tmp_path / "ssl.config"
    texts = {"server_key": pem["server"][0], "server_cert": pem["server"][1], "custom_ca": pem["friend"][1]}
    lines = [f"{name}: {json.dumps(text.decode())}" for name, text in texts.items()]
    config.write_text("\n".join([*lines, "client_verify: true"]))
    with start(saved / "upper", options=Options(grpc_port=0, ssl_config_file=config)) as running:
        for key, certificate, code in (
            (*pem["friend"], grpc.StatusCode.OK),
            (*pem["stranger"], grpc.StatusCode.UNAVAILABLE),
            (None, None, grpc.StatusCode.UNAVAILABLE),
        ):
            trust = grpc.ssl_channel_credentials(pem["server"][1], key, certificate)
            with grpc.secure_channel(f"localhost:{running.grpc_port}", trust) as channel:
                call = PredictionServiceStub(channel).Predict.future(predict_request("upper", text=["a"]), timeout=30)
                assert call.code() is code


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
