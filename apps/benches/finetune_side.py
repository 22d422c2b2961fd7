"""One side of `bench finetune`, in a process of its own: see `apps.benches.sides`.

Asked for {"updates": n} it makes so many and says {"tokens", "seconds", "processor_seconds"}; asked for {} it says what
it is: {"weights", those that learn; "loss", of the first batch, without dropout}.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from apps.benches.peer import descend, inputs_of, make_optimizer
from apps.benches.sides import serve
from zoo.data import loading
from zoo.data.plan import Plan
from zoo.progress import be_quiet
from zoo.run import Run

Batch = dict[str, np.ndarray]


def zoo(spec: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Our step on TensorFlow, as `zoo classify_text train` makes it, with its input from Grain."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(spec["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(spec["threads"])
    from zoo.interop.huggingface import read
    from zoo.training import devices, schedules
    from zoo.training.checkpoints import restore_weights
    from zoo.training.optimizer import build_optimizer

    task, first, stream = _batches(spec)
    choices = task.recipe.training
    devices.prepare(deterministic=False, precision=spec["precision"], seed=choices.seed)
    model = task.build_model(choices.seed)
    weights = read(Path(spec["folder"]) / "peer").weights
    restore_weights(model, {f"model/{path}": array for path, array in weights.items()})
    optimizer = build_optimizer(choices, schedules.build(choices), model.trainable_variables)
    step = devices.make_step(model, optimizer, task.objective, clip_norm=choices.clip_norm)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        if "updates" not in asked:
            sums = step.evaluate(first)
            weights = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
            return {"weights": weights, "loss": float(sums["loss"]) / float(sums["count"])}
        batches = (next(stream) for _ in range(asked["updates"]))
        return _timed(batches, lambda batch: step([batch])["loss"])

    return answer


def transformers(spec: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """transformers on PyTorch: fused attention, fused AdamW, batches ready in memory, rows of padding left out."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(spec["threads"])
    task, first, stream = _batches(spec)
    choices = task.recipe.training
    torch.manual_seed(choices.seed)
    path = Path(spec["folder"]) / "peer"
    model = AutoModelForSequenceClassification.from_pretrained(path, attn_implementation="sdpa", dtype=torch.float32)
    if choices.freeze == "embeddings":
        model.base_model.embeddings.requires_grad_(False)
    optimizer = make_optimizer(model, choices)
    half = spec["precision"] == "bfloat16"

    def loss_of(batch: Batch) -> Any:
        real = torch.from_numpy(batch["real"])
        inputs = {name: torch.from_numpy(batch[name])[real] for name in ("ids", "mask", "segments", "targets")}
        with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            logits = model(**inputs_of(inputs, model)).logits
        return torch.nn.functional.cross_entropy(logits.float(), inputs["targets"])

    def step(batch: Batch) -> Any:
        loss = loss_of(batch)
        descend(loss, model, optimizer, choices.clip_norm)
        return loss.detach()

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        if "updates" not in asked:
            with torch.inference_mode():
                loss = float(loss_of(first))
            weights = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
            return {"weights": weights, "loss": loss}
        return _timed([next(stream) for _ in range(asked["updates"])], step)

    loss_of_first = answer({})  # without dropout, which from_pretrained leaves off
    model.train()
    return lambda asked: answer(asked) if "updates" in asked else loss_of_first


def _batches(spec: dict[str, Any]) -> tuple[Any, Batch, Iterator[Batch]]:
    """The task of the run, its first batch, and the batches of all updates, endlessly."""
    be_quiet()
    run = Run.open(Path(spec["folder"]) / "run")
    rows, _ = run.prepare()
    choices = run.recipe.training
    plan = Plan(rows.lengths, choices.budget, choices.seed)
    _, (first,) = next(loading.updates(rows, plan, run.task.make_batch, threads=0))
    stream = loading.updates(rows, plan, run.task.make_batch)
    return run.task, first, (batch for _, (batch,) in stream)


def _timed(batches: Any, step: Callable[[Batch], Any]) -> dict[str, Any]:
    """Makes an update of each batch; real tokens, seconds, and those of all cores together."""
    tokens, loss = 0, 0.0
    started, worked = time.perf_counter(), time.process_time()
    for batch in batches:
        tokens += int(batch["mask"].sum())
        loss = step(batch)
    float(loss)  # waits for it
    return {
        "tokens": tokens,
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - worked,
    }


def start(spec: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The side that a spec names."""
    return (zoo if spec["side"] == "zoo" else transformers)(spec)


if __name__ == "__main__":
    serve(start)
