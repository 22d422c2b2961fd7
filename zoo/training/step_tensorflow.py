"""One update on TensorFlow: a plain tf.function on one device, the same under MirroredStrategy on several."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.training.objective import Objective, average_rate


class Step:
    """Forward, sum of losses, gradients, division by the count of the whole update, clipping, AdamW, average.

    Args:
        model, optimizer: built, inside `devices.scope` when there are several devices.
        objective: what is minimised; see `zoo.training.objective`.
        clip_norm: largest global norm of the update's gradient; 0 = no clipping.
        average_decay: of the exponential average of the weights; 0 = none.
        devices: replicas; each call then takes a multiple of that many batches.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        objective: Objective,
        *,
        clip_norm: float = 0.0,
        average_decay: float = 0.0,
        devices: int = 1,
    ) -> None:
        self.model, self.optimizer, self.objective = model, optimizer, objective
        self.clip_norm, self.average_decay, self.devices = clip_norm, average_decay, devices
        self.weights = model.trainable_variables
        self.averages: list[Any] | None = None
        if average_decay:
            self.averages = [keras.Variable(v.value, trainable=False, name="average") for v in self.weights]
        self._compiled: dict[int, Any] = {}
        self._evaluate: Any = None

    def __call__(self, batches: list[dict[str, np.ndarray]]) -> dict[str, Any]:
        """One update from batches of one shape; sums over the update and `gradient_norm`, not yet synchronised."""
        if len(batches) not in self._compiled:
            self._compiled[len(batches)] = self._compile(batches)
        return self._compiled[len(batches)](batches)

    def evaluate(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """The sums of one batch, outside training."""
        if self._evaluate is None:
            spec = {k: tf.TensorSpec([None] * v.ndim, v.dtype) for k, v in batch.items()}
            self._evaluate = tf.function(
                lambda batch: self.objective(self.model, batch, False), input_signature=[spec], jit_compile=False
            )
        return self._evaluate(batch)

    def sync(self) -> None:
        """Variables hold the truth already."""

    def _compile(self, batches: list[dict[str, np.ndarray]]) -> Any:
        # Open dimensions: one trace serves every shape of the plan. XLA would want them fixed; nothing here does.
        spec = [{k: tf.TensorSpec([None] * v.ndim, v.dtype) for k, v in batch.items()} for batch in batches]
        update = self._update if self.devices == 1 else self._mirrored_update
        return tf.function(update, input_signature=[spec], jit_compile=False)

    def _gradients(self, batches: list[dict[str, tf.Tensor]]) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Gradients of the summed loss and all sums, over micro-batches."""
        totals: list[tf.Tensor] = []
        sums: dict[str, tf.Tensor] = {}
        for batch in batches:
            with tf.GradientTape() as tape:
                new_sums = self.objective(self.model, batch, True)
            new = tape.gradient(new_sums["loss"], [v.value for v in self.weights])
            new = [tf.convert_to_tensor(g) for g in new]  # embeddings give IndexedSlices
            totals = [a + b for a, b in zip(totals, new, strict=True)] if totals else new
            sums = {k: sums[k] + v for k, v in new_sums.items()} if sums else new_sums
        return totals, sums

    def _apply(self, gradients: list[tf.Tensor], sums: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        count = tf.maximum(sums["count"], 1.0)
        gradients = [g / count for g in gradients]
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm:
            gradients = [g * (self.clip_norm / tf.maximum(norm, self.clip_norm)) for g in gradients]
        self.optimizer.apply(gradients, self.weights)
        if self.averages is not None:
            rate = average_rate(self.average_decay, self.optimizer.iterations)
            for average, weight in zip(self.averages, self.weights, strict=True):
                average.assign(average + rate * (weight - average))
        return {**sums, "gradient_norm": norm}

    def _update(self, batches: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        return self._apply(*self._gradients(batches))

    def _mirrored_update(self, batches: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        strategy = tf.distribute.get_strategy()
        values = [
            {
                key: strategy.experimental_distribute_values_from_function(
                    lambda ctx, first=first, key=key: batches[first + ctx.replica_id_in_sync_group][key]
                )
                for key in batches[first]
            }
            for first in range(0, len(batches), self.devices)
        ]

        def replica(own: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
            gradients, sums = self._gradients(own)
            context = tf.distribute.get_replica_context()
            gradients, sums = context.all_reduce(tf.distribute.ReduceOp.SUM, (gradients, sums))
            return self._apply(gradients, sums)

        result = strategy.run(replica, args=(values,))
        return {k: strategy.experimental_local_results(v)[0] for k, v in result.items()}
