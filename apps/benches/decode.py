"""Decoding speed: the exported SavedModel against CTranslate2 on the same weights, from strings to strings.

Every side runs in a process of its own, one at a time and in turn, so that whatever else the machine does meets all of
them. Two models: the shipped one on real sentences, and a transformer-base of random weights that never ends before 32
pieces. On one thread a process is tied to one core; on all threads each side shows the better of its two ways, one
batch on all threads or as many batches at a time as there are threads.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.benches import sides as processes
from apps.benches.train import processor
from zoo.decoding.choices import SearchChoices
from zoo.progress import track

BEAMS = (1, 4)
PEERS = ("float32", "int8")
FORCED = 32  # pieces of each answer of the random model
VOCABULARY = 32_000  # of the random model, which answers in the pieces that its preprocessor knows
BYTES = 256  # of these pieces, behind the special ones; as they come at random they are no text
SET, SPLIT = "multi30k", "test_2016_flickr"
TEXTS = {"shipped": {1: 48, 8: 96, 32: 256}, "base": {1: 8, 8: 16, 32: 64}}  # texts of a round, by size of batch


class Model(NamedTuple):
    """A model to be measured. folder: what `_prepare` wrote; choices: of its search, all but the beam."""

    name: str
    folder: Path
    choices: SearchChoices
    lowercase: bool


def measure(args: Namespace) -> dict[str, Any]:
    """Prepares both models for both sides and measures every cell.

    Returns: processor, versions, and "cells": one for each model, number of threads, beam and batch size, with the
    seconds of each round by side, the ratios peer / zoo of each round, agreement of the answers and peak memory.
    """
    from zoo.export.home import load

    peers = PEERS if find_spec("ctranslate2") else ()
    threads = sorted({1, os.cpu_count() or 1}) if args.threads == 0 else [args.threads]
    home = load(args.model)
    texts = _texts(home)
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        models = [_prepare(name, home, Path(folder) / name) for name in args.sizes]
        total = len(models) * len(threads) * len(BEAMS) * len(args.batches)
        with track("measuring", total, "cells") as progress:
            for model in models:
                for count in threads:
                    for cell in _cells(model, path, count, args, ["zoo", *peers]):
                        cells.append(cell)
                        progress.advance()
    return {"cells": cells, "rounds": args.rounds, "set": f"{SET} {SPLIT}", **processor(), **_versions()}


def _texts(home: Any) -> list[str]:
    from zoo.data import registry

    export = home.recipe.export
    columns = {"source": export.source_language or "en", "target": export.target_language or "de"}
    most = max(max(counts.values()) for counts in TEXTS.values())
    return [example.values["source"] for example, _ in zip(registry.load(SET, SPLIT, columns), range(most))]


def _prepare(name: str, home: Any, folder: Path) -> Model:
    """Writes the model as SavedModels, one for each beam, and as CTranslate2 reads it."""
    import tensorflow as tf

    from zoo.export.bundle import Bundle
    from zoo.export.text_to_text import build
    from zoo.tasks.task import make
    from zoo.training.checkpoints import restore_weights

    task = home.task
    if name == "shipped":
        model, choices = task.build_model(0), replace(home.recipe.decoding, n_best=1)
        restore_weights(model, home.weights)
    else:
        known = task.preprocessors["target"].size
        model, choices = _random_base(known), SearchChoices(length_factor=0.0, length_extra=FORCED)
    folder.mkdir()
    for beam in BEAMS:
        sections = {**home.recipe.sections, "decoding": replace(choices, beam=beam)}
        searching = make(replace(home.recipe, sections=sections))
        searching.preprocessors = task.preprocessors
        exported = build(Bundle(searching, model, examples=[]), "float32")
        signatures = {"serving_default": exported.functions["serving_default"]}
        tf.saved_model.save(exported.module, str(folder / f"zoo_{beam}"), signatures=signatures)
    pieces = {side: each.pieces(range(each.size)) for side, each in task.preprocessors.items()}
    for side, each in task.preprocessors.items():
        (folder / f"{side}.spm").write_bytes(each.model)
    if find_spec("ctranslate2"):
        from apps.benches.to_ctranslate2 import convert

        weights = {variable.path: np.asarray(variable) for variable in model.weights}
        convert(weights, model.config, pieces["source"], pieces["target"], folder / "ctranslate2")
    return Model(name, folder, choices, home.recipe.preprocessing.lowercase)


def _random_base(known: int) -> Any:
    """A transformer-base whose last hidden state points away from the end and from what is no text: none of it comes.

    Args:
        known: pieces that the preprocessor can spell.
    """
    from zoo.models.seq2seq import PRESETS, Seq2Seq

    config = replace(PRESETS["base"], source_vocabulary=VOCABULARY, target_vocabulary=VOCABULARY)
    model = Seq2Seq(config, seed=1)
    away = np.random.default_rng(0).normal(size=config.width).astype("float32")
    away /= np.linalg.norm(away)
    beta = model.decoder.blocks[-1].around_feedforward.norm.beta
    beta.assign(np.asarray(beta) + 3 * away)
    table = np.array(model.target_embedding.table)
    table[: max(config.pad_id, config.start_id, config.end_id) + 1 + BYTES] = -10 * away
    table[known:] = -10 * away
    model.target_embedding.table.assign(table)
    return model


def _cells(model: Model, texts: Path, threads: int, args: Namespace, sides: list[str]) -> Iterator[dict[str, Any]]:
    """Measures one model on one number of threads."""
    ways = [1] if threads == 1 else [1, threads]  # how many calls at a time
    for beam in BEAMS:
        with ExitStack() as stack:
            running = {
                (which, calls): stack.enter_context(_side(model, texts, which, beam, threads, calls))
                for which in sides
                for calls in ways
            }
            for batch in args.batches:
                asked = {"batch": batch, "count": TEXTS[model.name][batch]}
                first = {
                    key: processes.ask(process, asked) for key, process in running.items()
                }  # warms up, and is not timed
                rounds = [
                    {key: processes.ask(process, asked) for key, process in processes.turned(running, number)}
                    for number in range(args.rounds)
                ]
                where = {"model": model.name, "threads": threads, "beam": beam, **asked}
                yield {**where, **_figures(sides, ways, first, rounds)}


def _figures(sides: list[str], ways: list[int], first: Any, rounds: Any) -> dict[str, Any]:
    seconds, memory = {}, {}
    for side in sides:
        timed = {calls: [each[side, calls]["seconds"] for each in rounds] for calls in ways}
        calls = min(ways, key=lambda calls: statistics.median(timed[calls]))
        seconds[side], memory[side] = timed[calls], rounds[-1][side, calls]["peak_mb"]
    answers = {side: first[side, ways[0]]["answers"] for side in sides}
    peers = [side for side in sides if side != "zoo"]
    return {
        "seconds": seconds,
        "ratios": {
            side: [theirs / ours for ours, theirs in zip(seconds["zoo"], seconds[side], strict=True)] for side in peers
        },
        "agreement": {side: statistics.mean(map(str.__eq__, answers["zoo"], answers[side])) for side in peers},
        "peak_mb": memory,
    }


def _side(model: Model, texts: Path, which: str, beam: int, threads: int, calls: int) -> Any:
    choices = model.choices
    spec = {
        "side": which, "folder": str(model.folder), "texts": str(texts), "beam": beam, "calls": calls,
        "lowercase": model.lowercase, "factor": choices.length_factor, "extra": choices.length_extra,
        "penalty": choices.length_penalty,
    }  # fmt: skip
    return processes.running("apps.benches.decode_side", spec, threads)


def _versions() -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("tensorflow", "ctranslate2"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"versions": found}


def show(result: dict[str, Any]) -> None:
    """Prints a table for each model and number of threads."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 140)
    keys = dict.fromkeys((cell["model"], cell["threads"]) for cell in result["cells"])
    for model, threads in keys:
        title = f"{model}, {threads} thread{'s' * (threads > 1)}: milliseconds a text, strings in and strings out"
        table = Table(title=title)
        cells = [cell for cell in result["cells"] if (cell["model"], cell["threads"]) == (model, threads)]
        peers = list(cells[0]["ratios"])
        for column in ("batch", "beam", "zoo", *peers, *(f"{peer} / zoo" for peer in peers), "same text", "peak MB"):
            table.add_column(column, justify="right")
        for cell in cells:
            table.add_row(*_row(cell, peers))
        console.print(table)
    told = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    print(f"{result['processor']}, {result['cores']} cores; {told}; {result['rounds']} rounds; {result['set']}")
    print("ratios: median (lowest to highest of the rounds); above 1, zoo is the faster one")
    if "ctranslate2" not in result["versions"]:
        print("the peer was skipped: ctranslate2 is not installed")


def _row(cell: dict[str, Any], peers: list[str]) -> list[str]:
    def milliseconds(side: str) -> str:
        return f"{1000 * statistics.median(cell['seconds'][side]) / cell['count']:,.2f}"

    def ratio(peer: str) -> str:
        low, middle, high = (f(cell["ratios"][peer]) for f in (min, statistics.median, max))
        return f"{middle:.2f} ({low:.2f} to {high:.2f})"

    agreement = " ".join(f"{cell['agreement'][peer]:.0%}" for peer in peers)
    memory = " ".join(f"{value:,}" for value in cell["peak_mb"].values())
    numbers = [str(cell["batch"]), str(cell["beam"])]
    return [*numbers, *map(milliseconds, ("zoo", *peers)), *map(ratio, peers), agreement, memory]
