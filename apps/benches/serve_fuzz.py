"""Requests that no client should send, thousands of them, to a server that must take them with a 4xx and live on."""

from __future__ import annotations

import asyncio
import random
from argparse import Namespace
from collections import Counter
from typing import Any

from apps.benches.serve_cases import KINDS, Case
from apps.benches.serve_process import Bench, bench, trivial
from apps.benches.serve_steady import show_broken
from zoo.progress import track

MOST_GROWTH_MB = 64.0
AT_ONCE = 32
PATIENCE = 30.0  # seconds without an answer are a hang; the server gives up on a client after two
FLAGS = ("--max_request_mib=1", "--rest_api_timeout_in_ms=2000")
_CHECK_EVERY = 200
_SETTLED = 0.2  # of the requests are sent before memory is looked at for the first time


def fuzz(args: Namespace) -> dict[str, Any]:
    """Sends wild requests, and between them good ones that must be answered rightly.

    Returns: "kinds" (kind -> outcome -> how often), "outcomes" (statuses, "closed", "hang", "left", over all kinds),
        "crashes", "hangs", "fives" (500s, with an example), "wrong" good answers, "growth_mb", and "broken".
    """
    with trivial() as subject, bench(subject, *FLAGS) as running:
        return asyncio.run(_fuzz(running, args.requests, args.seed))


async def _fuzz(running: Bench, requests: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    kinds: dict[str, Counter[str]] = {name: Counter() for name in KINDS}
    names = list(KINDS)
    examples: list[str] = []
    memory: list[float] = []
    wrong = failed = sent = crashes = 0
    with track("fuzzing", requests, "requests") as progress:
        while sent < requests and not crashes:
            count = min(_CHECK_EVERY, requests - sent)
            queue = [
                (name, KINDS[name](chance)) for name in (names[(sent + each) % len(names)] for each in range(count))
            ]
            await _send_all(running.server.addresses, queue, kinds, examples)
            sent += count
            if sent >= _SETTLED * requests:
                memory.append(running.server.memory_mb())
            crashes = int(not running.server.alive())
            good = running.clients.ask(running.load("rest", 4, 0.1))
            wrong += running.judge("rest", good.pop("replies"))["wrong"]
            failed += good["failed"] + (not good["answered"])
            progress.advance(count)
    outcomes = sum(kinds.values(), Counter())
    report = {
        "requests": sent,
        "kinds": {name: dict(each) for name, each in kinds.items()},
        "outcomes": dict(outcomes),
        "crashes": crashes,
        "hangs": outcomes["hang"],
        "fives": outcomes["500"],
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
        "fives": f"{report['fives']} answers were 500, such as {report['examples'][:1]}",
        "wrong": f"{report['wrong']} good requests between them were answered wrongly",
        "failed": f"{report['failed']} good requests between them failed",
    }
    found = [text for key, text in texts.items() if report[key]]
    if report["growth_mb"] > MOST_GROWTH_MB:
        found.append(f"the server's memory grew by {report['growth_mb']:.0f} MB")
    return found


async def _send_all(
    addresses: dict[str, str], queue: list[tuple[str, Case]], kinds: dict[str, Counter[str]], examples: list[str]
) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, case: Case) -> None:
        async with free:
            outcome, text = await send(addresses["rest"], case)
        kinds[name][outcome] += 1
        if outcome in ("500", "hang") and len(examples) < 20:
            examples.append(f"{name}: {b''.join(case.parts)[:300]!r} -> {text[:300]}")

    await asyncio.gather(*(one(*each) for each in queue))


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

    table = Table(title=f"{result['requests']:,} wild requests")
    outcomes = sorted(result["outcomes"])
    table.add_column("kind")
    for each in outcomes:
        table.add_column(each, justify="right")
    for name, found in result["kinds"].items():
        table.add_row(name, *(str(found.get(each, "")) for each in outcomes))
    Console(width=120).print(table)
    print(
        f"{result['crashes']} crashes, {result['hangs']} hangs, {result['fives']} answers of 500; good requests "
        f"between: {result['wrong']} wrong, {result['failed']} failed; memory {result['growth_mb']:+.0f} MB"
    )
    for text in result["examples"]:
        print(text)
    show_broken(result)
