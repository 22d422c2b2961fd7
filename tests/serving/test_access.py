"""Who may ask what and how: browsers, tokens, TLS, the slow; and bodies that no client would send."""

import gzip
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.certificates import needs_openssl, self_signed
from tests.serving.test_rest import BASE64
from zoo.errors import UserError
from zoo.serving.server import Options, start


@pytest.mark.parametrize(
    ("origin", "status", "body"),
    [
        ("https://example.org", 200, b""),
        (None, 400, b'{\n    "error": "Origin header is missing in CORS preflight"\n}'),
        ("null", 400, b'{\n    "error": "Origin header is missing in CORS preflight"\n}'),
    ],
)
def test_browsers_ask_for_permission_first(http: httpx.Client, origin: str | None, status: int, body: bytes) -> None:
    reply = http.options("/v1/models/upper:predict", headers={"origin": origin} if origin else {})
    assert (reply.status_code, reply.content) == (status, body)
    assert "access-control-allow-origin" not in reply.headers  # it was not switched on


def test_the_page_is_there_unless_it_is_switched_off(http: httpx.Client, start_one: Any) -> None:
    reply = http.get("/")
    assert reply.status_code == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
    assert start_one(playground=False).get("/").status_code == 404
    assert http.post("/").status_code == 404


@pytest.fixture
def start_one(home: Path) -> Iterator[Callable[..., httpx.Client]]:
    """Starts a server of one model with options; stopped in the end."""
    with ExitStack() as stack:

        def start_server(verify: Any = True, **options: Any) -> httpx.Client:
            server = stack.enter_context(start(home, options=Options(**options)))
            return stack.enter_context(httpx.Client(base_url=server.url, timeout=30, verify=verify))

        yield start_server


def test_pages_of_other_sites_may_ask_where_that_is_switched_on(start_one: Callable[..., httpx.Client]) -> None:
    http = start_one(rest_api_enable_cors_support=True)
    for reply in (
        http.options("/v1/models/upper:predict", headers={"origin": "http://example.org"}),
        http.post("/v1/models/upper:predict", json={"inputs": ["a"]}),
        http.get("/v1/models/nobody"),
    ):
        allowed = {name: value for name, value in reply.headers.items() if name.startswith("access-control")}
        assert allowed == {
            "access-control-allow-origin": "*",
            "access-control-allow-methods": "POST, GET",
            "access-control-allow-headers": "Content-Type",
        }


def test_who_does_not_bring_the_token_is_refused(start_one: Callable[..., httpx.Client]) -> None:
    http = start_one(token="open sesame", metrics=True)
    refused = {"error": "This server wants its token: Authorization: Bearer TOKEN"}
    for headers in ({}, {"authorization": "Bearer open"}, {"authorization": "open sesame"}):
        for path in ("/v1/models/upper", "/monitoring/prometheus/metrics", "/playground/models.json"):
            reply = http.get(path, headers=headers)
            assert (reply.status_code, reply.json()) == (401, refused)
        assert http.post("/v1/models/upper:predict", json={"inputs": ["a"]}, headers=headers).status_code == 401
    assert http.get("/").status_code == 200  # a browser cannot send it when it opens the page, which then asks for it
    http.headers["authorization"] = "Bearer open sesame"
    assert http.post("/v1/models/upper:predict", json={"inputs": ["a"]}).json() == {"outputs": ["A"]}


def test_a_client_that_does_not_go_on_is_not_waited_for(start_one: Callable[..., httpx.Client]) -> None:
    http = start_one(rest_api_timeout_in_ms=200)
    with socket.create_connection(("127.0.0.1", http.base_url.port), timeout=30) as slow:
        slow.sendall(b"POST /v1/models/upper:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        reply = slow.recv(1000)
    assert reply.startswith(b"HTTP/1.1 408 ") and b"The request was not whole after 0.2 seconds" in reply


@needs_openssl
def test_rest_by_tls(start_one: Callable[..., httpx.Client], tmp_path: Path) -> None:
    key, certificate = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=certificate)
    http = start_one(verify=trust, tls_key=key, tls_certificate=certificate)
    assert http.base_url.scheme == "https"
    assert http.post("/v1/models/upper:predict", json={"inputs": ["a"]}).json() == {"outputs": ["A"]}
    with pytest.raises(UserError, match="no certificate and key for TLS"):
        start_one(tls_key=certificate, tls_certificate=key)
    with pytest.raises(UserError, match="TLS needs both a key and a certificate"):
        Options(tls_key=key)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(BASE64),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["b64", "x", "a_int8", "a_string", "text"]), inner)
    ),
    max_leaves=12,
)
SIGNATURES = ["echo", "scalar", "uneven", "positive", "half_precision", "measured", "burn", "nothing", 1]
BODIES = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"signature_name": st.sampled_from(SIGNATURES), "instances": JSON, "inputs": JSON}
    )
    .map(json.dumps)
    .map(str.encode),
    st.binary(max_size=80),
    st.integers(1, 20_000).map(lambda depth: b'{"instances": ' + b"[" * depth),
)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    BODIES,
    st.integers(0, 100),
    st.sampled_from(["predict", "classify", "regress"]),
    st.sampled_from(["kinds", "upper", "no%ff"]),
    st.booleans(),
)
def test_no_body_does_any_harm(
    http: httpx.Client, body: bytes, cut: int, method: str, model: str, zipped: bool
) -> None:
    body = body[: max(len(body) - cut, 0)] if cut < 30 else body  # mostly whole
    headers = {"content-encoding": "gzip", "content-type": "text/html"} if zipped else {}
    sent = gzip.compress(body) if zipped and cut % 2 else body
    reply = http.post(f"/v1/models/{model}:{method}", content=sent, headers=headers)
    assert reply.status_code in (200, 400, 404, 501), reply.text
    assert reply.status_code == 200 or list(reply.json()) == ["error"]
