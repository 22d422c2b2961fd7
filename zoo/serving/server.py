"""The server: models, REST, gRPC and ports put together, in the background of a process or as all that it does."""

import logging
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from types import FrameType, TracebackType
from typing import Any, Self

from zoo.errors import UserError
from zoo.serving import model_config, settings
from zoo.serving.grpc_server import GrpcOptions, GrpcServer, start_grpc
from zoo.serving.loader import Loader
from zoo.serving.model_config import ConfigFile
from zoo.serving.models import Models
from zoo.serving.options import Options
from zoo.serving.page import page
from zoo.serving.rest import RestOptions, app
from zoo.serving.status import Code

__all__ = ["Options", "RunningServer", "serve", "start"]

log = logging.getLogger(__name__)


class RunningServer:
    """A server in the background of this process; made by `start`.

    Attributes:
        url: where it answers over REST, such as http://127.0.0.1:8501.
        grpc_port: where it answers over gRPC; None where it does not.
        models: what it serves.
    """

    def __init__(
        self,
        models: Models,
        load: Loader,
        rest: "_Rest",
        grpc: GrpcServer | None,
        config: ConfigFile | None,
        drain_seconds: float,
    ) -> None:
        self.url, self.models, self.grpc_port = rest.url, models, grpc.port if grpc else None
        self._rest, self._grpc, self._config, self._load = rest, grpc, config, load
        self._drain_seconds = drain_seconds

    def alive(self) -> bool:
        """Whether it still takes requests."""
        return self._rest.thread.is_alive()

    def stop(self) -> None:
        """Takes no more requests, lets those that came finish, unloads the models. May be called twice."""
        if self._config:
            self._config.stop()
        self._rest.refuse()
        if self._grpc:
            self._grpc.stop(self._drain_seconds)
        self._rest.stop()
        self.models.stop()
        self._load.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def start(base_path: str | Path = "", port: int = 0, options: Options | None = None) -> RunningServer:
    """Starts a server in background threads and returns when it answers and every model is available.

    Args:
        base_path: a folder of model homes, or one model home. Not needed where the options name a configuration.
        port: for REST; 0 for any that is free.
        options: how to serve.
    Raises: UserError where the port is taken, no model is there, one does not become available, or options are wrong.
    """
    options = options or Options()
    source: Any = base_path
    if options.model_config_file:
        source = model_config.read(options.model_config_file)
    elif not base_path:
        raise UserError(
            "Both server_options.model_base_path and server_options.model_config_file are empty!",
            remedy="Give a folder of models.",
        )
    elif options.model_name:
        source = model_config.single(options.model_name, base_path)
    metrics_path = options.metrics_path()
    with ExitStack() as undo:
        listener = _bind(options.host, port)  # before minutes are spent on loading
        undo.callback(listener.close)
        load = Loader(options)
        undo.callback(load.close)
        models = Models(
            source,
            load,
            poll_seconds=options.file_system_poll_wait_seconds,
            retries=options.max_num_load_retries,
            retry_seconds=options.load_retry_interval_seconds,
            labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
        )
        load.metrics = models.metrics
        undo.callback(models.stop)
        models.start()
        rest = _Rest(models, listener, options, metrics_path)
        undo.callback(rest.stop)
        grpc = config = None
        if options.grpc_port is not None:
            grpc = start_grpc(models, options.host, options.grpc_port, _grpc_options(models, options))
            undo.callback(grpc.stop)
        if options.model_config_file and options.model_config_file_poll_wait_seconds:
            config = ConfigFile(options.model_config_file, models.reload, options.model_config_file_poll_wait_seconds)
        undo.pop_all()  # all is well
    return RunningServer(models, load, rest, grpc, config, options.drain_seconds)


def serve(base_path: str | Path = "", port: int = 8501, options: Options | None = None) -> None:
    """Serves until the process is asked to end (SIGTERM, or Ctrl-C); then finishes what it has begun.

    Raises: UserError as `start` does.
    """
    asked = Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    with start(base_path, port, options) as running:  # until here a signal ends the process at once: nobody is waiting
        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            log.info("serving %s at %s", ", ".join(running.models.names()), running.url)
            if running.grpc_port is not None:
                log.info("gRPC at port %d", running.grpc_port)
            while not asked.wait(1.0) and running.alive():
                pass
            log.info("stopping: no more requests are taken, those that came are finished")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _grpc_options(models: Models, options: Options) -> GrpcOptions:
    file = options.ssl_config_file
    tls = settings.certificates(file) if file else settings.Certificates(b"", b"", b"")

    def observe(model: str, api: str, code: Code, seconds: float) -> None:
        models.metrics.answered(model if models.known(model) else "", api, "GRPC", code, seconds)

    return GrpcOptions(
        grpc_max_threads=options.workers(options.grpc_max_threads),
        enable_grpc_healthcheck_service=options.enable_grpc_healthcheck_service,
        token=options.token,
        tls_key=tls.key,
        tls_certificate=tls.certificate,
        tls_authorities=tls.authorities,
        observe=observe,
    )


class _Rest:
    """The HTTP server in its threads; `url` is where it answers."""

    def __init__(self, models: Models, listener: socket.socket, options: Options, metrics_path: str) -> None:
        import uvicorn

        self._threads = ThreadPoolExecutor(options.workers(options.rest_api_num_threads), "zoo-serving-rest")
        rest = RestOptions(
            max_request_bytes=options.max_request_bytes,
            timeout_seconds=options.rest_api_timeout_in_ms / 1000,
            cors=options.rest_api_enable_cors_support,
            token=options.token,
            metrics_path=metrics_path,
            page=page(models) if options.playground else None,
            batched=options.enable_batching,
        )
        config = uvicorn.Config(
            app(models, self._threads, rest),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=max(1, round(options.drain_seconds)),
            ssl_keyfile=options.tls_key or None,
            ssl_certfile=options.tls_certificate or None,
        )
        try:
            config.load()  # certificates are read here
        except OSError as error:  # ssl.SSLError is one
            where = f"{options.tls_certificate}, {options.tls_key}"
            raise UserError(f"no certificate and key for TLS: {error}.", where=where) from error
        self._http = uvicorn.Server(config)
        self.thread = Thread(
            target=self._http.run, kwargs={"sockets": [listener]}, name="zoo-serving-http", daemon=True
        )
        self.thread.start()
        while not self._http.started and self.thread.is_alive():
            time.sleep(0.005)
        if not self._http.started:
            raise RuntimeError("the HTTP server did not start")
        host, port = listener.getsockname()[:2]
        scheme = "https" if options.tls_certificate else "http"
        self.url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def refuse(self) -> None:
        """Takes no more requests."""
        self._http.should_exit = True

    def stop(self) -> None:
        """Takes no more requests and returns when those that came are answered."""
        self.refuse()
        self.thread.join()
        self._threads.shutdown()


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        remedy = "Stop what listens there, or choose another: --rest_api_port 0 takes any that is free."
        problem = f"cannot listen on port {port}: {error.strerror}."
        raise UserError(problem, where=host, remedy=remedy) from error
    return listener
