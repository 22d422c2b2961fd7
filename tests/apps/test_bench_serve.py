"""`bench serve`, `swap`, `soak` and `fuzz`, each very small, on the real server; and that they see what goes wrong."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import grpc
import pytest

from apps.bench import main
from apps.benches import serve_fuzz
from apps.benches.serve import total_tokens
from apps.benches.serve_bare import Bare, Judge, batches, rest_answer, same
from apps.benches.serve_cases import GOOD, KINDS, Case, post
from apps.benches.serve_cases_grpc import CALLS, FRAMES, Call
from apps.benches.serve_fuzz import broken, call, send
from apps.benches.serve_load import load
from apps.benches.serve_process import save_trivial

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ran(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the report of a command."""
    code = main([*line, "--quiet", "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def liar() -> Iterator[str]:
    """The URL of a server that answers every predict with the same."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "18")
            self.end_headers()
            self.wfile.write(b'{"outputs": [1.5]}')

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_serve_measures_beside_the_floor_and_compares_answers(capsys: pytest.CaptureFixture[str], liar: str) -> None:
    few = ["--clients", "1", "3", "--seconds", "0.3", "--rounds", "2"]
    code, report = ran(capsys, "serve", *few, "--endpoint", liar, "--batching")
    assert code == 1  # for the answers of the liar, and nothing else
    assert report["broken"] and all(text.startswith("endpoint, rest, ") for text in report["broken"])
    cells = {(cell["transport"], cell["clients"]): cell for cell in report["cells"]}
    assert list(cells) == [("rest", 1), ("rest", 3), ("grpc", 1), ("grpc", 3)]
    for (transport, _), cell in cells.items():
        sides = {"zoo", "floor"} | ({"endpoint"} if transport == "rest" else set())
        for this in cell["rounds"]:
            assert this.keys() == sides
            assert this["zoo"]["answered"] == this["zoo"]["right"] > 0 and this["floor"]["failed"] == 0
            assert this["zoo"]["tokens_a_second"] == 0  # nobody counts them
            assert 0 < this["zoo"]["p50_ms"] <= this["zoo"]["p95_ms"] <= this["zoo"]["p99_ms"] <= this["zoo"]["max_ms"]
        assert cell["ratios"].keys() == {f"p50 to {side}" for side in sides - {"zoo"}} | {"p99 to p50"}
        assert all(len(values) == 2 for values in cell["ratios"].values())
    ours = cells["rest", 1]["rounds"][0]["endpoint"]
    assert ours["wrong"] > 0 and ours["right"] > 0  # 1.5 is right for one of the requests
    assert report["memory"]["after_mb"] > 50


def test_mistakes_of_the_user(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["serve", "--endpoint", "localhost:8501"]) == 2
    assert "localhost:8501: this is no endpoint." in capsys.readouterr().err
    assert main(["serve", "--model", str(tmp_path)]) == 2
    assert "no version of a model is here." in capsys.readouterr().err
    (tmp_path / "1").mkdir()
    assert main(["serve", "--model", str(tmp_path)]) == 2
    assert "this model has no warm-up requests to ask." in capsys.readouterr().err
    assert main(["serve", "--model", str(tmp_path), "--texts", str(tmp_path / "none")]) == 2
    assert "none: cannot be read as text: " in capsys.readouterr().err


def test_swap_sees_every_version_and_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = ran(capsys, "swap", "--swaps", "2", "--clients", "4", "--transport", "rest")
    (cell,) = report["cells"]
    assert code == 0 and report["broken"] == []
    assert (cell["swaps"], cell["failed"], cell["wrong"]) == (2, 0, 0) and cell["right"] == cell["answered"] > 0
    assert len(cell["swap_seconds"]) == 2


def test_soak_goes_through_its_loads(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = ran(capsys, "soak", "--minutes", "0", "--load-seconds", "0.2")
    assert code == 0 and report["broken"] == []
    assert report["loads"] == 6 == len(report["memory_mb"]) and report["answered"] > 6
    assert (report["failed"], report["wrong"], report["growth_mb"]) == (0, 0, 0)


def test_fuzz_sends_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = ran(capsys, "fuzz", "--requests", "200")
    assert code == 0 and report["broken"] == []
    assert report["kinds"].keys() == {*KINDS, *CALLS, *FRAMES}
    assert sum(sum(each.values()) for each in report["kinds"].values()) == report["requests"] == 200
    assert (report["crashes"], report["hangs"], report["fives"], report["wrong"]) == (0, 0, 0, 0)
    assert report["kinds"]["truncated"].keys() == {"400"} and report["kinds"]["wrong_content_type"].keys() == {"200"}
    assert report["kinds"]["oversized"]["413"] > 0
    assert report["kinds"]["grpc_truncated"].keys() <= {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"}
    assert report["kinds"]["grpc_broken_frames"].keys() <= {"closed", "left"}


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


def reply(status: str, body: bytes = b"") -> Talk:
    """Answers what comes with a status; with nothing at all where it is empty."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            if not status:
                break
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    return talk


def loaded(address: str, **changed: Any) -> dict[str, Any]:
    spec = {"transport": "rest", "path": "/", "clients": 2, "seconds": 0.2, "rate": 0}
    requests = [b64encode(b"{}").decode()]
    return asyncio.run(load({**spec, "address": address, "requests": requests, **changed}, asyncio.Event()))


def test_failed_requests_are_counted() -> None:
    async def asked(talk: Talk, **changed: Any) -> dict[str, Any]:
        spec = {"transport": "rest", "path": "/", "clients": 2, "seconds": 0.2, "rate": 0, **changed}
        async with listening(talk) as address:
            return await load({**spec, "address": address, "requests": [b64encode(b"{}").decode()]}, asyncio.Event())

    report = asyncio.run(asked(reply("500", b"why")))
    assert report["answered"] == 0 and report["errors"] == {"500: why": report["failed"]} and report["failed"] > 1
    assert report["p50_ms"] is None
    assert asyncio.run(asked(reply("")))["errors"].keys() == {"IncompleteReadError"}
    open_loop = asyncio.run(asked(reply("200", b"ok"), rate=100.0))
    assert open_loop["failed"] == 0 and 5 < open_loop["answered"] < 60  # 20 are expected
    assert open_loop["replies"] == [{b64encode(b"ok").decode(): open_loop["answered"]}]


def test_a_server_that_is_not_there_is_a_failure() -> None:
    for transport, error in (("rest", "ConnectionRefusedError"), ("grpc", "UNAVAILABLE: ")):
        report = loaded("127.0.0.1:1", transport=transport)
        assert report["answered"] == 0 and report["failed"] > 0
        assert all(each.startswith(error) for each in report["errors"])


def test_wrong_answers_are_told_from_right_ones(tmp_path: Path) -> None:
    for version in (1, 2):
        save_trivial(tmp_path / str(version), version)
    versions = [Bare(str(tmp_path / str(each)), "serving_default") for each in (1, 2)]
    judge = Judge(versions, batches([{"x": 1.0}, {"x": 3.0}], 1, versions[0].types))

    def replies(*values: float) -> dict[str, int]:
        return {b64encode(json.dumps({"outputs": [each]}).encode()).decode(): 2 for each in values}

    found = judge([replies(1.5, 2.5), replies(2.5)], "rest")
    assert (found["right"], found["wrong"], found["differences"]) == (6, 0, [])
    found = judge([replies(1.5, 3.5), {b64encode(b"no").decode(): 1}], "rest")
    assert (found["right"], found["wrong"]) == (2, 3) and len(found["differences"]) == 2
    assert found["differences"][0] == "{'y': [1.5]} was expected, {'y': [3.5]} came 2 times"


def test_tokens_are_counted_where_the_model_tells(tmp_path: Path) -> None:
    import tensorflow as tf

    class Letters(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def upper(self, text: Any) -> dict[str, Any]:
            return {"text": tf.strings.upper(text)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def attention(self, text: Any) -> dict[str, Any]:
            return {"source_count": tf.strings.length(text), "target_count": tf.ones_like(text, tf.int32)}

    module = Letters()
    signatures = {"serving_default": module.upper, "attention": module.attention}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    model = Bare(str(tmp_path), "serving_default")
    asked = batches([{"text": "abc"}, {"text": "d"}, {"text": ""}], 2, model.types)
    assert model.tokens(asked) == [4 + 2, 1]
    assert total_tokens([{"x": 2, "y": 1}, {"x": 4}], model.tokens(asked)) == 3 * 6 + 4
    assert total_tokens([{"x": 2}], []) == 0


def test_what_is_the_same() -> None:
    assert same([{"a": 1.0, "b": "x"}], [{"a": 1.000001, "b": "x"}]) and same(float("nan"), float("nan"))
    for other in (1.001, "1.0", None, [1.0]):
        assert not same(1.0, other)
    assert not same(1, 2) and not same("a", "b") and not same([1], [1, 1]) and not same({"a": 1}, {"b": 1})
    assert rest_answer(b'{"outputs": [1]}', ["y"]) == {"y": [1]}


def test_the_fuzz_sees_fives_hangs_and_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sent(talk: Talk, case: Case) -> tuple[str, str]:
        async with listening(talk) as address:
            return await send(address, case)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    good = Case([post(json.dumps(GOOD).encode())])
    assert asyncio.run(sent(reply("500", b"oh"), good))[0] == "500"
    assert asyncio.run(sent(reply(""), good))[0] == "closed"
    monkeypatch.setattr(serve_fuzz, "PATIENCE", 0.2)
    assert asyncio.run(sent(silent, good)) == ("hang", "")
    fine = {"crashes": 0, "hangs": 0, "fives": 0, "wrong": 0, "failed": 0, "growth_mb": 3.0, "examples": []}
    assert broken(fine) == []
    for key in ("crashes", "hangs", "fives", "wrong", "failed"):
        assert len(broken({**fine, key: 1})) == 1
    assert broken({**fine, "growth_mb": 200.0}) == ["the server's memory grew by 200 MB"]


def test_the_fuzz_sees_faults_over_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            def answer(request: bytes, context: Any) -> bytes:
                if details.method == "/slow":
                    gate.wait(60)
                elif details.method == "/wrong":
                    raise ValueError("oh")
                return b""

            return grpc.unary_unary_rpc_method_handler(answer)

    async def made(case: Call) -> str:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            return (await call(channel, case))[0]

    gate = Event()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[Faulty()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    cases = [Call("/right", b""), Call("/wrong", b""), Call("/slow", b"", 0.1), Call("/slow", b"", 0.1, leaves=True)]
    assert [asyncio.run(made(each)) for each in cases] == ["OK", "UNKNOWN", "DEADLINE_EXCEEDED", "left"]
    monkeypatch.setattr(serve_fuzz, "PATIENCE", 0.1)
    assert asyncio.run(made(Call("/slow", b""))) == "hang"
    gate.set()
    server.stop(0)


@pytest.mark.parametrize("kind", [*KINDS, *CALLS, *FRAMES])
def test_wild_requests_are_the_same_for_the_same_seed(kind: str) -> None:
    def made(seed: int) -> list[Case | Call]:
        chance = Random(seed)
        return [{**KINDS, **CALLS, **FRAMES}[kind](chance) for _ in range(5)]

    assert made(3) == made(3)
    assert all(case.method if isinstance(case, Call) else case.parts for case in made(4))
