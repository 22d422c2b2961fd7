"""A server under load that must not falter: new versions come and go (`swap`), or time passes (`soak`)."""

from __future__ import annotations

import shutil
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from apps.benches.serve import broken_load
from apps.benches.serve_process import Bench, bench, trivial
from zoo.progress import track

MOST_GROWTH_MB = 100.0
_SWAP_SECONDS = 60.0  # for one new version to be taken up
_FOREVER = 24 * 3600.0
_MIX = (("rest", 1), ("grpc", 8), ("rest", 16), ("grpc", 1), ("rest", 4), ("grpc", 32))  # in turn, one load each


def swap(args: Namespace) -> dict[str, Any]:
    """Puts versions in place while clients ask without pause, over each transport.

    Returns: "cells", one for each transport, with the load's report, how many swaps were seen and the seconds of each;
        "broken" says what must not be: failed requests, wrong answers, versions that were not taken up.
    """
    cells = []
    for transport in args.transport:
        with (
            trivial(range(1, args.swaps + 2)) as subject,
            bench(subject, "--file_system_poll_wait_seconds=0.2", *_batching(args)) as running,
        ):
            load = running.load(transport, args.clients, _FOREVER)
            before = running.server.memory_mb()
            running.clients.tell(load)
            seconds = []
            with track(f"swapping, {transport}", args.swaps, "versions") as progress:
                for path in subject.versions[1:]:
                    seconds.append(_swap(running, subject.home, path))
                    progress.advance()
            running.clients.tell({})  # ends the load
            report = running.clients.hear()
            report |= running.judge(transport, report.pop("replies"))
            report |= {"transport": transport, "clients": args.clients, "swap_seconds": seconds}
            report |= {"swaps": sum(each is not None for each in seconds)}
            report |= {"growth_mb": running.server.memory_mb() - before}
            cells.append(report)
    broken = [text for each in cells for text in broken_load(f"{each['transport']}, {each['clients']} clients", each)]
    broken += [f"{each['transport']}: only {each['swaps']} swaps" for each in cells if each["swaps"] < args.swaps]
    return {"cells": cells, "broken": broken}


def _swap(running: Bench, home: Path, path: Path) -> float | None:
    """Copies a version in under a name that is none, renames it, and waits for it alone to be served; None if not."""
    shutil.copytree(path, home / f"coming-{path.name}")
    (home / f"coming-{path.name}").rename(home / path.name)
    wanted = f"{home.name} version {int(path.name) - 1} is unloaded"
    began = time.monotonic()
    while time.monotonic() - began < _SWAP_SECONDS:
        if wanted in running.server.log:
            return time.monotonic() - began
        time.sleep(0.02)
    return None


def soak(args: Namespace) -> dict[str, Any]:
    """Asks over both transports, with few and many clients in turn, for so many minutes of load.

    Returns: "loads" (how many), "answered", "failed", "wrong", "memory_mb" after each load, "growth_mb" from the end
        of the first turn of all loads to the end, and "broken".
    """
    loads = max(len(_MIX), round(args.minutes * 60 / args.load_seconds))
    total = {"answered": 0, "failed": 0, "wrong": 0}
    memory: list[float] = []
    broken: list[str] = []
    with trivial() as subject, bench(subject, *_batching(args)) as running:
        with track("soaking", loads, "loads") as progress:
            for number in range(loads):
                transport, clients = _MIX[number % len(_MIX)]
                rate = 200.0 if clients == 4 else 0.0  # one of the loads is an open loop
                report = running.clients.ask(running.load(transport, clients, args.load_seconds, rate))
                report |= running.judge(transport, report.pop("replies"))
                for key in total:
                    total[key] += report[key]
                broken += broken_load(f"load {number + 1}: {transport}, {clients} clients", report)
                memory.append(running.server.memory_mb())
                progress.advance()
        if not running.server.alive():
            broken.append("the server has ended")
    growth = memory[-1] - memory[len(_MIX) - 1]
    if growth > MOST_GROWTH_MB:
        broken.append(f"the server's memory grew by {growth:.0f} MB")
    return {"loads": loads, **total, "memory_mb": memory, "growth_mb": growth, "broken": broken}


def _batching(args: Namespace) -> list[str]:
    return ["--enable_batching"] if args.batching else []


def show_swap(result: dict[str, Any]) -> None:
    """Prints a line for each transport."""
    for each in result["cells"]:
        seconds = [taken for taken in each["swap_seconds"] if taken is not None]
        slowest = f", the slowest in {max(seconds):.2f} s" if seconds else ""
        print(
            f"{each['transport']}: {each['swaps']} swaps{slowest}; {each['clients']} clients, {each['answered']:,} "
            f"answers ({each['requests_a_second']:,.0f} a second), {each['failed']} failed, {each['wrong']} wrong; "
            f"p50 {each['p50_ms'] or 0:.1f} ms, p99 {each['p99_ms'] or 0:.1f} ms, "
            f"longest {each['max_ms'] or 0:.0f} ms; memory {each['growth_mb']:+.0f} MB"
        )
    show_broken(result)


def show_soak(result: dict[str, Any]) -> None:
    """Prints the sums."""
    print(
        f"{result['loads']} loads: {result['answered']:,} answers, {result['failed']} failed, {result['wrong']} wrong; "
        f"memory {result['memory_mb'][-1]:.0f} MB, {result['growth_mb']:+.0f} MB since the first turn"
    )
    show_broken(result)


def show_broken(result: dict[str, Any]) -> None:
    """Prints what must not be."""
    for text in result["broken"]:
        print(f"BROKEN: {text}")
