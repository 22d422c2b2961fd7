"""The gRPC API of TensorFlow Serving: PredictionService, ModelService and, on request, gRPC's health service.

The messages and stubs are those of tensorflow-serving-api; the answers come from `zoo.serving.answers`. What is done
here: the way from a request to the version that answers it, deadlines, errors as gRPC's codes, and the port.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc

from zoo.errors import UserError
from zoo.serving import answers
from zoo.serving.interceptors import Doorkeeper, Reader
from zoo.serving.json_tensor import Arrays
from zoo.serving.status import Code, RequestError, invalid

log = logging.getLogger(__name__)

Observe = Callable[[str, str, Code, float], None]

_MOST_BYTES = 2**31 - 1  # of a message, as in Serving
_MOST_TEXT = 1024  # bytes of an error's text, as in Serving
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class GrpcOptions:
    """How to serve over gRPC. The names are TensorFlow Serving's flags where it has them.

    Attributes:
        grpc_max_threads: how many requests are worked on at once; 0 is four for each processor.
        enable_grpc_healthcheck_service: whether grpc.health.v1.Health answers. It says that the server is up, not that
            a model is ready; ask ModelService for that.
        token: what clients must send as "authorization: Bearer …"; empty lets everyone in. The health service asks
            for none, since probes cannot send one.
        tls_key, tls_certificate: PEM; both or none. A token without TLS can be read on its way.
        tls_authorities: PEM; clients must bring a certificate that one of these vouches for. Empty asks for none.
        observe: called after each request with model, API ("Predict"), code, and seconds taken; for metrics.
    """

    grpc_max_threads: int = 0
    enable_grpc_healthcheck_service: bool = False
    token: str = ""
    tls_key: bytes = b""
    tls_certificate: bytes = b""
    tls_authorities: bytes = b""
    observe: Observe | None = None


class GrpcServer:
    """A gRPC server in background threads; made by `start_grpc`.

    Attributes:
        port: where it answers.
    """

    def __init__(self, server: grpc.Server, port: int, health: Any, threads: ThreadPoolExecutor) -> None:
        self.port = port
        self._server, self._health, self._threads = server, health, threads

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Takes no more requests; cancels those that have not finished after `grace_seconds`. May be called twice."""
        if self._health:
            self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()
        self._threads.shutdown()


def start_grpc(models: Any, host: str = "127.0.0.1", port: int = 0, options: GrpcOptions | None = None) -> GrpcServer:
    """Starts to answer over gRPC; returns when the port is open.

    Args:
        models: a `zoo.serving.models.Models`, loaded.
        host: the address to listen on.
        port: 0 for any that is free.
        options: how to serve.
    Raises: UserError where the port is taken, or key and certificate do not fit.
    """
    from tensorflow_serving.apis.model_service_pb2_grpc import add_ModelServiceServicer_to_server
    from tensorflow_serving.apis.prediction_service_pb2_grpc import add_PredictionServiceServicer_to_server

    options = options or GrpcOptions()
    threads = ThreadPoolExecutor(options.grpc_max_threads or 4 * (os.cpu_count() or 1), "zoo-serving-grpc")
    server = grpc.server(
        threads,
        interceptors=[*([Doorkeeper(options.token)] if options.token else []), Reader()],
        options=[
            ("grpc.max_receive_message_length", _MOST_BYTES),
            ("grpc.max_send_message_length", _MOST_BYTES),
            ("grpc.so_reuseport", 0),  # two servers on one port would share its requests
        ],
    )
    services = _Services(models, options.observe)
    add_PredictionServiceServicer_to_server(services, server)
    add_ModelServiceServicer_to_server(services, server)
    health = _add_health(server) if options.enable_grpc_healthcheck_service else None
    bound = _bind(server, host, port, options)
    server.start()
    return GrpcServer(server, bound, health, threads)


class _Services:
    """Both services; a method for each of their calls."""

    def __init__(self, models: Any, observe: Observe | None) -> None:
        self._models = models
        self._observe = observe or (lambda model, api, code, seconds: None)

    def Predict(self, request: Any, context: Any) -> Any:
        """PredictRequest -> PredictResponse."""
        return self._answer("Predict", answers.predict, request, context)

    def Classify(self, request: Any, context: Any) -> Any:
        """ClassificationRequest -> ClassificationResponse."""
        return self._answer("Classify", answers.classify, request, context)

    def Regress(self, request: Any, context: Any) -> Any:
        """RegressionRequest -> RegressionResponse."""
        return self._answer("Regress", answers.regress, request, context)

    def MultiInference(self, request: Any, context: Any) -> Any:
        """MultiInferenceRequest -> MultiInferenceResponse; the first task says which model."""
        with _Failures(context):
            spec = request.tasks[0].model_spec if request.tasks else _no_spec()
            with self._models.use(*_target(spec)) as servable:
                return answers.multi_inference(_InTime(servable, context), request)

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """GetModelMetadataRequest -> GetModelMetadataResponse."""
        with _Failures(context):
            _require_spec(request)
            answers.check_metadata_fields(request)
            with self._models.use(*_target(request.model_spec)) as servable:
                return answers.metadata(servable)

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """GetModelStatusRequest -> GetModelStatusResponse."""
        from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus

        with _Failures(context):
            _require_spec(request)
            response = GetModelStatusResponse()
            for each in self._models.status(*_address(request.model_spec)):
                version = response.model_version_status.add(version=each.version)
                version.state = ModelVersionStatus.State.Value(each.state.value)
                version.status.error_code, version.status.error_message = int(each.code), each.message
            return response

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        """ReloadConfigRequest -> ReloadConfigResponse; the configuration replaces the one before."""
        from tensorflow_serving.apis.model_management_pb2 import ReloadConfigResponse

        with _Failures(context):
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                    "currently supported"
                )
            self._models.reload(request.config)
            response = ReloadConfigResponse()
            response.status.SetInParent()
            return response

    def _answer(self, api: str, answer: Callable[[Any, Any], Any], request: Any, context: Any) -> Any:
        began = time.perf_counter()
        failures = _Failures(context)
        try:
            with failures:
                _require_spec(request)
                with self._models.use(*_target(request.model_spec)) as servable:
                    return answer(_InTime(servable, context), request)
        finally:
            self._observe(request.model_spec.name, api, failures.code, time.perf_counter() - began)


class _Failures:
    """Turns what is raised in its block into the status of the call.

    Attributes:
        code: the call's code, when the block is left.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self.code = Code.OK

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, RequestError):
            self.code, message = error.code, error.message
        elif isinstance(error, UserError):
            self.code, message = Code.INVALID_ARGUMENT, str(error)
        else:
            self.code, message = Code.INTERNAL, repr(error)
            log.error("a gRPC request failed", exc_info=error)
        self._context.abort(_STATUS[int(self.code)], _cut(message))


class _InTime:
    """A version as one request sees it: its calls must end before the request's deadline."""

    def __init__(self, servable: Any, context: Any) -> None:
        self._servable, self._context = servable, context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servable, name)

    def run(self, signature: str, inputs: Arrays, outputs: Sequence[str] = ()) -> Arrays:
        """Calls a signature, with the time that is left.

        Raises: RequestError: DEADLINE_EXCEEDED where there is none.
        """
        left = self._context.time_remaining()
        if left is None:
            return self._servable.run(signature, inputs, outputs)
        if left <= 0:
            raise RequestError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
        return self._servable.run(signature, inputs, outputs, timeout_ms=max(1, int(left * 1000)))


def _address(spec: Any) -> tuple[str, int | None, str | None]:
    """Name, version and label of a ModelSpec; None for what it leaves out."""
    match spec.WhichOneof("version_choice"):
        case "version":
            return spec.name, spec.version.value, None
        case "version_label":
            return spec.name, None, spec.version_label
    return spec.name, None, None


def _target(spec: Any) -> tuple[str, int | None, str | None]:
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    return _address(spec)


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


def _no_spec() -> Any:
    from tensorflow_serving.apis.model_pb2 import ModelSpec

    return ModelSpec()


def _cut(message: str) -> str:
    """A text as Serving cuts it (grpc_status_util.cc), but not within a character."""
    raw = message.encode("utf-8", "replace")
    return raw[:_MOST_TEXT].decode("utf-8", "ignore") + ("...TRUNCATED" if len(raw) > _MOST_TEXT else "")


def _add_health(server: grpc.Server) -> Any:
    try:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    except ImportError as error:
        remedy = "pip install grpcio-health-checking"
        raise UserError("the health service needs a package that is not installed.", remedy=remedy) from error
    service = health.HealthServicer()
    for name in ("", "ModelService", "PredictionService"):  # Serving's names, without their package
        service.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(service, server)
    return service


def _bind(server: grpc.Server, host: str, port: int, options: GrpcOptions) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if bool(options.tls_key) != bool(options.tls_certificate):
        raise UserError("TLS needs both a key and a certificate.", where=address)
    try:
        if not options.tls_key:
            return server.add_insecure_port(address)
        credentials = grpc.ssl_server_credentials(
            [(options.tls_key, options.tls_certificate)],
            root_certificates=options.tls_authorities or None,
            require_client_auth=bool(options.tls_authorities),
        )
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        remedy = "Stop what listens there, or choose another: --port 0 takes any that is free."
        if options.tls_key:  # grpcio does not say which of the two it was
            remedy += " Or key and certificate are not PEM, or do not belong together."
        raise UserError(f"cannot listen on port {port} for gRPC.", where=host, remedy=remedy) from error
