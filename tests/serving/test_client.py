import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.conftest import run_python
from tests.serving.certificates import needs_openssl, self_signed
from zoo.errors import UserError
from zoo.serving.client import AsyncClient, Client, ServerError
from zoo.serving.grpc_server import GrpcOptions, GrpcServer, start_grpc
from zoo.serving.server import RunningServer


@pytest.fixture(scope="module")
def grpc_server(server: RunningServer) -> Iterator[GrpcServer]:
    running = start_grpc(server.models)
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["rest", "grpc"])
def address(request: pytest.FixtureRequest, server: RunningServer, grpc_server: GrpcServer) -> str:
    rest = server.url.removeprefix("http://")
    return rest if request.param == "rest" else f"grpc://127.0.0.1:{grpc_server.port}"


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


def test_answers_come_by_name_also_where_there_is_one(client: Client) -> None:
    assert client.predict("upper", ["a", "ü"]) == {"text": ["A", "ü"]}
    assert client.predict("kinds", [1.0, 3]) == {"y": [0.5, 1.5]}


def test_a_signature_is_what_the_server_says_it_is(client: Client) -> None:
    assert client.signature("upper", "measured") == (
        {"text": "string"},
        {"length": "int32", "raw_bytes": "string", "text": "string"},
    )
    assert client.signature("kinds", "half_precision") == ({"x": "half"}, {"y": "float"})
    assert client.status("upper") == [
        {"version": 1, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]


def test_bytes_files_and_arrays_go_in_and_bytes_come_out(client: Client, tmp_path: Path) -> None:
    raw = bytes(range(256))
    (tmp_path / "raw").write_bytes(raw)
    sent = [raw, tmp_path / "raw", "text", b""]
    got = client.predict("upper", sent, signature="measured", version=1)
    assert got["raw_bytes"] == [raw, raw, b"text", b""] and got["length"] == [256, 256, 4, 0]
    assert client.predict("kinds", np.array([2.0, np.inf], np.float32)) == {"y": [1.0, float("inf")]}
    assert client.predict("upper", np.array(["a", "b"])) == {"text": ["A", "B"]}


def test_every_kind_of_value_goes_there_and_back(client: Client) -> None:
    integers = ("int8", "uint8", "int16", "int32", "int64", "uint32", "uint64")
    sent: dict[str, Any] = {f"a_{name}": [[np.iinfo(name).max, 0]] for name in integers}
    sent |= {"a_float32": [[-2.5, 0.0]], "a_float64": [[0.1, 1e300]], "a_bool": [[True, False]], "a_string": [["ß"]]}
    assert client.predict("kinds", sent, signature="echo") == sent
    scalars = {name: value[0][0] for name, value in sent.items()}
    assert client.predict("kinds", scalars, signature="echo") == scalars


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ({"model": "nobody", "inputs": ["a"]}, "Servable not found for request: Latest\\(nobody\\)\n  Is the model's"),
        ({"model": "upper", "inputs": ["a"], "version": 9}, "Specific\\(upper, 9\\)"),
        ({"model": "kinds", "inputs": [-1.0], "signature": "positive"}, "x must be positive"),
        (
            {"model": "upper", "inputs": ["a"], "signature": "measure"},
            'no signature "measure". Did you mean "measured"',
        ),
        ({"model": "kinds", "inputs": [1], "signature": "echo"}, "has 11 inputs, which must be named"),
        ({"model": "kinds", "inputs": {"y": [1]}}, 'there is no input "y"'),
        ({"model": "kinds", "inputs": {}}, "the input x is missing"),
        ({"model": "kinds", "inputs": ["a"]}, "type:? float"),
        ({"model": "kinds", "inputs": [[1.0], [1.0, 2.0]]}, "inhomogeneous|unexpected size: 2"),
        ({"model": "upper", "inputs": ["a", ["b"]]}, "neither text nor bytes|unexpected level"),
        ({"model": "upper", "inputs": [["a"], ["b", "c"]]}, "not alike|unexpected size: 2"),
        ({"model": "upper", "inputs": ["a", 1]}, "1 is neither text nor bytes|not of expected type: string"),
        ({"model": "upper", "inputs": 2**40, "signature": "burn"}, "out of bounds|not of expected type: int32"),
        ({"model": "upper", "inputs": np.array(2**40), "signature": "burn"}, "out of bounds|of expected type: int32"),
        ({"model": "upper", "inputs": 1.5, "signature": "burn"}, "int32: float given|not of expected type: int32"),
        ({"model": "upper", "inputs": True, "signature": "burn"}, "int32: bool given|not of expected type: int32"),
        ({"model": "upper", "inputs": [Path("no/such/file")]}, "no/such/file: cannot be read: No such file"),
    ],
)
def test_what_goes_wrong_is_said(client: Client, call: dict, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        client.predict(**call)


def test_what_a_server_refuses_has_a_status(client: Client) -> None:
    with pytest.raises(ServerError, match="the server answered (404|NOT_FOUND)") as caught:
        client.status("nobody")
    assert caught.value.status == 404 and not caught.value.temporary


def test_the_same_for_asyncio(address: str) -> None:
    async def ask() -> None:
        async with AsyncClient(address) as client:
            answers = await asyncio.gather(*(client.predict("upper", [f"a{i}"]) for i in range(20)))
            assert answers == [{"text": [f"A{i}"]} for i in range(20)]
            assert (await client.signature("upper"))[0] == {"text": "string"}
            assert (await client.status("upper"))[0]["version"] == 1
            with pytest.raises(ServerError, match="Latest\\(nobody\\)"):
                await client.predict("nobody", ["a"])

    asyncio.run(ask())


# ---- no server, a busy server


@pytest.mark.parametrize("scheme", ["", "grpc://"])
def test_no_server_is_said_with_what_to_do(scheme: str) -> None:
    with (
        Client(f"{scheme}127.0.0.1:9", retries=0) as client,
        pytest.raises(ServerError, match="no answer: .*\n.*python -m apps.serve FOLDER") as caught,
    ):
        client.status("upper")
    assert caught.value.status == 0 and caught.value.temporary

    async def ask() -> None:
        async with AsyncClient(f"{scheme}127.0.0.1:9", retries=0) as client:
            with pytest.raises(ServerError, match="no answer"):
                await client.status("upper")

    asyncio.run(ask())


class Busy(BaseHTTPRequestHandler):
    """A server that drops the first connection, is busy for the second, and answers the third."""

    seen = 0

    def do_GET(self) -> None:
        Busy.seen += 1
        if Busy.seen == 1:
            self.connection.close()
            return
        body = json.dumps({"error": "full"} if Busy.seen == 2 else {"model_version_status": []}).encode()
        self.send_response(503 if Busy.seen == 2 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What a client waited for, which it now does not."""
    waited: list[float] = []
    monkeypatch.setattr("zoo.serving.client.time.sleep", waited.append)
    return waited


def test_a_lost_connection_and_a_busy_server_are_tried_again(waits: list[float]) -> None:
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with Client(f"127.0.0.1:{server.server_address[1]}") as client:
            assert client.status("any") == []
        server.shutdown()
    assert Busy.seen == 3 and waits[-2:] == [0.2, 0.4]


class BusyOverGrpc(grpc.GenericRpcHandler):
    """Full twice, then the answer."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def service(self, details: Any) -> Any:
        def answer(request: bytes, context: Any) -> bytes:
            self.seen.append(dict(context.invocation_metadata()).get("authorization"))
            if len(self.seen) < 3:
                context.abort(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


def test_a_full_queue_is_tried_again_over_grpc(waits: list[float]) -> None:
    busy = BusyOverGrpc()
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[busy])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"grpc://127.0.0.1:{port}", token="geheim") as client:
        assert client.status("any") == []
        assert waits == [0.2, 0.4] and busy.seen == ["Bearer geheim"] * 3
        busy.seen.clear()
    with Client(f"grpc://127.0.0.1:{port}", retries=1) as client, pytest.raises(ServerError, match="queue is") as full:
        client.status("any")
    assert full.value.status == 503 and len(busy.seen) == 2
    server.stop(0)


def test_nothing_else_is_sent_twice(client: Client, waits: list[float]) -> None:
    with pytest.raises(ServerError):
        client.status("nobody")
    assert not waits


# ---- addresses, tokens, TLS


def test_an_address_or_certificate_that_is_none_is_said() -> None:
    with pytest.raises(UserError, match='no scheme "ftp" here'):
        Client("ftp://localhost")
    for scheme in ("https", "grpcs"):
        with pytest.raises(UserError, match="none.pem: cannot be read: No such file"):
            Client(f"{scheme}://localhost", certificate="none.pem")
    for address in ("localhost:8501", "http://localhost", "grpc://localhost"):
        with pytest.raises(UserError, match=f"{address}: a certificate is for TLS.*\n.*https://localhost"):
            Client(address, certificate="any.pem")


@needs_openssl
def test_a_token_opens_a_server_over_tls(server: RunningServer, tmp_path: Path) -> None:
    key, certificate = self_signed(tmp_path)
    options = GrpcOptions(token="geheim", tls_key=key.read_bytes(), tls_certificate=certificate.read_bytes())
    running = start_grpc(server.models, options=options)
    address = f"grpcs://localhost:{running.port}"
    with Client(address, token="geheim", certificate=certificate) as client:
        assert client.predict("upper", ["a"]) == {"text": ["A"]}

    async def ask() -> None:
        async with AsyncClient(address, token="geheim", certificate=certificate) as client:
            assert (await client.status("upper"))[0]["version"] == 1

    asyncio.run(ask())
    with (
        Client(address, certificate=certificate) as client,
        pytest.raises(ServerError, match="UNAUTHENTICATED: A valid bearer token is required") as refused,
    ):
        client.status("upper")
    assert refused.value.status == 401
    with Client(address, token="geheim", retries=0) as stranger, pytest.raises(ServerError):
        stranger.status("upper")  # it trusts others
    running.stop()


# ---- what is looked at before it is sent


def image(kind: str) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def wav(seconds: float = 0.1) -> bytes:
    import wave

    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(seconds * 16000)))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_a_broken_image_is_found_before_it_is_sent(kind: str, tmp_path: Path) -> None:
    from zoo.serving.values import plain

    whole = image(kind)
    assert plain([whole, b"no image"], "image_bytes") == [whole, b"no image"]
    assert plain(whole[:-500], "other_bytes") == whole[:-500]
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=f"cut: this {kind} image is broken"):
        plain([tmp_path / "cut"], "image_bytes")


def test_a_sound_that_is_cut_off_is_found_before_it_is_sent() -> None:
    from zoo.serving.values import plain

    whole = wav()
    assert plain(whole, "audio_bytes") == whole
    with pytest.raises(UserError, match="audio_bytes: this WAV file is cut off: 1500 of 1600 bytes of sound"):
        plain(whole[:-100], "audio_bytes")
    with pytest.raises(UserError, match="holds no sound"):
        plain(whole[:36], "audio_bytes")
    streamed = whole[:40] + b"\xff\xff\xff\xff" + whole[44:]
    assert plain(streamed, "audio_bytes") == streamed


# ---- without TensorFlow


def test_no_client_needs_tensorflow(address: str) -> None:
    code = """
        import asyncio, sys
        import zoo
        from zoo.serving.client import AsyncClient
        with zoo.Client(sys.argv[1]) as client:
            print(client.predict("upper", ["a"]), client.status("upper")[0]["state"])
        async def ask():
            async with AsyncClient(sys.argv[1]) as client:
                return await client.predict("kinds", [1.0])
        print(asyncio.run(ask()))
        """
    printed = run_python(code, address, blocked=("tensorflow", "tensorflow_serving", "keras"))
    assert printed.splitlines() == ["{'text': ['A']} AVAILABLE", "{'y': [0.5]}"]
