"""The server: models, REST and a port put together, in the background of a process or as all that it does."""

import logging
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import FrameType, TracebackType
from typing import Any, Self

from zoo.errors import UserError
from zoo.serving.models import Models
from zoo.serving.rest import app
from zoo.serving.servable import Servable
from zoo.serving.warmup import replay

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to serve. The names are TensorFlow Serving's flags where it has them.

    Attributes:
        host: the address to listen on; loopback unless told otherwise.
        rest_api_num_threads: how many requests are worked on at once; 0 is four for each processor.
        rest_api_timeout_in_ms: how long a model may take for one of them.
        max_request_bytes: the largest request that is read.
        file_system_poll_wait_seconds: how often new versions are looked for.
        max_num_load_retries: how often a version that fails to load is tried again …
        load_retry_interval_seconds: … and how long after.
        drain_seconds: how long requests may take to finish when the server stops.
    """

    host: str = "127.0.0.1"
    rest_api_num_threads: int = 0
    rest_api_timeout_in_ms: int = 30_000
    max_request_bytes: int = 256 * 2**20
    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retry_interval_seconds: float = 60.0
    drain_seconds: float = 30.0


class RunningServer:
    """A server in the background of this process; made by `start`.

    Attributes:
        url: where it answers, such as http://127.0.0.1:8501.
        models: what it serves.
    """

    def __init__(self, url: str, models: Models, http: Any, thread: Thread, threads: ThreadPoolExecutor) -> None:
        self.url, self.models = url, models
        self._http, self._thread, self._threads = http, thread, threads

    def alive(self) -> bool:
        """Whether it still takes requests."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Takes no more requests, lets those that came finish, unloads the models. May be called twice."""
        self._http.should_exit = True
        self._thread.join()
        self._threads.shutdown()
        self.models.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def start(base_path: str | Path, port: int = 0, options: Options | None = None) -> RunningServer:
    """Starts a server in background threads and returns when it answers and every model is available.

    Args:
        base_path: a folder of model homes, or one model home.
        port: 0 for any that is free.
        options: how to serve.
    Raises: UserError where the port is taken, no model is there, or one does not become available.
    """
    import uvicorn

    options = options or Options()
    listener = _bind(options.host, port)  # before minutes are spent on loading
    models = Models(
        base_path,
        lambda path, name, version: _load(path, name, version, options.rest_api_timeout_in_ms),
        poll_seconds=options.file_system_poll_wait_seconds,
        retries=options.max_num_load_retries,
        retry_seconds=options.load_retry_interval_seconds,
    )
    try:
        models.start()
    except BaseException:
        listener.close()
        raise
    threads = ThreadPoolExecutor(options.rest_api_num_threads or 4 * (os.cpu_count() or 1), "zoo-serving-rest")
    config = uvicorn.Config(
        app(models, threads, options.max_request_bytes),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=max(1, round(options.drain_seconds)),
    )
    http = uvicorn.Server(config)
    thread = Thread(target=http.run, kwargs={"sockets": [listener]}, name="zoo-serving-http", daemon=True)
    thread.start()
    while not http.started and thread.is_alive():
        time.sleep(0.005)
    if not http.started:
        models.stop()
        raise RuntimeError("the HTTP server did not start")
    address, bound = listener.getsockname()[:2]
    url = f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}"
    return RunningServer(url, models, http, thread, threads)


def serve(base_path: str | Path, port: int = 8501, options: Options | None = None) -> None:
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


def _load(path: Path, name: str, version: int, timeout_ms: int) -> Servable:
    servable = Servable(path, name, version, timeout_ms)
    try:
        replay(servable)
    except BaseException:
        servable.close()
        raise
    return servable


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
