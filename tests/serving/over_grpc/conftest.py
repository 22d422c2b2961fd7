import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.serving.example_models import save_examples
from tests.serving.over_grpc.calls import SEEN
from zoo.serving.grpc_server import GrpcOptions, GrpcServer, start_grpc
from zoo.serving.models import Models
from zoo.serving.servable import Servable


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
