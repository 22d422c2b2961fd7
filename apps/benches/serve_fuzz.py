"""Requests that no client should send, thousands of them, to a server that must refuse them and live on.

Over REST and over gRPC: calls with wild messages, and frames that no gRPC library would send.
"""

from __future__ import annotations

import asyncio
import random
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from typing import Any

from apps.benches.serve_cases import KINDS, Case
from apps.benches.serve_cases_grpc import CALLS, FRAMES, Call
from apps.benches.serve_process import Bench, bench, trivial
from apps.benches.serve_steady import show_broken
from zoo.progress import track

MOST_GROWTH_MB = 64.0
AT_ONCE = 32
PATIENCE = 30.0  # seconds without an answer are a hang; the server gives up on a client after two
FLAGS = ("--max_request_mib=1", "--rest_api_timeout_in_ms=2000")
_CHECK_EVERY = 200
_OURS = ("500", "UNKNOWN", "INTERNAL", "DATA_LOSS")  # what a server says where it is at fault
_SETTLED = 0.2  # of the requests are sent before memory is looked at for the first time


def fuzz(args: Namespace) -> dict[str, Any]:
    """Sends wild requests, and between them good ones that must be answered rightly.

    Returns: "kinds" (kind -> outcome -> how often), "outcomes" (over all kinds: HTTP statuses, names of gRPC's codes,
        "closed", "hang", "left"), "crashes", "hangs", "fives" (500s and what is the same over gRPC, with an example),
        "wrong" good answers, "growth_mb", and "broken".
    """
    with trivial() as subject, bench(subject, *FLAGS) as running:
        return asyncio.run(_fuzz(running, args.requests, args.seed))


async def _fuzz(running: Bench, requests: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    makers: dict[str, Callable[[random.Random], Case | Call]] = {**KINDS, **CALLS, **FRAMES}
    kinds: dict[str, Counter[str]] = {name: Counter() for name in makers}
    names = list(makers)
    examples: list[str] = []
    memory: list[float] = []
    wrong = failed = sent = crashes = 0
    with track("fuzzing", requests, "requests") as progress:
        while sent < requests and not crashes:
            count = min(_CHECK_EVERY, requests - sent)
            queue = [
                (name, makers[name](chance)) for name in (names[(sent + each) % len(names)] for each in range(count))
            ]
            await _send_all(running.server.addresses, queue, kinds, examples)
            sent += count
            if sent >= _SETTLED * requests:
                memory.append(running.server.memory_mb())
            crashes = int(not running.server.alive())
            for transport in running.server.addresses:
                good = running.clients.ask(running.load(transport, 4, 0.1))
                wrong += running.judge(transport, good.pop("replies"))["wrong"]
                failed += good["failed"] + (not good["answered"])
            progress.advance(count)
    outcomes = sum(kinds.values(), Counter())
    report = {
        "requests": sent,
        "kinds": {name: dict(each) for name, each in kinds.items()},
        "outcomes": dict(outcomes),
        "crashes": crashes,
        "hangs": outcomes["hang"],
        "fives": sum(outcomes[each] for each in _OURS),
        "examples": examples,
        "wrong": wrong,
        "failed": failed,
        "growth_mb": memory[-1] - memory[0],
    }
    return {**report, "broken": broken(report)}


def broken(report: dict[str, Any]) -> list[str]:
    """What must not be in a report."""
    texts = {
        "crashes": "the server has ended",
        "hangs": f"{report['hangs']} requests got no answer within {PATIENCE:g} seconds",
        "fives": f"{report['fives']} answers were the server's fault, such as {report['examples'][:1]}",
        "wrong": f"{report['wrong']} good requests between them were answered wrongly",
        "failed": f"{report['failed']} good requests between them failed",
    }
    found = [text for key, text in texts.items() if report[key]]
    if report["growth_mb"] > MOST_GROWTH_MB:
        found.append(f"the server's memory grew by {report['growth_mb']:.0f} MB")
    return found


async def _send_all(
    addresses: dict[str, str],
    queue: list[tuple[str, Case | Call]],
    kinds: dict[str, Counter[str]],
    examples: list[str],
) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(channel: Any, name: str, case: Case | Call) -> None:
        async with free:
            if isinstance(case, Call):
                outcome, text = await call(channel, case)
            else:
                outcome, text = await send(addresses["grpc" if name in FRAMES else "rest"], case)
        kinds[name][outcome] += 1
        if outcome in (*_OURS, "hang") and len(examples) < 20:
            sent = case.body if isinstance(case, Call) else b"".join(case.parts)
            examples.append(f"{name}: {sent[:300]!r} -> {outcome} {text[:300]}")

    import grpc

    async with grpc.aio.insecure_channel(addresses["grpc"], [("grpc.max_send_message_length", -1)]) as channel:
        await asyncio.gather(*(one(channel, *each) for each in queue))


async def call(channel: Any, case: Call) -> tuple[str, str]:
    """Makes a call.

    Returns: the outcome (the name of a code of gRPC, "left", "hang") and what was said.
    """
    import grpc

    seconds = PATIENCE if case.seconds is None else case.seconds
    running = channel.unary_unary(case.method)(
        case.body, timeout=None if case.leaves else seconds, metadata=case.metadata
    )
    if case.leaves:
        await asyncio.sleep(seconds)
        running.cancel()
        return "left", ""
    try:
        await running
    except grpc.aio.AioRpcError as error:
        late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and case.seconds is None
        return "hang" if late else error.code().name, error.details() or ""
    return "OK", ""


async def send(address: str, case: Case) -> tuple[str, str]:
    """Sends a case over a connection of its own.

    Returns: the outcome (a status, "closed" where the server closed without one, "left" where the client did not wait,
        "hang") and the start of what came.
    """
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        async with asyncio.timeout(PATIENCE):
            came = await _talk(reader, writer, case)
    except TimeoutError:
        return "hang", ""
    except (OSError, EOFError) as error:
        return "closed", repr(error)
    finally:
        writer.close()
    if case.leaves:
        return "left", ""
    return (came[9:12].decode("latin-1") if came.startswith(b"HTTP/1") else "closed"), came.decode("utf-8", "replace")


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: Case) -> bytes:
    for part in case.parts:
        writer.write(part)
        await writer.drain()
        if case.pause:
            await asyncio.sleep(case.pause)
    if case.leaves:
        return b""
    if case.half_close:
        writer.write_eof()
    return await reader.read(4096)


def show(result: dict[str, Any]) -> None:
    """Prints a line for each kind of request."""
    from rich.console import Console
    from rich.table import Table

    for transport, kinds in (("REST", [*KINDS]), ("gRPC", [*CALLS, *FRAMES])):
        found = {name: result["kinds"][name] for name in kinds}
        outcomes = sorted({outcome for each in found.values() for outcome in each})
        table = Table(title=f"wild requests over {transport}")
        table.add_column("kind")
        for outcome in outcomes:
            table.add_column(outcome, justify="right")
        for name, each in found.items():
            table.add_row(name, *(str(each.get(outcome, "")) for outcome in outcomes))
        Console(width=160).print(table)
    print(
        f"{result['requests']:,} requests: {result['crashes']} crashes, {result['hangs']} hangs, {result['fives']} "
        f"faults of the server; good requests between: {result['wrong']} wrong, {result['failed']} failed; "
        f"memory {result['growth_mb']:+.0f} MB"
    )
    for text in result["examples"]:
        print(text)
    show_broken(result)
