"""A client of any server that speaks TensorFlow Serving's REST API, this one's and the stock one's. No TensorFlow here.

client = zoo.Client("localhost:8501")
client.predict("multi30k-en-de", ["A dog runs."])["text"]

It asks the server what a model takes and gives, so values need no more care than Python's own: texts as str, images and
sounds as bytes or as the Path of a file, numbers and nested lists as they are.
"""

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from zoo.errors import UserError, nearest

_BACKOFF_SECONDS = 0.2  # doubled from try to try
_BUSY = 503


class ServerError(UserError):
    """What a server answered instead of a result.

    Attributes:
        status: the HTTP status; 0 where no server answered.
    """

    status: int = 0


class Client:
    """Speaks to one server. May be used from several threads, and as a context manager.

    Args:
        address: "localhost:8501", or a URL with its scheme.
        timeout: seconds to wait for an answer.
        retries: how often a request is sent again when no connection is to be had or the server is busy (503);
            nothing else is sent twice.
    """

    def __init__(self, address: str = "localhost:8501", *, timeout: float = 60.0, retries: int = 3) -> None:
        self.url = (address if "://" in address else f"http://{address}").rstrip("/")
        self._retries = retries
        self._http = httpx.Client(timeout=timeout)
        self._metadata: dict[str, dict[str, Any]] = {}  # path of a model -> signatures

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
        Raises: ServerError with the server's text; UserError for inputs that the signature does not have.
        """
        path = _path(model, version)
        takes, gives = self.signature(model, signature, version=version)
        named = inputs if isinstance(inputs, Mapping) else self._name(inputs, takes, f"{model}: {signature}")
        _check_names(named, takes, f"{model}: {signature}")
        request = {"signature_name": signature, "inputs": {name: _to_json(value) for name, value in named.items()}}
        try:
            answer = self._ask("POST", f"{path}:predict", request)["outputs"]
        except ServerError:
            self._metadata.pop(path, None)  # another version may have come, with another signature
            raise
        outputs = {next(iter(gives)): answer} if len(gives) == 1 else answer
        return {name: _from_json(value) if name.endswith("_bytes") else value for name, value in outputs.items()}

    def signature(
        self, model: str, signature: str = "serving_default", *, version: int | None = None
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The inputs and the outputs of a signature: name -> data type, such as "string" or "float".

        Raises: ServerError; UserError where there is no such signature.
        """
        path = _path(model, version)
        if path not in self._metadata:
            reply = self._ask("GET", f"{path}/metadata")
            self._metadata[path] = reply["metadata"]["signature_def"]["signature_def"]
        known = {name: each for name, each in self._metadata[path].items() if not name.startswith("__")}
        if signature not in known:
            problem = f'there is no signature "{signature}".{nearest(signature, known)}'
            raise UserError(problem, where=model, remedy=f"It has: {', '.join(sorted(known))}.")
        takes, gives = (
            {name: info["dtype"].removeprefix("DT_").lower() for name, info in sorted(known[signature][side].items())}
            for side in ("inputs", "outputs")
        )
        return takes, gives

    def status(self, model: str) -> list[dict[str, Any]]:
        """The versions of a model, newest first: `version`, `state`, and `status` with its error, if any."""
        versions = self._ask("GET", _path(model, None))["model_version_status"]
        return [{**each, "version": int(each["version"])} for each in versions]

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _name(inputs: Any, takes: Mapping[str, str], where: str) -> dict[str, Any]:
        if len(takes) != 1:
            remedy = f"Give a dict with: {', '.join(takes)}."
            raise UserError(f"this signature has {len(takes)} inputs, which must be named.", where=where, remedy=remedy)
        return {next(iter(takes)): inputs}

    def _ask(self, method: str, path: str, request: Any = None) -> Any:
        body = None if request is None else json.dumps(request).encode()
        wait = _BACKOFF_SECONDS
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                reply = self._http.request(method, self.url + path, content=body)
            except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout) as error:
                if last:
                    raise self._unreachable(error) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._unreachable(error) from error
            else:
                if reply.status_code != _BUSY or last:
                    return self._read(reply, path)
            time.sleep(wait)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _read(self, reply: httpx.Response, path: str) -> Any:
        try:
            content = json.loads(reply.content.decode("utf-8", "replace"))
        except ValueError:
            content = {"error": f"not an answer of TensorFlow Serving's REST API: {reply.text[:200]!r}"}
        if reply.is_success and "error" not in content:
            return content
        problem = f"the server answered {reply.status_code}: {content.get('error', content)}"
        error = ServerError(problem, where=self.url + path, remedy=_remedy(reply.status_code))
        error.status = reply.status_code
        raise error

    def _unreachable(self, error: Exception) -> ServerError:
        problem = f"no answer: {str(error) or type(error).__name__}."
        return ServerError(
            problem, where=self.url, remedy="Is a server running? python -m apps.serve FOLDER starts one."
        )


def _path(model: str, version: int | None) -> str:
    return f"/v1/models/{quote(model, safe='')}" + (f"/versions/{version}" if version is not None else "")


def _remedy(status: int) -> str:
    return "Is the model's name right, and is it loaded?" if status == 404 else ""


def _check_names(named: Mapping[str, Any], takes: Mapping[str, str], where: str) -> None:
    for name in named:
        if name not in takes:
            remedy = f"It has: {', '.join(takes)}."
            raise UserError(f'there is no input "{name}".{nearest(name, takes)}', where=where, remedy=remedy)
    missing = [name for name in takes if name not in named]
    if missing:
        raise UserError(f"the input {missing[0]} is missing.", where=where)


def _to_json(value: Any) -> Any:
    """Bytes, and the files that paths name, as {"b64": …}; arrays as lists; the rest as it is."""
    if isinstance(value, Path):
        try:
            value = value.read_bytes()
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}.", where=str(value)) from error
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bytes | bytearray):
        return {"b64": b64encode(value).decode()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_to_json(each) for each in value]
    return value


def _from_json(value: Any) -> Any:
    return [_from_json(each) for each in value] if isinstance(value, list) else b64decode(value["b64"])
