"""The REST API of TensorFlow Serving as an ASGI application: predictions, status and metadata.

Written on ASGI itself, which is all that the one regular expression of Serving's routing needs. Everything that takes
time (reading JSON, the model, writing JSON) happens in a pool of threads, in one hop; the event loop only moves bytes,
and answers what is known to take less time than the hop (`zoo.serving.quick`).
"""

import asyncio
import hmac
import json
import logging
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote

from zoo.serving import examples, json_reply, json_tensor, json_text
from zoo.serving.models import Models
from zoo.serving.quick import Quick
from zoo.serving.status import Code, RequestError, invalid

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Serving's own (http_rest_api_util.cc): letter case does not matter to them, the checks behind them are exact.
_API = re.compile(r"/v1/.*", re.IGNORECASE)
_MODEL = r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?"
_PREDICTION = re.compile(_MODEL + r":(classify|regress|predict)", re.IGNORECASE)
_STATUS = re.compile(r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?(?:/(metadata))?", re.IGNORECASE)
_ORIGIN = re.compile(rb"https?://")
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]
_MOST_VERSION = 2**63 - 1
_MOST_INFLATED = 100 * 2**20  # Serving's limit for a gzip body
_NOT_FOUND = b"<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD><BODY><H1>Not Found</H1></BODY></HTML>\n"


class Target(NamedTuple):
    """What a path names: a model, and a version of it by number or by label."""

    model: str
    version: int | None
    label: str | None


@dataclass(frozen=True)
class RestOptions:
    """How to answer.

    Attributes:
        max_request_bytes: the largest body that is read.
        timeout_seconds: how long a client may take to send one.
        cors: whether pages of other sites may ask (--rest_api_enable_cors_support).
        token: what a client must send as `Authorization: Bearer TOKEN`; empty for nothing.
        metrics_path: where the metrics are; empty for nowhere.
        page: (path) -> (status, body, content type) for what is not part of the API, or None for what it has not.
        batched: requests wait for each other, so none may be answered on the event loop.
    """

    max_request_bytes: int = 256 * 2**20
    timeout_seconds: float = 30.0
    cors: bool = False
    token: str = ""
    metrics_path: str = ""
    page: Callable[[str], tuple[int, bytes, bytes] | None] | None = None
    batched: bool = False


class Reply(NamedTuple):
    """What goes back."""

    body: bytes
    status: int = 200
    kind: bytes = b"application/json"


def app(models: Models, threads: ThreadPoolExecutor, options: RestOptions | None = None) -> App:
    """The ASGI application.

    Args:
        models: what is served.
        threads: where requests are answered.
        options: how.
    """
    options = options or RestOptions()
    extra = _CORS if options.cors else []
    quick, post = Quick(), partial(_post, models)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"this application does not speak {scope['type']}")
        method, path = scope["method"], scope["raw_path"].decode("latin-1")
        headers = dict(scope["headers"])
        try:
            if options.token and not _is_open(method, path, options):
                _check_token(headers, options.token)
            if method == "POST" and _API.fullmatch(path):
                body = await _read(headers, receive, options)
                if not options.batched and quick.trusts(path, body):
                    reply = Reply(quick.timed(post, path, body))
                else:
                    loop = asyncio.get_running_loop()
                    reply = Reply(await loop.run_in_executor(threads, quick.timed, post, path, body))
            else:
                reply = _get(models, method, path, headers, options)
        except _Gone:
            return
        except RequestError as error:
            reply = Reply(_error(error.message), error.http)
        except Exception as error:
            log.exception("%s %s failed", method, path)
            reply = Reply(_error(repr(error)), Code.INTERNAL.http)
        await _reply(send, reply, extra)

    return answer


def _post(models: Models, path: str, body: bytes) -> bytes:
    found = _PREDICTION.fullmatch(path)
    if not found:
        raise _malformed("POST", path)
    method = found[4]
    name = unquote(found[1])
    with models.metrics.request(name if models.known(name) else "", method, "REST"):
        target = _target(*found.groups()[:3])
        match method:
            case "predict":
                return predict(models, target, body)
            case "classify":
                return examples.classify(models, target, body)
            case "regress":
                return examples.regress(models, target, body)
        raise _malformed("POST", path)  # such as :PREDICT


def predict(models: Models, target: Target, body: bytes) -> bytes:
    """Answers a predict request.

    Raises: RequestError with Serving's code and text.
    """
    request = json_text.parse(body)
    name = json_tensor.signature_name(request)
    with models.use(*target) as servable:
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        if not signature.inputs:
            asked = request.get("signature_name") or "DEFAULT"
            raise invalid(f"Failed to get input map for signature: {asked}")
        inputs, in_rows = json_tensor.decode(request, signature.inputs)
        outputs = servable.run(name, inputs)
    return json_reply.encode(outputs, in_rows)


def _get(models: Models, method: str, path: str, headers: Mapping[bytes, bytes], options: RestOptions) -> Reply:
    """Everything but predictions, in Serving's order: permissions for browsers, metrics, the API."""
    if method == "OPTIONS":
        if _ORIGIN.search(headers.get(b"origin", b"")):
            return Reply(b"")
        raise RequestError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")
    if options.metrics_path and path == options.metrics_path and method == "GET":
        return Reply(models.metrics.page(), kind=b"text/plain")
    if not _API.fullmatch(path):
        page = options.page(path) if options.page and method == "GET" else None
        code, body, kind = page or (404, _NOT_FOUND, b"text/html")
        return Reply(body, code, kind)
    found = _STATUS.fullmatch(path) if method == "GET" else None
    if not found:
        raise _malformed(method, path)
    if not found[1]:
        raise invalid("Missing model name in request.")
    target = _target(*found.groups()[:3])
    return Reply(metadata(models, target) if found[4] == "metadata" else status(models, target))


def status(models: Models, target: Target) -> bytes:
    """The reply to a status request: a GetModelStatusResponse as JSON."""
    versions = [
        {
            "version": str(each.version),  # an int64, which proto JSON writes as a string
            "state": each.state.value,
            "status": {"error_code": each.code.name, "error_message": each.message},
        }
        for each in models.status(*target)
    ]
    return _pretty({"model_version_status": versions})


def metadata(models: Models, target: Target) -> bytes:
    """The reply to a metadata request: a GetModelMetadataResponse as JSON."""
    with models.use(*target) as servable:
        spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
        return _pretty(
            {"model_spec": spec, "metadata": {"signature_def": {"signature_def": servable.signature_defs()}}}
        )


def _target(model: str, version: str | None, label: str | None) -> Target:
    if version and int(version) > _MOST_VERSION:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    return Target(unquote(model), int(version) if version else None, unquote(label) if label else None)


def _malformed(method: str, path: str) -> RequestError:
    return invalid(f"Malformed request: {method} {path}")


class _Gone(Exception):
    """The client has left before its request was whole."""


def _is_open(method: str, path: str, options: RestOptions) -> bool:
    """What needs no token: the files of the page, which are no secret; a browser that opens it cannot send one."""
    if method != "GET" or _API.fullmatch(path):
        return method == "OPTIONS"  # a browser asks for permission without a token
    return path != options.metrics_path and not path.endswith(".json")


def _check_token(headers: Mapping[bytes, bytes], token: str) -> None:
    sent = headers.get(b"authorization", b"")
    if not hmac.compare_digest(sent, b"Bearer " + token.encode()):
        raise RequestError(Code.UNAUTHENTICATED, "This server wants its token: Authorization: Bearer TOKEN")


async def _read(headers: Mapping[bytes, bytes], receive: Receive, options: RestOptions) -> bytes:
    try:
        async with asyncio.timeout(options.timeout_seconds):
            body = await _body(receive, options.max_request_bytes)
    except TimeoutError:
        text = f"The request was not whole after {options.timeout_seconds:g} seconds, the limit of this server."
        raise RequestError(Code.DEADLINE_EXCEEDED, text, http=408) from None
    return _inflate(body) if headers.get(b"content-encoding") == b"gzip" else body


async def _body(receive: Receive, limit: int) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            text = f"The request is larger than {limit} bytes, the limit of this server."
            raise RequestError(Code.RESOURCE_EXHAUSTED, text, http=413)
        more = message.get("more_body", False)
    return b"".join(parts)


def _inflate(body: bytes) -> bytes:
    """A gzip body unpacked; empty, as in Serving, where it is none or holds more than its limit."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        inflated = unpack.decompress(body, _MOST_INFLATED)
    except zlib.error:
        return b""
    return inflated if unpack.eof else b""


async def _reply(send: Send, reply: Reply, extra: list[tuple[bytes, bytes]]) -> None:
    headers = [(b"content-type", reply.kind), (b"content-length", str(len(reply.body)).encode()), *extra]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _error(message: str) -> bytes:
    return json.dumps({"error": message}, indent=4, ensure_ascii=False).encode("utf-8", "replace")


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
