"""Which requests are answered on the event loop: those to paths that were quick for long, and short ones alone."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo.serving import quick, rest
from zoo.serving.quick import ENOUGH, LONG, SMALL, Quick


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the next answer takes."""
    takes, now = [0.0], [0.0]

    def perf_counter() -> float:
        now[0] += takes[0] / 2  # half before the answer and half behind it
        return now[0]

    monkeypatch.setattr(quick.time, "perf_counter", perf_counter)
    return takes


def asked(known: Quick, times: int, path: str = "/p", body: bytes = b"{}") -> bool:
    for _ in range(times):
        assert known.timed(lambda path, body: body, path, body) == body
    return known.trusts(path, body)


def test_trust_takes_many_quick_answers_in_a_row(clock: list[float]) -> None:
    known = Quick()
    assert not asked(known, ENOUGH - 1)
    assert asked(known, 1)
    assert not known.trusts("/other", b"{}") and not known.trusts("/p", b" " * (SMALL + 1))
    clock[0] = 4e-3
    assert not asked(known, 1)
    clock[0] = 0.0
    assert not asked(known, ENOUGH - 1) and asked(known, 1)


def test_a_slow_answer_is_remembered_for_long(clock: list[float]) -> None:
    known = Quick()
    clock[0] = 0.1
    assert not asked(known, 1)
    clock[0] = 0.0
    assert not asked(known, LONG + ENOUGH - 1) and asked(known, 1)


def test_long_requests_and_failures_say_nothing(clock: list[float]) -> None:
    known = Quick()
    assert not asked(known, 2 * ENOUGH, body=b" " * (SMALL + 1))
    for _ in range(2 * ENOUGH):
        with pytest.raises(ZeroDivisionError):
            known.timed(lambda path, body: bytes(1 // 0), "/p", b"{}")
    assert not known.trusts("/p", b"{}")


def test_paths_without_end_take_no_memory_without_end(clock: list[float]) -> None:
    known = Quick()
    for number in range(2 * quick.MOST_PATHS):
        asked(known, 1, f"/{number}")
    assert len(known._in_a_row) == quick.MOST_PATHS
    assert asked(known, ENOUGH, "/1")


@pytest.mark.parametrize("batched", [False, True])
def test_a_trusted_path_is_answered_where_it_arrives(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, batched: bool
) -> None:
    monkeypatch.setattr(rest, "_post", lambda models, path, body: threading.current_thread().name.encode())
    replies: list[bytes] = []

    async def ask_often() -> None:
        with ThreadPoolExecutor(1, "pool") as threads:
            app = rest.app(None, threads, rest.RestOptions(batched=batched))
            scope = {"type": "http", "method": "POST", "raw_path": b"/v1/models/m:predict", "headers": []}

            async def receive() -> dict:
                return {"type": "http.request", "body": b"{}", "more_body": False}

            async def send(message: dict) -> None:
                replies.append(message.get("body", b""))

            for _ in range(ENOUGH + 1):
                await app(scope, receive, send)

    asyncio.run(ask_often())
    names = [each.decode() for each in replies if each]
    assert names == ["pool_0"] * ENOUGH + ["pool_0" if batched else threading.main_thread().name]
