"""Negatives of the batch where several devices share an update: each sees the sentences of the others."""

import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from tests.conftest import run_python
from tests.tasks.encoders import made
from tests.training import tiny
from zoo.training import devices, schedules
from zoo.training.choices import TrainingChoices
from zoo.training.optimizer import build_optimizer

ROWS, LENGTH, SIZE = 4, 3, 24


class Words(keras.Model):
    """The mean of the vectors of a text's words."""

    def __init__(self) -> None:
        super().__init__(name="words")
        initializer = keras.initializers.RandomNormal(stddev=0.5, seed=7)
        self.table = keras.layers.Embedding(SIZE, 8, embeddings_initializer=initializer, name="table")
        self.table.build(())
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        mask = ops.cast(inputs["mask"], "float32")[..., None]
        return ops.sum(self.table(inputs["ids"]) * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)


def build(number: int) -> Any:
    task = made("embed", training={"objective": "negatives", "temperature": 0.2})
    settings = TrainingChoices(steps=1000, warmup=2, peak_rate=0.05)
    with devices.scope(number):
        model = Words()
        optimizer = build_optimizer(settings, schedules.build(settings), model.trainable_variables)
        return devices.make_step(model, optimizer, task.objective, clip_norm=1.0, devices=number)


def batch(seed: int) -> dict[str, np.ndarray]:
    """Pairs that share their first word; sometimes the last row is no pair."""
    rng = np.random.default_rng(seed)
    ids = {side: rng.integers(1, SIZE, (ROWS, LENGTH)).astype("int32") for side in "ab"}
    ids["b"][:, 0] = ids["a"][:, 0]
    real = np.arange(ROWS) < ROWS - (seed % 3 == 0)
    made = {"real": real, "scores": np.ones(ROWS, "float32")}
    for side in "ab":
        made |= {f"ids_{side}": ids[side], f"segments_{side}": 0 * ids[side]}
        made[f"mask_{side}"] = np.repeat(real[:, None], LENGTH, axis=1)
    return made


def losses(number: int, updates: int, join: bool) -> list[float]:
    """Losses a pair of updates over two batches: as one, or each for itself; then that of an evaluation."""
    step, found = build(number), []
    for index in range(updates):
        parts = [batch(first) for first in ((0, 1) if index % 2 else (2, 3))]
        sums = step([tiny.joined(parts)] if join else parts)
        found.append(float(sums["loss"]) / float(sums["count"]))
    return [*found, float(step.evaluate(batch(0))["loss"])]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_are_one_with_all_rows(backend: str) -> None:
    code = """
        import json
        from zoo.training import devices
        devices.prepare(deterministic=True, precision="float32", seed=1, devices=2)
        from tests.training.test_negatives import losses

        print(json.dumps([losses(2, 12, join=False), losses(1, 12, join=True), losses(1, 1, join=False)]))
        """
    blocked = ["tensorflow"] if backend == "jax" else []
    printed = run_python(code, backend=backend, blocked=blocked, timeout=600)
    two, one, accumulated = json.loads(printed.splitlines()[-1])
    np.testing.assert_allclose(two, one, rtol=1e-5)
    assert two[10] < 0.7 * two[0]  # of the same rows
    assert accumulated[0] < 0.9 * two[0]  # half the negatives: it is the gathering that makes them equal
