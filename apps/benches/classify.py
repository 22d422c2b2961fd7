"""Classification speed: an exported SavedModel against transformers on PyTorch and ONNX Runtime, same weights.

Strings in, labels out. Sentences come in the order of the test set, as strangers' do, so that a batch has short and
long ones. Each side runs in a process of its own, in turn; tokenizing is part of the time on all. transformers has one
pooler, a dense layer over the first position: where the home's is another, all sides get that one, with new weights.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from apps.benches import sides as processes
from apps.benches.train import processor
from zoo.errors import UserError
from zoo.progress import track

PEERS = {
    "transformers": ("transformers", "torch"),
    "onnxruntime": ("transformers", "torch", "onnx", "onnxruntime"),
}  # and what they need
COUNTS = {1: 64, 8: 256, 32: 512}  # sentences of a round, by size of batch


def measure(args: Namespace) -> dict[str, Any]:
    """Measures every number of threads and size of batch.

    Returns: processor, and "cells": sentences a second of each round by side, the ratios zoo / peer, the share of equal
    labels, peak memory; "skipped": why a peer was left out, by its name.

    Raises: UserError where the home is no classifier of single texts.
    """
    from zoo.export.loaded import load
    from zoo.export.scores import TestSet

    home = load(args.model)
    if home.recipe.task != "classify_text" or list(home.signatures["serving_default"]["inputs"]) != ["text"]:
        raise UserError("this is no classifier of single texts", where=args.model)
    test = TestSet.of_recipe(home.task)
    missing = {peer: [name for name in needed if not find_spec(name)] for peer, needed in PEERS.items()}
    skipped = {peer: f"not installed: {', '.join(names)}" for peer, names in missing.items() if names}
    threads = sorted({1, os.cpu_count() or 1}) if args.threads == 0 else [args.threads]
    cells: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, track("measuring", len(threads) * len(COUNTS), "cells") as progress:
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps(test.raws), encoding="utf-8")
        _prepare(home, Path(folder))
        if "onnxruntime" not in skipped and (failed := _to_onnx(Path(folder) / "peer")):
            skipped["onnxruntime"] = failed
        peers = [peer for peer in PEERS if peer not in skipped]
        spec = {"folder": folder, "texts": str(texts), "most": home.recipe.data.max_length}
        for count in threads:
            with ExitStack() as stack:
                running = {
                    side: stack.enter_context(
                        processes.running("apps.benches.classify_side", {**spec, "side": side}, count)
                    )
                    for side in ("zoo", *peers)
                }
                for batch in COUNTS:
                    cells.append({"threads": count, "batch": batch, **_cell(running, batch, args.rounds)})
                    progress.advance()
    return {"cells": cells, "rounds": args.rounds, "set": test.name, "peers": peers, "skipped": skipped, **processor()}


def _prepare(home: Any, folder: Path) -> None:
    """Writes the model as a SavedModel, `zoo`, and as transformers reads it, `peer`."""
    import tensorflow as tf

    from zoo.export.bundle import Bundle
    from zoo.interop.huggingface import write
    from zoo.models.bert import Bert
    from zoo.tasks.task import resolve

    task, weights = home.task, home.weights
    model = Bert(replace(task.config, pooler="cls_dense"))
    for variable in model.weights:
        if f"model/{variable.path}" in weights:
            variable.assign(weights[f"model/{variable.path}"])
    exported = resolve(task.exporter)(Bundle(task, model, examples=[]), "float32")
    signatures = {"serving_default": exported.functions["serving_default"]}
    tf.saved_model.save(exported.module, str(folder / "zoo"), signatures=signatures)
    write(model, task.preprocessors["text"], folder / "peer", task.preprocessors["labels"].names)


def _to_onnx(folder: Path) -> str:
    """Adds the model of ONNX Runtime to the folder; what went wrong, or nothing."""
    command = [sys.executable, "-m", "apps.benches.to_onnx", str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    said = out.stderr.strip().rpartition("\n")[2]
    return f"this model could not be exported: {said}" if out.returncode else ""


def _cell(running: dict[str, Any], batch: int, rounds: int) -> dict[str, Any]:
    asked = {"batch": batch, "count": COUNTS[batch], "sorted": False}
    first = {side: processes.ask(process, asked) for side, process in running.items()}  # warms up, and is not timed
    found = [
        {side: processes.ask(process, asked) for side, process in processes.turned(running, number)}
        for number in range(rounds)
    ]
    rows = len(first["zoo"]["answers"])
    speeds = {side: [rows / each[side]["seconds"] for each in found] for side in running}
    peers = [side for side in running if side != "zoo"]
    return {
        "sentences_per_second": speeds,
        "ratios": {
            side: [ours / theirs for ours, theirs in zip(speeds["zoo"], speeds[side], strict=True)] for side in peers
        },
        "agreement": {
            side: statistics.mean(map(str.__eq__, first["zoo"]["answers"], first[side]["answers"])) for side in peers
        },
        "peak_mb": {side: found[-1][side]["peak_mb"] for side in running},
    }


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"sentences a second, strings in and labels out; {result['set']}")
    ratios = [f"to {peer}" for peer in result["peers"]]
    for column in ("threads", "batch", "zoo", *result["peers"], *ratios, "same label", "peak MB"):
        table.add_column(column, justify="right")
    for cell in result["cells"]:
        row = [str(cell["threads"]), str(cell["batch"])]
        row += [f"{statistics.median(speeds):,.0f}" for speeds in cell["sentences_per_second"].values()]
        for each in cell["ratios"].values():
            row.append(f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})")
        row += [" ".join(f"{share:.1%}" for share in cell["agreement"].values())]
        table.add_row(*row, " ".join(f"{value:,}" for value in cell["peak_mb"].values()))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    print(f"{result['processor']}, {result['cores']} cores; {result['rounds']} rounds; ratios above 1: zoo is faster")
    for peer, why in result["skipped"].items():
        print(f"{peer} was skipped; {why}")
