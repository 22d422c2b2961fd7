"""Training speed: our step against transformers' Marian in PyTorch, on the same batches, alternating, in one run.

Each side runs in a process of its own. Ours has everything on: input from Grain, label smoothing, clipping, an
exponential average of the weights. The peer has its batches ready in memory, smoothing and clipping, PyTorch's fused
AdamW, and no average.
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

RECIPE = "multi30k-en-de"


def measure(args: Namespace) -> dict[str, Any]:
    """Runs both sides `rounds` times, alternating.

    Returns: tokens a second of each round by side, and the ratios of neighbouring rounds.
    """
    sides = ["zoo", *(["marian"] if find_spec("transformers") and find_spec("torch") else [])]
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(args.rounds):
        for side in sides:
            command = [sys.executable, "-m", "apps.benches.train", side, str(args.updates)]
            env = {**os.environ, "KERAS_BACKEND": args.backend or "tensorflow"}
            out = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
            if out.returncode:
                raise UserError(f"measuring {side} failed; its own last words stand above")
            speeds[side].append(float(out.stdout.splitlines()[-1]))
    ratios = [ours / theirs for ours, theirs in zip(speeds["zoo"], speeds.get("marian", []), strict=False)]
    return {
        "tokens_per_second": speeds,
        "ratios": ratios,
        "backend": args.backend or "tensorflow",
        "recipe": RECIPE,
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
    named = {"zoo": f"zoo on {result['backend']}", "marian": "transformers' Marian on PyTorch"}
    for side, speeds in result["tokens_per_second"].items():
        table.add_row(named[side], *(f"{f(speeds):,.0f}" for f in (statistics.median, min, max)))
    Console().print(table)
    if result["ratios"]:
        low, middle, high = (f(result["ratios"]) for f in (min, statistics.median, max))
        print(f"ratio: median {middle:.2f}, from {low:.2f} to {high:.2f} in {len(result['ratios'])} rounds")
    else:
        print("the peer was skipped: transformers and torch are not installed")


def _batches() -> Any:
    """The task of the recipe, and its updates as Grain gives them, endlessly."""
    from zoo import recipe as recipes
    from zoo.data import loading
    from zoo.data.plan import Plan
    from zoo.progress import be_quiet
    from zoo.run import Run
    from zoo.tasks.translate import Translate

    be_quiet()
    overrides = ["training.average_decay=0.999", "training.average_checkpoints=1", "training.clip_norm=1.0"]
    overrides.append("preprocessing.sampling=0")  # both sides see the same rows
    recipe = recipes.read(recipes.find("translate", RECIPE), Translate.schema(), overrides)
    run = Run(Path(tempfile.mkdtemp()) / "run", recipe)
    run.claim()
    rows, _ = run.prepare()
    plan = Plan(rows.lengths, recipe.training.budget, recipe.training.seed)
    return run.task, loading.updates(rows, plan, run.task.make_batch)


def _tokens(batch: dict[str, np.ndarray]) -> int:
    return int(batch["source_mask"].sum() + batch["target_mask"].sum())


def _zoo(updates: int) -> float:
    task, stream = _batches()
    from zoo.training import devices, schedules
    from zoo.training.optimizer import build_optimizer

    choices = task.recipe.training
    devices.prepare(deterministic=False, precision="float32", seed=1, devices=1)
    model = task.build_model(1)
    optimizer = build_optimizer(choices, schedules.build(choices), model.trainable_variables)
    step = devices.make_step(
        model, optimizer, task.objective, clip_norm=choices.clip_norm, average_decay=choices.average_decay, devices=1
    )
    return _timed(updates, stream, lambda batch: step([batch]), lambda sums: float(sums["loss"]))


def _marian(updates: int) -> float:
    task, stream = _batches()
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
        logits = model(
            input_ids=tensors["source_ids"],
            attention_mask=tensors["source_mask"],
            decoder_input_ids=tensors["target_ids"],
        ).logits
        labels = tensors["labels"].long().masked_fill(~tensors["target_mask"], -100)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), label_smoothing=choices.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), choices.clip_norm)
        optimizer.step()
        return loss

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
    print({"zoo": _zoo, "marian": _marian}[sys.argv[1]](int(sys.argv[2])))
