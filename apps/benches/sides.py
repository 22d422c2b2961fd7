"""Sides of a comparison, each in a process of its own that loads once and then answers lines of JSON."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

Answer = Callable[[list[list[Any]]], list[Any]]  # batches of inputs -> answers, in order


@contextmanager
def running(module: str, spec: dict[str, Any], threads: int) -> Iterator[Any]:
    """A process of `python -m module SPEC`, tied to one core where it has one thread."""
    tied = {**spec, "threads": threads, "core": (os.cpu_count() or 1) - 1 if threads == 1 else None}
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
    }
    command, pipe = [sys.executable, "-m", module, json.dumps(tied)], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()


def ask(process: Any, asked: dict[str, int]) -> dict[str, Any]:
    """What a side answers to a line, {"batch", "count"} for inputs; with its "peak_mb".

    Raises: RuntimeError where it has ended.
    """
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a side has ended early, with exit code {process.wait()}")
    return json.loads(line)


def turned(running: dict[Any, Any], number: int) -> list[tuple[Any, Any]]:
    """The sides of a round: every other one goes backwards, so that none is always the first after another."""
    return list(running.items())[:: 1 if number % 2 == 0 else -1]


def serve(start: Callable[[dict[str, Any]], Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """What such a process does, until its standard input ends: a line of JSON for each line of it.

    Args:
        start: spec -> how it answers what is asked; "peak_mb" is added to that.
    """
    spec = json.loads(sys.argv[1])
    if spec["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {spec["core"]})
    with redirect_stdout(sys.stderr):  # where a library greets, no answer may stand
        answer = start(spec)
    for line in sys.stdin:
        found = answer(json.loads(line))
        print(json.dumps({**found, "peak_mb": peak_megabytes()}), flush=True)


def answer_lines(start: Callable[[dict[str, Any]], Answer]) -> None:
    """What a process does that answers inputs, {"batch", "count"}: {"seconds", "answers", "peak_mb"}.

    Args:
        start: spec -> how it answers. spec["texts"] is a JSON file of inputs; short ones are asked first.
    """

    def begin(spec: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        answer = start(spec)
        texts = json.loads(Path(spec["texts"]).read_text(encoding="utf-8"))

        def timed(asked: dict[str, Any]) -> dict[str, Any]:
            chosen, rows = texts[: asked["count"]], asked["batch"]
            if asked.get("sorted", True):
                chosen = sorted(chosen, key=len)
            batches = [chosen[first : first + rows] for first in range(0, len(chosen), rows)]
            started = time.perf_counter()
            answers = answer(batches)
            return {"seconds": time.perf_counter() - started, "answers": answers}

        return timed

    serve(begin)


def peak_megabytes() -> int:
    """The most memory that this process had. On Linux getrusage would also count the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text()).group(1)) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2
