"""Fine-tuning speed: a classifier over an encoder, our step against transformers in PyTorch, on the same batches.

Both sides begin with the same weights and learn all of them (or all but the embeddings) from the same real sentences,
each in a process of its own, in turn. Ours is the step of `zoo classify_text train` with its input from Grain. The
peer has its batches ready in memory, fused attention and fused AdamW, and leaves out rows that are all padding.
Dropout is the same on both. transformers has one pooler for a classifier; an encoder with the mean of all positions
gets that one, with new weights, on both sides.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from apps.benches import sides as processes
from apps.benches.train import processor
from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.progress import track
from zoo.recipe import Recipe
from zoo.run import Run, Start

# What the peer does not do, or not so.
PLAIN = (
    *("training.accumulate=1", "training.devices=1", "training.average_decay=0.0", "training.deterministic=false"),
    *("training.layer_decay=1.0", "training.unfreeze_every=0", "training.lora_rank=0"),
    *("training.label_smoothing=0.0", "training.class_weights=none"),
)
SAME_LOSS = 1e-4  # of the first batch, relative


def measure(args: Namespace) -> dict[str, Any]:
    """Measures every number of threads.

    Returns: processor, and "cells": real tokens a second of each round by side, by the clock and by the processor's
    time; the ratios zoo / peer of both; peak memory; weights that learn and the loss of the first batch by side.
    "broken" says where these two differ, so that the sides are not the same model.

    Raises: UserError where the model is no encoder, or the recipe is not for one label a text.
    """
    start = start_of(Path(args.model))
    sides = _sides(args.precision)
    threads = sorted({1, os.cpu_count() or 1}) if args.threads == 0 else [args.threads]
    cells: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        recipe = _recipe(args, start)
        _prepare(recipe, start, Path(folder))
        with track("measuring", len(threads) * (args.rounds + 1), "rounds") as progress:
            for count in threads:
                with ExitStack() as stack:
                    running = {
                        side: stack.enter_context(
                            processes.running("apps.benches.finetune_side", {**spec, "folder": folder}, count)
                        )
                        for side, spec in sides.items()
                    }
                    cells.append({"threads": count, **_cell(running, args, progress)})
    broken = [line for cell in cells for line in _differences(cell["first"], args.precision)]
    about = {"recipe": recipe.name, "set": recipe.data.set, "budget": recipe.training.budget, "freeze": args.freeze}
    return {"cells": cells, "sides": list(sides), **about, "broken": broken, **processor()}


def _sides(precision: str) -> dict[str, dict[str, str]]:
    """What each side is to be, ours first."""
    sides = {"zoo": {"side": "zoo", "precision": precision}}
    if find_spec("transformers") and find_spec("torch"):
        sides["transformers"] = {"side": "transformers", "precision": "float32"}
        if precision != "float32":
            sides[f"transformers {precision}"] = {"side": "transformers", "precision": precision}
    return sides


def start_of(path: Path) -> Start:
    """The weights, preprocessors and sizes of a checkpoint's folder, a run or a model home."""
    if not (path / "config.json").is_file():
        from zoo.train import starting_point

        return starting_point(str(path))
    from zoo.interop.huggingface import read
    from zoo.interop.run_folder import made_recipe

    found = read(path)
    weights = {f"model/{name}": array for name, array in found.weights.items()}
    return Start(made_recipe(found, path.resolve().name), {"text": found.subwords}, weights)


def with_fixed(overrides: Sequence[str], fixed: Sequence[str]) -> list[str]:
    """What a user sets, with what the bench needs as it is. Raises: UserError where both name the same field."""
    fields = {change.partition("=")[0]: change for change in fixed}
    for override in overrides:
        if field := fields.get(override.partition("=")[0].strip()):
            raise UserError(f"the bench holds {field}, for both sides alike", where=f"--set {override}")
    return [*overrides, *fixed]


def _recipe(args: Namespace, start: Start) -> Recipe:
    """The recipe that says what is read and how, with the encoder of `start`."""
    from apps.commands.task import with_model_of
    from zoo.tasks.classify_text import ClassifyText

    mean = getattr(getattr(start.recipe, "model", None), "pooler", "") == "mean"
    pooler = ["model.pooler=cls_dense"] if mean else []
    changes = with_fixed(args.overrides, (*PLAIN, *pooler, f"training.freeze={args.freeze}"))
    path = recipes.find("classify_text", args.recipe)
    if recipes.peek_task(path) != "classify_text":
        raise UserError("fine-tuning is measured with a recipe of classify_text", where=str(path))
    recipe = recipes.read(path, ClassifyText.schema(), changes)
    if recipe.data.multi_label:
        raise UserError("fine-tuning is measured with one label a text", where=str(path))
    if recipe.training.teacher:
        raise UserError("fine-tuning is measured without a teacher", where=str(path))
    return with_model_of(recipe, start, pooler)


def _prepare(recipe: Recipe, start: Start, folder: Path) -> None:
    """Writes what both sides read: the run with its preprocessors, and the weights as transformers reads them."""
    from zoo.interop.huggingface import write

    run = Run(folder / "run", recipe)
    run.claim()
    run.prepare(start.preprocessors)
    model = run.task.build_model(recipe.training.seed)
    run.task.start_from(model, start)
    write(model, run.task.subwords, folder / "peer", run.task.labels.names)


def _cell(running: dict[str, Any], args: Namespace, progress: Any) -> dict[str, Any]:
    first = {side: processes.ask(process, {}) for side, process in running.items()}
    asked = {"updates": args.updates}
    for process in running.values():
        processes.ask(process, asked)  # warms up, and is not told
    progress.advance()
    found = []
    for number in range(args.rounds):
        found.append({side: processes.ask(process, asked) for side, process in processes.turned(running, number)})
        progress.advance()
    peers = [side for side in running if side != "zoo"]
    cell: dict[str, Any] = {"first": first, "peak_mb": {side: found[-1][side]["peak_mb"] for side in running}}
    for unit, name in (("seconds", ""), ("processor_seconds", "processor_")):
        speeds = {side: [each[side]["tokens"] / each[side][unit] for each in found] for side in running}
        cell[f"tokens_per_{name}second"] = speeds
        cell[f"{name}ratios"] = {
            side: [ours / theirs for ours, theirs in zip(speeds["zoo"], speeds[side], strict=True)] for side in peers
        }
    return cell


def _differences(first: dict[str, dict[str, Any]], precision: str) -> list[str]:
    """What shows that the sides are not the same model."""
    ours, told = first["zoo"], []
    for side, theirs in first.items():
        if theirs["weights"] != ours["weights"]:
            told.append(f"{side} learns {theirs['weights']:,} weights, zoo {ours['weights']:,}")
        apart = abs(theirs["loss"] - ours["loss"]) > SAME_LOSS * abs(theirs["loss"])
        if precision == "float32" and apart:
            told.append(f"the first loss is {theirs['loss']:.6f} for {side}, {ours['loss']:.6f} for zoo")
    return told


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    peers = result["sides"][1:]
    table = Table(title=f"real tokens a second of a fine-tuning; {result['set'] or result['recipe']}")
    columns = [f"{what} to {peer}" for peer in peers for what in ("ratio", "by processor time")]
    for column in ("threads", *result["sides"], *columns, "peak MB"):
        table.add_column(column, justify="right")
    for cell in result["cells"]:
        row = [f"{statistics.median(speeds):,.0f}" for speeds in cell["tokens_per_second"].values()]
        row += [_spread(cell[name][peer]) for peer in peers for name in ("ratios", "processor_ratios")]
        table.add_row(str(cell["threads"]), *row, " ".join(f"{value:,}" for value in cell["peak_mb"].values()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    weights = result["cells"][0]["first"]["zoo"]["weights"]
    rounds = len(result["cells"][0]["tokens_per_second"]["zoo"])
    print(f"{result['processor']}, {result['cores']} cores; {rounds} rounds; ratios above 1: zoo is faster")
    print(f"{weights:,} weights learn; batches of {result['budget']:,} padded pieces")
    for line in result["broken"]:
        print(f"NOT THE SAME: {line}")
    if not peers:
        print("the peer was skipped: transformers and torch are not installed")


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
