import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.serving.client import Client, ServerError
from zoo.serving.server import RunningServer


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url.removeprefix("http://")) as client:
        yield client


def test_answers_come_by_name_also_where_there_is_one(client: Client) -> None:
    assert client.predict("upper", ["a", "b"]) == {"text": ["A", "B"]}
    assert client.predict("kinds", [1.0, 3.0]) == {"y": [0.5, 1.5]}


def test_a_signature_is_what_the_server_says_it_is(client: Client) -> None:
    assert client.signature("upper", "measured") == (
        {"text": "string"},
        {"length": "int32", "raw_bytes": "string", "text": "string"},
    )
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


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ({"model": "nobody", "inputs": ["a"]}, "the server answered 404: Servable not found for request: Latest"),
        ({"model": "upper", "inputs": ["a"], "version": 9}, "Specific\\(upper, 9\\)"),
        (
            {"model": "upper", "inputs": ["a"], "signature": "measure"},
            'no signature "measure". Did you mean "measured"',
        ),
        ({"model": "kinds", "inputs": [1], "signature": "echo"}, "has 11 inputs, which must be named"),
        ({"model": "kinds", "inputs": {"y": [1]}}, 'there is no input "y"'),
        ({"model": "kinds", "inputs": {}}, "the input x is missing"),
        ({"model": "kinds", "inputs": ["a"]}, "is not of expected type: float"),
        ({"model": "upper", "inputs": [Path("no/such/file")]}, "no/such/file: cannot be read: No such file"),
    ],
)
def test_what_goes_wrong_is_said(client: Client, call: dict, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        client.predict(**call)


def test_no_server_is_said_with_what_to_do(tmp_path: Path) -> None:
    with Client("localhost:9", retries=0) as client, pytest.raises(ServerError, match="python -m apps.serve FOLDER"):
        client.status("upper")


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


def test_a_lost_connection_and_a_busy_server_are_tried_again_and_nothing_else_is(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with Client(f"127.0.0.1:{server.server_address[1]}") as other:
            assert other.status("any") == []
        server.shutdown()
    assert Busy.seen == 3 and waits[-2:] == [0.2, 0.4]
    waits.clear()
    with pytest.raises(ServerError) as caught:
        client.status("nobody")
    assert caught.value.status == 404 and not waits
