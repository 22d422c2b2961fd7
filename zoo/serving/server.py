"""The server: models, REST and a port put together, in the background of a process or as all that it does."""

import logging
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from types import FrameType, TracebackType
from typing import Any, Self

from zoo.errors import UserError
from zoo.serving import model_config
from zoo.serving.loader import Loader
from zoo.serving.model_config import ConfigFile
from zoo.serving.models import Models
from zoo.serving.options import Options
from zoo.serving.rest import RestOptions, app

__all__ = ["Options", "RunningServer", "serve", "start"]

log = logging.getLogger(__name__)


class RunningServer:
    """A server in the background of this process; made by `start`.

    Attributes:
        url: where it answers over REST, such as http://127.0.0.1:8501.
        models: what it serves.
    """

    def __init__(self, url: str, models: Models, rest: "_Rest", config: ConfigFile | None) -> None:
        self.url, self.models = url, models
        self._rest, self._config = rest, config

    def alive(self) -> bool:
        """Whether it still takes requests."""
        return self._rest.thread.is_alive()

    def stop(self) -> None:
        """Takes no more requests, lets those that came finish, unloads the models. May be called twice."""
        if self._config:
            self._config.stop()
        self._rest.stop()
        self.models.stop()

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
    load, metrics_path = Loader(options), options.metrics_path()
    listener = _bind(options.host, port)  # before minutes are spent on loading
    models = Models(
        source,
        load,
        poll_seconds=options.file_system_poll_wait_seconds,
        retries=options.max_num_load_retries,
        retry_seconds=options.load_retry_interval_seconds,
        labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
    )
    load.metrics = models.metrics
    try:
        models.start()
        rest = _Rest(models, listener, options, metrics_path)
    except BaseException:
        listener.close()
        models.stop()
        raise
    config = None
    if options.model_config_file and options.model_config_file_poll_wait_seconds:
        config = ConfigFile(options.model_config_file, models.reload, options.model_config_file_poll_wait_seconds)
    address, bound = listener.getsockname()[:2]
    scheme = "https" if options.tls_certificate else "http"
    url = f"{scheme}://[{address}]:{bound}" if ":" in address else f"{scheme}://{address}:{bound}"
    return RunningServer(url, models, rest, config)


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
            while not asked.wait(1.0) and running.alive():
                pass
            log.info("stopping: no more requests are taken, those that came are finished")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Rest:
    """The HTTP server in its threads."""

    def __init__(self, models: Models, listener: socket.socket, options: Options, metrics_path: str) -> None:
        import uvicorn

        workers = options.rest_api_num_threads or 4 * (os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(workers, "zoo-serving-rest")
        rest = RestOptions(
            max_request_bytes=options.max_request_bytes,
            timeout_seconds=options.rest_api_timeout_in_ms / 1000,
            cors=options.rest_api_enable_cors_support,
            token=options.token,
            metrics_path=metrics_path,
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

    def stop(self) -> None:
        self._http.should_exit = True
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
