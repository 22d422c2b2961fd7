"""A model that is built and traced in a second or two, and batches for it; for this process and fresh ones."""

from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.training import devices, schedules
from zoo.training.choices import TrainingChoices
from zoo.training.losses import smoothed_cross_entropy
from zoo.training.optimizer import build_optimizer

VOCABULARY, WIDTH = 11, 8


class Tiny(keras.Model):
    """Embedding, dropout from the one generator, a norm, logits: all that a step and a checkpoint can get wrong."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__(name="tiny")
        self.dropout_seed = keras.random.SeedGenerator(5, name="dropout_seed")
        initializer = keras.initializers.RandomNormal(stddev=0.5, seed=7)
        self.table = keras.layers.Embedding(VOCABULARY, WIDTH, embeddings_initializer=initializer, name="table")
        self.inner = keras.layers.Dense(WIDTH, "relu", kernel_initializer=initializer, name="inner")
        self.norm = keras.layers.LayerNormalization(name="norm")
        self.logits = keras.layers.Dense(VOCABULARY, kernel_initializer=initializer, name="logits")
        self.dropout = Dropout(dropout, self.dropout_seed, name="dropout")
        self.table.build(())
        for layer in (self.inner, self.norm, self.logits):
            layer.build((None, None, WIDTH))
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        x = self.table(inputs["ids"])
        x = self.norm(x + self.dropout(self.inner(x), training=training))
        return self.logits(self.dropout(x, training=training))


def objective(model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
    logits = model(batch, training=training)
    loss = smoothed_cross_entropy(logits, batch["labels"], batch["mask"], 0.1)
    return {"loss": loss, "count": ops.sum(ops.cast(batch["mask"], "float32"))}


def build(dropout: float = 0.0, number: int = 1, **choices: Any) -> tuple[Any, Any, Any]:
    """Model, optimizer, step; `number` devices."""
    step_choices = {key: choices.pop(key) for key in ("clip_norm", "average_decay") if key in choices}
    settings = TrainingChoices(**{"steps": 1000, "warmup": 5, "peak_rate": 0.02, "weight_decay": 0.1, **choices})
    with devices.scope(number):
        model = Tiny(dropout)
        optimizer = build_optimizer(settings, schedules.build(settings), model.trainable_variables)
    return model, optimizer, devices.make_step(model, optimizer, objective, devices=number, **step_choices)


def batches(number: int, rows: int = 4, length: int = 6, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Batches whose numbers of real tokens differ; in one of three the last row has none."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(number):
        ids = rng.integers(0, VOCABULARY, (rows, length)).astype("int32")
        lengths = rng.integers(1, length + 1, rows)
        lengths[-1] *= index % 3 != 2
        mask = np.arange(length) < lengths[:, None]
        made.append({"ids": ids, "labels": (ids * 3 + 1) % VOCABULARY, "mask": mask})
    return made


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The rows of several batches in one."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def losses(step: Any, updates: int, group: int = 1, rows: int = 4, join: bool = False) -> list[float]:
    """Losses per token of some updates of `group` batches each."""
    found = []
    for index in range(updates):
        parts = batches(group, rows, seed=index)
        sums = step([joined(parts)] if join else parts)
        found.append(float(sums["loss"]) / float(sums["count"]))
    return found
