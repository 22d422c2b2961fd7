"""Training speed: our step against transformers' Marian in PyTorch, on the same batches, alternating, in one run.

Each side runs in a process of its own. Ours has everything on: input from Grain, label smoothing, clipping, an
exponential average of the weights. The peer has its batches ready in memory, smoothing and clipping, PyTorch's fused
AdamW, and no average. Where ours computes in bfloat16, the peer is measured in float32 and in bfloat16 (PyTorch's
autocast), and what counts is the faster of the two.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError


def measure(args: Namespace) -> dict[str, Any]:
    """Runs the sides `rounds` times, in turn.

    Returns: tokens a second of each round by side, and in each round how many times the faster peer's ours are.
    """
    sides = {"zoo": args.precision}
    if find_spec("transformers") and find_spec("torch"):
        sides |= {f"marian {precision}": precision for precision in dict.fromkeys(["float32", args.precision])}
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(args.rounds):
        for side, precision in sides.items():
            what = [side.split()[0], args.recipe, precision, str(args.updates)]
            command = [sys.executable, "-m", "apps.benches.train", *what]
            env = {**os.environ, "KERAS_BACKEND": args.backend or "tensorflow"}
            out = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
            if out.returncode:
                raise UserError(f"measuring {side} failed; its own last words stand above")
            speeds[side].append(float(out.stdout.splitlines()[-1]))
    peers = [each for side, each in speeds.items() if side != "zoo"]
    ratios = [ours / max(theirs) for ours, *theirs in zip(speeds["zoo"], *peers, strict=True) if theirs]
    return {
        "tokens_per_second": speeds,
        "ratios": ratios,
        "backend": args.backend or "tensorflow",
        "recipe": args.recipe,
        "precision": args.precision,
        **processor(),
    }


def processor() -> dict[str, Any]:
    """The processor's name and the number of cores, as a speed must be told with."""
    name = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return {"processor": name, "cores": os.cpu_count()}


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    title = f"real tokens a second, {result['recipe']}; {result['processor']}, {result['cores']} cores"
    table = Table(title=title)
    for column in ("side", "median", "lowest", "highest"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for side, speeds in result["tokens_per_second"].items():
        name, _, precision = side.partition(" ")
        named = {"zoo": f"zoo on {result['backend']}", "marian": "transformers' Marian on PyTorch"}[name]
        table.add_row(
            f"{named}, {precision or result['precision']}",
            *(f"{f(speeds):,.0f}" for f in (statistics.median, min, max)),
        )
    Console().print(table)
    if result["ratios"]:
        low, middle, high = (f(result["ratios"]) for f in (min, statistics.median, max))
        print(f"ratio: median {middle:.2f}, from {low:.2f} to {high:.2f} in {len(result['ratios'])} rounds")
    else:
        print("the peer was skipped: transformers and torch are not installed")


def _batches(name: str) -> Any:
    """The task of a recipe, and its updates as Grain gives them, endlessly."""
    from zoo import recipe as recipes
    from zoo.data import loading
    from zoo.data.plan import Plan
    from zoo.progress import be_quiet
    from zoo.run import Run
    from zoo.tasks.translate import Translate

    be_quiet()
    overrides = ["training.average_decay=0.999", "training.average_checkpoints=1", "training.clip_norm=1.0"]
    overrides.append("preprocessing.sampling=0")  # both sides see the same rows
    recipe = recipes.read(recipes.find("translate", name), Translate.schema(), overrides)
    run = Run(Path(tempfile.mkdtemp()) / "run", recipe)
    run.claim()
    rows, _ = run.prepare()
    plan = Plan(rows.lengths, recipe.training.budget, recipe.training.seed)
    return run.task, loading.updates(rows, plan, run.task.make_batch)


def _tokens(batch: dict[str, np.ndarray]) -> int:
    return int(batch["source_mask"].sum() + batch["target_mask"].sum())


def _zoo(recipe: str, precision: str, updates: int) -> float:
    task, stream = _batches(recipe)
    from zoo.training import devices, schedules
    from zoo.training.optimizer import build_optimizer

    choices = task.recipe.training
    devices.prepare(deterministic=False, precision=precision, seed=1, devices=1)
    model = task.build_model(1)
    optimizer = build_optimizer(choices, schedules.build(choices), model.trainable_variables)
    step = devices.make_step(
        model, optimizer, task.objective, clip_norm=choices.clip_norm, average_decay=choices.average_decay, devices=1
    )
    return _timed(updates, stream, lambda batch: step([batch]), lambda sums: float(sums["loss"]))


def _marian(recipe: str, precision: str, updates: int) -> float:
    task, stream = _batches(recipe)
    import torch
    from transformers import MarianConfig, MarianMTModel

    config, choices = task.recipe.model.config, task.recipe.training
    size = task.preprocessors["source"].size
    model = MarianMTModel(
        MarianConfig(
            vocab_size=size,
            d_model=config.width,
            encoder_layers=config.encoder_layers,
            decoder_layers=config.decoder_layers,
            encoder_attention_heads=config.heads,
            decoder_attention_heads=config.heads,
            encoder_ffn_dim=config.feedforward,
            decoder_ffn_dim=config.feedforward,
            activation_function="relu",
            dropout=config.dropout,
            attention_dropout=0.0,
            max_position_embeddings=config.max_length,
            scale_embedding=True,
            pad_token_id=0,
            eos_token_id=3,
            decoder_start_token_id=2,
        )
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def step(batch: dict[str, np.ndarray]) -> Any:
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(
                input_ids=tensors["source_ids"],
                attention_mask=tensors["source_mask"],
                decoder_input_ids=tensors["target_ids"],
            ).logits
        labels = tensors["labels"].long().masked_fill(~tensors["target_mask"], -100)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), label_smoothing=choices.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), choices.clip_norm)
        optimizer.step()
        return loss.detach()

    ready = iter([next(stream) for _ in range(2 * updates)])
    return _timed(updates, ready, step, float)


def _timed(updates: int, stream: Any, step: Any, read: Any) -> float:
    """Tokens a second over `updates` updates, after as many to warm up."""
    for _ in range(updates):
        result = step(next(stream)[1][0])
    read(result)
    tokens, started = 0, time.perf_counter()
    for _ in range(updates):
        batch = next(stream)[1][0]
        tokens += _tokens(batch)
        result = step(batch)
    read(result)
    return tokens / (time.perf_counter() - started)


if __name__ == "__main__":
    print({"zoo": _zoo, "marian": _marian}[sys.argv[1]](*sys.argv[2:4], int(sys.argv[4])))
