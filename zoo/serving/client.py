"""A client of any server that speaks TensorFlow Serving's APIs, this one's and the stock one's. No TensorFlow here.

client = zoo.Client("localhost:8501")            REST; zoo.Client("grpc://localhost:8500") for gRPC
client.predict("multi30k-en-de", ["A dog runs."])["text"]

It asks the server what a model takes and gives, so values need no more care than Python's own: texts as str, images and
sounds as bytes or as the Path of a file, numbers and nested lists as they are.

What is asked, in which order, and when it is asked again is written once, as generators that yield questions and
pauses; `Client` and `AsyncClient` carry them out.
"""

import asyncio
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from zoo.errors import UserError, nearest
from zoo.serving.asking import Ask, ServerError
from zoo.serving.values import plain

__all__ = ["AsyncClient", "Client", "ServerError"]

_BACKOFF_SECONDS = 0.2  # doubled from try to try

Types = dict[str, str]
# Yields questions, and is sent their answers or the ServerErrors that came instead; yields pauses, in seconds.
Steps = Generator[Ask | float, Any, Any]


class _Connection:
    """What both clients are made of."""

    _asynchronous = False

    def __init__(
        self,
        address: str = "localhost:8501",
        *,
        timeout: float = 60.0,
        retries: int = 3,
        token: str = "",
        certificate: str | Path = "",
    ) -> None:
        self._questions = _Questions(retries)
        self._wire = _wire(address, timeout, token, str(certificate), asynchronous=self._asynchronous)


class Client(_Connection):
    """Speaks to one server. May be used from several threads, and as a context manager.

    Args:
        address: "localhost:8501" or a URL: http://, https://, grpc:// or grpcs:// (gRPC over TLS).
        timeout: seconds to wait for an answer.
        retries: how often a request is sent again when no connection is to be had or the server is busy (503,
            UNAVAILABLE); nothing else is sent twice.
        token: a bearer token, where the server asks for one.
        certificate: a PEM file of the authorities to trust, where the system's do not vouch for the server.
    Raises: UserError for an address or a certificate that is none.
    """

    def predict(
        self, model: str, inputs: Any, *, signature: str = "serving_default", version: int | None = None
    ) -> dict[str, Any]:
        """Asks a signature of a model.

        Args:
            model: its name.
            inputs: for a signature of one input its values, a list with a row each; else name -> such values.
            signature: the signature's name.
            version: the version; None for the newest.
        Returns: name of each output -> its values, a list with a row each; bytes where the name ends in `_bytes`.
            (float32 comes as 0.1 over REST, and as the nearest float32, 0.10000000149, over gRPC.)
        Raises: ServerError with the server's text; UserError for inputs that the signature does not have, and for
            files, images and sounds that are broken.
        """
        return self._carry_out(self._questions.predict(model, inputs, signature, version))

    def signature(
        self, model: str, signature: str = "serving_default", *, version: int | None = None
    ) -> tuple[Types, Types]:
        """The inputs and the outputs of a signature: name -> data type, such as "string" or "float".

        Raises: ServerError; UserError where there is no such signature.
        """
        return self._carry_out(self._questions.signature(model, signature, version))

    def status(self, model: str) -> list[dict[str, Any]]:
        """The versions of a model, newest first: `version`, `state`, and `status` with its error, if any."""
        return self._carry_out(self._questions.status(model))

    def close(self) -> None:
        """Closes the connections."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _carry_out(self, steps: Steps) -> Any:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(step, float):
                time.sleep(step)
            else:
                answer = self._wire.ask(step)


class AsyncClient(_Connection):
    """`Client` for asyncio: the same arguments, the same methods to be awaited, `async with`."""

    _asynchronous = True

    async def predict(
        self, model: str, inputs: Any, *, signature: str = "serving_default", version: int | None = None
    ) -> dict[str, Any]:
        """As `Client.predict`."""
        return await self._carry_out(self._questions.predict(model, inputs, signature, version))

    async def signature(
        self, model: str, signature: str = "serving_default", *, version: int | None = None
    ) -> tuple[Types, Types]:
        """As `Client.signature`."""
        return await self._carry_out(self._questions.signature(model, signature, version))

    async def status(self, model: str) -> list[dict[str, Any]]:
        """As `Client.status`."""
        return await self._carry_out(self._questions.status(model))

    async def close(self) -> None:
        """Closes the connections."""
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _carry_out(self, steps: Steps) -> Any:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                answer = await self._wire.ask(step)


class _Questions:
    """What is asked for each method of a client."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._known: dict[tuple[str, int | None], dict[str, tuple[Types, Types]]] = {}  # signatures of a version

    def predict(self, model: str, inputs: Any, signature: str, version: int | None) -> Steps:
        takes, gives = yield from self.signature(model, signature, version)
        where = f"{model}: {signature}"
        named = inputs if isinstance(inputs, Mapping) else _name(inputs, takes, where)
        _check_names(named, takes, where)
        values = {name: plain(value, name) for name, value in named.items()}
        try:
            return (yield from self._ask(Ask("predict", model, version, signature, values, takes, gives)))
        except ServerError:
            self._known.pop((model, version), None)  # another version may have come, with another signature
            raise

    def signature(self, model: str, signature: str, version: int | None) -> Steps:
        known = self._known.get((model, version))
        if known is None:
            known = yield from self._ask(Ask("signatures", model, version))
            known = {name: each for name, each in known.items() if not name.startswith("__")}
            self._known[model, version] = known
        if signature not in known:
            problem = f'there is no signature "{signature}".{nearest(signature, known)}'
            raise UserError(problem, where=model, remedy=f"It has: {', '.join(sorted(known))}.")
        takes, gives = known[signature]
        return dict(sorted(takes.items())), dict(sorted(gives.items()))

    def status(self, model: str) -> Steps:
        versions = yield from self._ask(Ask("status", model))
        return sorted(versions, key=lambda each: each["version"], reverse=True)

    def _ask(self, ask: Ask) -> Steps:
        wait = _BACKOFF_SECONDS
        for attempt in range(self._retries + 1):
            answer = yield ask
            if not isinstance(answer, ServerError):
                return answer
            if not answer.temporary or attempt == self._retries:
                raise answer
            yield wait
            wait *= 2
        raise AssertionError("the last attempt returns or raises")


def _wire(address: str, timeout: float, token: str, certificate: str, *, asynchronous: bool) -> Any:
    """What carries questions to an address: over REST or gRPC. Each is imported only where it is asked for."""
    scheme, marked, host = address.partition("://")
    if certificate and scheme not in ("https", "grpcs"):
        remedy = f"Write https://{host or scheme}, or grpcs:// for gRPC."
        raise UserError("a certificate is for TLS, which this address does not ask for.", where=address, remedy=remedy)
    if not marked or scheme in ("http", "https"):
        from zoo.serving.rest_client import AsyncRest, Rest

        url = (address if marked else f"http://{address}").rstrip("/")
        return (AsyncRest if asynchronous else Rest)(url, timeout, token, certificate)
    if scheme not in ("grpc", "grpcs"):
        remedy = "Give HOST:PORT, or a URL of http, https, grpc or grpcs."
        raise UserError(f'there is no scheme "{scheme}" here.', where=address, remedy=remedy)
    try:
        from zoo.serving.grpc_client import AsyncGrpc, Grpc
    except ImportError as error:
        remedy = "pip install grpcio protobuf"
        raise UserError(f"gRPC needs a package that is not installed: {error}.", remedy=remedy) from error
    secure = scheme == "grpcs"
    return (AsyncGrpc if asynchronous else Grpc)(host.rstrip("/"), timeout, token, certificate, secure=secure)


def _name(inputs: Any, takes: Mapping[str, str], where: str) -> dict[str, Any]:
    if len(takes) != 1:
        remedy = f"Give a dict with: {', '.join(takes)}."
        raise UserError(f"this signature has {len(takes)} inputs, which must be named.", where=where, remedy=remedy)
    return {next(iter(takes)): inputs}


def _check_names(named: Mapping[str, Any], takes: Mapping[str, str], where: str) -> None:
    for name in named:
        if name not in takes:
            remedy = f"It has: {', '.join(takes)}."
            raise UserError(f'there is no input "{name}".{nearest(name, takes)}', where=where, remedy=remedy)
    missing = [name for name in takes if name not in named]
    if missing:
        raise UserError(f"the input {missing[0]} is missing.", where=where)
