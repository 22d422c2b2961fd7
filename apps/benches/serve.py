"""Load on a server, beside what the same machine does without one, in alternating rounds of one run.

The floor is a bare handler on the same HTTP or gRPC library that calls the SavedModel and sends the request back. Each
of the server, the clients, and the bare SavedModel runs in a process of its own; of the three one is always idle.
"""

from __future__ import annotations

import statistics
import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from apps.benches.serve_bare import WARMUP
from apps.benches.serve_process import Bench, Subject, bench, trivial
from apps.benches.train import processor
from zoo.errors import UserError
from zoo.progress import track

FULL = 32  # rows of a full batch
_WARM_SECONDS = 0.3


def measure(args: Namespace) -> dict[str, Any]:
    """Measures every cell: a transport and a number of clients.

    Returns: model, rates, memory, versions, and "cells", with the rounds of each side ("zoo", "floor", and "endpoint"
        where one is given) and the ratios zoo / other of their median latencies and throughputs, round by round.
        "broken" says what must not be: failed requests, wrong answers of the server, other answers of the endpoint.
    """
    endpoints = _endpoints(args.endpoint)
    with nullcontext(_subject(args)) if args.model else trivial() as subject:
        return _measure(subject, args, endpoints)


def _subject(args: Namespace) -> Subject:
    home = Path(args.model).resolve()
    versions = sorted((each for each in home.glob("*") if each.name.isdecimal()), key=lambda each: int(each.name))
    if not versions:
        raise UserError("no version of a model is here.", where=str(home), remedy="Give a model's home.")
    rows: list[Any] = []
    if args.texts:
        try:
            rows = Path(args.texts).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read as text: {error}.", where=args.texts) from error
    elif not (versions[-1] / WARMUP).exists():
        raise UserError("this model has no warm-up requests to ask.", where=str(home), remedy="Give --texts FILE.")
    return Subject(home, home.name, versions[-1:], rows)


def _batching(args: Namespace) -> list[str]:
    if not args.batching:
        return []
    file = Path(args.model) / "batching_parameters.txt"
    return ["--enable_batching", *([f"--batching_parameters_file={file}"] if args.model and file.exists() else [])]


def _measure(subject: Subject, args: Namespace, endpoints: dict[str, str]) -> dict[str, Any]:
    cells = []
    with bench(subject, *_batching(args), rows_a_request=args.rows) as running:
        total = len(args.transport) * len(args.clients)
        before = running.server.memory_mb()
        with track("measuring", total, "cells") as progress:
            for transport in args.transport:
                sides = {"zoo": running.server.addresses[transport], "floor": f"127.0.0.1:{running.made[transport]}"}
                if transport in endpoints:
                    sides["endpoint"] = endpoints[transport]
                for clients in args.clients:
                    cells.append(_cell(running, transport, clients, sides, args))
                    progress.advance()
        memory = {"before_mb": before, "after_mb": running.server.memory_mb()}
    return {
        "model": subject.name,
        "batching": bool(args.batching),
        "rate": args.rate,
        "rows": args.rows,
        "seconds": args.seconds,
        "rounds": args.rounds,
        "memory": memory,
        "cells": cells,
        "broken": [text for cell in cells for text in cell["broken"]],
        **processor(),
    }


def _endpoints(addresses: list[str]) -> dict[str, str]:
    """Transport -> HOST:PORT of URLs.

    Raises: UserError for one that is neither http:// nor grpc://.
    """
    found = {}
    for each in addresses:
        scheme, _, address = each.partition("://")
        if scheme not in ("http", "grpc") or not address.rstrip("/").rpartition(":")[2].isdecimal():
            raise UserError("this is no endpoint.", where=each, remedy="Give http://HOST:PORT or grpc://HOST:PORT.")
        found["rest" if scheme == "http" else "grpc"] = address.rstrip("/")
    return found


def _cell(running: Bench, transport: str, clients: int, sides: dict[str, str], args: Namespace) -> dict[str, Any]:
    """Measures one transport with one number of clients; the first load of each side warms up, and is not counted."""
    for address in sides.values():
        running.clients.ask(running.load(transport, clients, _WARM_SECONDS, address=address))
    rounds = []
    for number in range(args.rounds):
        this: dict[str, Any] = {}
        for side, address in list(sides.items())[:: 1 if number % 2 == 0 else -1]:
            this[side] = running.clients.ask(running.load(transport, clients, args.seconds, args.rate, address))
        if args.model and not args.rate:  # an open loop has the throughput that it was told to have
            this["bare"] = running.bare.ask({"full": FULL, "seconds": args.seconds})
        rounds.append(this)
    broken = []
    for this in rounds:
        for side in sides:
            replies = this[side].pop("replies")
            this[side]["tokens_a_second"] = total_tokens(replies, running.made["tokens"]) / this[side]["seconds"]
            this[side]["rows_a_second"] = this[side]["requests_a_second"] * args.rows
            this[side] |= {"wrong": 0} if side == "floor" else running.judge(transport, replies)
            broken += broken_load(f"{side}, {transport}, {clients} clients", this[side])
    return {"transport": transport, "clients": clients, "rounds": rounds, "ratios": _ratios(rounds), "broken": broken}


def total_tokens(replies: list[dict[str, int]], tokens: list[int]) -> int:
    """Tokens of all requests that were answered; 0 where the model does not tell them."""
    if not tokens:
        return 0
    return sum(sum(each.values()) * number for each, number in zip(replies, tokens, strict=True))


def broken_load(where: str, report: dict[str, Any]) -> list[str]:
    """What must not be in a load's report."""
    texts = []
    if report["failed"]:
        texts.append(f"{where}: {report['failed']} requests failed, such as {next(iter(report['errors']))}")
    if report["wrong"]:
        texts.append(f"{where}: {report['wrong']} answers were wrong: {report['differences'][0]}")
    if not report["answered"]:
        texts.append(f"{where}: nothing was answered")
    return texts


def _ratios(rounds: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Of each round: zoo's median latency to that of the others, and its share of their throughput."""
    found: dict[str, list[float]] = {}
    for this in rounds:
        ours = this["zoo"]
        for side in ("floor", "endpoint"):
            if side in this and this[side]["answered"] and ours["answered"]:
                found.setdefault(f"p50 to {side}", []).append(ours["p50_ms"] / this[side]["p50_ms"])
        if ours["answered"]:
            found.setdefault("p99 to p50", []).append(ours["p99_ms"] / ours["p50_ms"])
        if "bare" in this:
            found.setdefault("share of bare", []).append(ours["rows_a_second"] / this["bare"]["rows_a_second"])
    return found


def show(result: dict[str, Any]) -> None:
    """Prints a table for each transport."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 150)
    for transport in dict.fromkeys(cell["transport"] for cell in result["cells"]):
        cells = [cell for cell in result["cells"] if cell["transport"] == transport]
        table = Table(title=f"{result['model']} over {transport}, {result['rows']} rows a request; milliseconds")
        names = list(cells[0]["ratios"])
        for column in ("clients", "requests/s", "rows/s", "tokens/s", "p50", "p95", "p99", "failed", "wrong", *names):
            table.add_column(column, justify="right")
        for cell in cells:
            table.add_row(*_row(cell, names))
        console.print(table)
    memory = result["memory"]
    loop = f"{result['rate']:g} requests a second" if result["rate"] else "closed loop"
    print(
        f"{result['processor']}, {result['cores']} cores; {loop}; {result['rounds']} rounds of {result['seconds']:g} s"
    )
    print(f"memory of the server: {memory['before_mb']:.0f} MB before, {memory['after_mb']:.0f} MB after")
    print("tokens: real ones of source and target, where a signature of the model counts them; else 0")
    print("ratios: median (lowest to highest of the rounds); all figures are medians of the rounds")
    for text in result["broken"]:
        print(f"BROKEN: {text}")


def _row(cell: dict[str, Any], names: list[str]) -> list[str]:
    ours = [this["zoo"] for this in cell["rounds"]]

    def median(key: str) -> str:
        found = [each[key] for each in ours if each[key] is not None]
        return f"{statistics.median(found):,.2f}" if found else "-"

    def ratio(name: str) -> str:
        values = cell["ratios"].get(name)
        if not values:
            return "-"
        low, middle, high = (f(values) for f in (min, statistics.median, max))
        return f"{middle:.2f} ({low:.2f} to {high:.2f})"

    counts = [str(sum(each[key] for each in ours)) for key in ("failed", "wrong")]
    speeds = [median(key) for key in ("requests_a_second", "rows_a_second", "tokens_a_second")]
    speeds += [median(key) for key in ("p50_ms", "p95_ms", "p99_ms")]
    return [str(cell["clients"]), *speeds, *counts, *map(ratio, names)]
