"""Asks a server over REST; `zoo.serving.client` is what users call."""

import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from zoo.errors import UserError
from zoo.serving.asking import NOT_RUNNING, Ask, ServerError, server_error

_BUSY = 503
_LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)  # worth another try
_FAILED = (httpx.HTTPError, httpx.InvalidURL)


class Rest:
    """Asks by httpx.

    Args:
        url: where the server is, with its scheme.
        timeout: seconds to wait for an answer.
        token: a bearer token; empty for none.
        certificate: a PEM file of the authorities to trust for https; empty for the system's.
    """

    def __init__(self, url: str, timeout: float, token: str, certificate: str) -> None:
        self._url = url
        self._http = httpx.Client(**_settings(timeout, token, certificate))

    def ask(self, ask: Ask) -> Any:
        """The answer (outputs by name, signatures by name, or a list of versions), or the ServerError instead of it."""
        method, url, body = _request(self._url, ask)
        try:
            reply = self._http.request(method, url, content=body)
        except _FAILED as error:
            return _unreachable(self._url, error)
        return _answer(ask, reply, url)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


class AsyncRest:
    """The same for asyncio."""

    def __init__(self, url: str, timeout: float, token: str, certificate: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(**_settings(timeout, token, certificate))

    async def ask(self, ask: Ask) -> Any:
        """As `Rest.ask`."""
        method, url, body = _request(self._url, ask)
        try:
            reply = await self._http.request(method, url, content=body)
        except _FAILED as error:
            return _unreachable(self._url, error)
        return _answer(ask, reply, url)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()


def _settings(timeout: float, token: str, certificate: str) -> dict[str, Any]:
    return {
        "timeout": timeout,
        "headers": {"Authorization": f"Bearer {token}"} if token else {},
        "verify": _trusted(certificate) if certificate else True,
    }


def _trusted(certificate: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificate)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}.", where=certificate) from error


def _request(url: str, ask: Ask) -> tuple[str, str, bytes | None]:
    version = "" if ask.version is None else f"/versions/{ask.version}"
    path = f"{url}/v1/models/{quote(ask.model, safe='')}{version}"
    match ask.kind:
        case "predict":
            inputs = {name: _to_json(value) for name, value in ask.inputs.items()}
            return "POST", f"{path}:predict", json.dumps({"signature_name": ask.signature, "inputs": inputs}).encode()
        case "signatures":
            return "GET", f"{path}/metadata", None
    return "GET", path, None


def _answer(ask: Ask, reply: httpx.Response, url: str) -> Any:
    content = _read(reply, url)
    if isinstance(content, ServerError):
        return content
    match ask.kind:
        case "predict":
            outputs = content["outputs"]
            named = {next(iter(ask.gives)): outputs} if len(ask.gives) == 1 else outputs
            return {name: _from_json(value) if name.endswith("_bytes") else value for name, value in named.items()}
        case "signatures":
            signatures = content["metadata"]["signature_def"]["signature_def"]
            return {name: (_types(each["inputs"]), _types(each["outputs"])) for name, each in signatures.items()}
    return [{**each, "version": int(each["version"])} for each in content["model_version_status"]]


def _types(tensors: Mapping[str, Any]) -> dict[str, str]:
    return {name: info["dtype"].removeprefix("DT_").lower() for name, info in tensors.items()}


def _read(reply: httpx.Response, url: str) -> Any:
    try:
        content = json.loads(reply.content.decode("utf-8", "replace"))
    except ValueError:
        content = {"error": f"not an answer of TensorFlow Serving's REST API: {reply.text[:200]!r}"}
    if reply.is_success and "error" not in content:
        return content
    problem = f"the server answered {reply.status_code}: {content.get('error', content)}"
    remedy = "Is the model's name right, and is it loaded?" if reply.status_code == 404 else ""
    return server_error(problem, url, reply.status_code, remedy=remedy, temporary=reply.status_code == _BUSY)


def _unreachable(url: str, error: Exception) -> ServerError:
    problem = f"no answer: {str(error) or type(error).__name__}."
    return server_error(problem, url, 0, remedy=NOT_RUNNING, temporary=isinstance(error, _LOST))


def _to_json(value: Any) -> Any:
    """Bytes as {"b64": …}, arrays as lists, the rest as it is."""
    if isinstance(value, bytes):
        return {"b64": b64encode(value).decode()}
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _from_json(value: Any) -> Any:
    return [_from_json(each) for each in value] if isinstance(value, list) else b64decode(value["b64"])
