"""The processes of `bench serve` and its neighbours: the server under test, the clients, the bare SavedModel."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import UserError

TRIVIAL = "half_plus"
_READY = re.compile(r"serving .* at http://(\S+)\s")
_START_SECONDS = 300.0


class Server:
    """A server in a process of its own.

    Attributes:
        addresses: transport -> HOST:PORT.
        log: what it said so far.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.addresses: dict[str, str] = {}
        self._process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def memory_mb(self) -> float:
        """The memory that it holds, in MB; 0 where this system does not say, or it has ended."""
        status = Path(f"/proc/{self._process.pid}/status")
        found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def serving(home: Path, *flags: str) -> Iterator[Server]:
    """Runs `python -m apps.serve` on a folder of models until the block is left.

    Raises: UserError where it does not start, with the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        port = _free_port()
        command = [
            sys.executable,
            "-m",
            "apps.serve",
            "start",
            str(home),
            "--rest_api_port=0",
            f"--port={port}",
            *flags,
        ]
        with log.open("wb") as stream, subprocess.Popen(command, stderr=stream, env=environment()) as process:
            server = Server(process, log)
            try:
                server.addresses = {"rest": _rest_address(server), "grpc": f"127.0.0.1:{port}"}
                yield server
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                finally:
                    process.kill()


def _rest_address(server: Server) -> str:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.alive():
        if found := _READY.search(server.log):
            return found[1]
        time.sleep(0.05)
    raise UserError(f"the server did not start: {server.log[-2000:].strip()}")


def environment() -> dict[str, str]:
    """That of this process; TensorFlow is told to be still."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Child:
    """A process that answers a line of JSON with a line of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, question: Any) -> None:
        """Sends a line."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Waits for the next line.

        Raises: RuntimeError where the process has ended instead.
        """
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args[2]!r} has ended early, with exit code {self._process.wait()}")  # type: ignore[index]
        return json.loads(line)

    def ask(self, question: Any) -> Any:
        """Sends a line and waits for its answer."""
        self.tell(question)
        return self.hear()


@contextmanager
def child(module: str, *arguments: str) -> Iterator[Child]:
    """Runs a module of this folder until the block is left."""
    command = [sys.executable, "-m", f"apps.benches.{module}", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Child(process)
        except BaseException:
            process.kill()
            raise


class Subject(NamedTuple):
    """What is served.

    Attributes:
        home: the model's home; `name` is its folder's.
        versions: folders of the versions whose answers are right ones.
        rows: what to ask: inputs by name, or a text for a signature of one input; [] for the warm-up's.
    """

    home: Path
    name: str
    versions: list[Path]
    rows: list[Any]


def save_trivial(path: Path, version: int) -> None:
    """Writes a version of the trivial model: y = x / 2 + version."""
    import tensorflow as tf

    class HalfPlus(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def half_plus(self, x: Any) -> dict[str, Any]:
            return {"y": x / 2 + float(version)}

    module = HalfPlus()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.half_plus})


@contextmanager
def trivial(versions: Sequence[int] = (1,)) -> Iterator[Subject]:
    """A home with the first of the versions of the trivial model; the others stand beside it, to be copied in."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "versions" / str(each) for each in versions]
        for path, version in zip(paths, versions, strict=True):
            save_trivial(path, version)
        home = Path(folder) / TRIVIAL
        shutil.copytree(paths[0], home / str(versions[0]))
        yield Subject(home, TRIVIAL, paths, [{"x": each / 4} for each in range(48)])


class Bench(NamedTuple):
    """The three processes, and what to ask.

    Attributes:
        made: what `serve_bare` said: the ports of the floor, and the requests by transport.
    """

    subject: Subject
    server: Server
    clients: Child
    bare: Child
    made: dict[str, Any]

    def load(self, transport: str, clients: int, seconds: float, rate: float = 0, address: str = "") -> dict[str, Any]:
        """What to tell the clients for a load on the server, or on another address."""
        return {
            "transport": transport,
            "address": address or self.server.addresses[transport],
            "path": f"/v1/models/{self.subject.name}:predict",
            "requests": self.made["requests"][transport],
            "clients": clients,
            "seconds": seconds,
            "rate": rate,
        }

    def judge(self, transport: str, replies: list[dict[str, int]]) -> dict[str, Any]:
        """How many of the answers are right and wrong, with an example of the wrong."""
        return self.bare.ask({"judge": replies, "transport": transport})


@contextmanager
def bench(subject: Subject, *flags: str, rows_a_request: int = 1) -> Iterator[Bench]:
    """Starts all three; `flags` are the server's."""
    spec = {
        "paths": [str(each) for each in subject.versions],
        "signature": "serving_default",
        "model": subject.name,
        "rows": subject.rows,
        "rows_a_request": rows_a_request,
    }
    with ExitStack() as stack:
        bare = stack.enter_context(child("serve_bare", json.dumps(spec)))
        clients = stack.enter_context(child("serve_load"))
        server = stack.enter_context(serving(subject.home, *flags))  # loads at the same time as the bare SavedModel
        yield Bench(subject, server, clients, bare, bare.hear())
