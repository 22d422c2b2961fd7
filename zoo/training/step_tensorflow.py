"""One update on TensorFlow: a plain tf.function on one device, the same under MirroredStrategy on several."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.training.devices import too_few
from zoo.training.objective import average_rate
from zoo.training.step import BaseStep

REPLICA_SEED = 1_000_003  # between the dropout seeds of two replicas


def prepare(deterministic: bool, devices: int) -> None:
    """See `zoo.training.devices.prepare`."""
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if devices > 1:
        if not tf.config.list_physical_devices("GPU"):
            (cpu,) = tf.config.list_physical_devices("CPU")
            try:
                tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
            except RuntimeError:
                pass  # TensorFlow has started already: the count below tells
        if devices > len(_devices()):
            raise too_few(devices, len(_devices()), _devices()[0].device_type)


def scope(devices: int) -> AbstractContextManager[Any]:
    """See `zoo.training.devices.scope`: several devices mirror the variables that are made here."""
    if devices == 1:
        return nullcontext()
    return tf.distribute.MirroredStrategy([device.name for device in _devices()[:devices]]).scope()


def gather(rows: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """See `zoo.training.devices.gather`: each replica of an update has its own rows."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows, 0
    number = int(tf.get_static_value(context.replica_id_in_sync_group))
    # Its gradient adds up what the losses of all replicas say of a row, and gives it to the replica that has the row.
    everyone = tf.ensure_shape(context.all_gather(rows, axis=0), [None, *rows.shape[1:]])
    return everyone, number * tf.shape(rows)[0]


def _devices() -> list[Any]:
    return tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")


class Step(BaseStep):
    """See `zoo.training.step.BaseStep`."""

    def __init__(self, model: keras.Model, *args: Any, **choices: Any) -> None:
        self._strategy = model.distribute_strategy  # of the scope that the model was built in
        super().__init__(model, *args, **choices)
        self._compiled: dict[int, Any] = {}
        self._evaluate: Any = None

    def __call__(self, batches: list[dict[str, np.ndarray]]) -> dict[str, Any]:
        if len(batches) not in self._compiled:
            self._compiled[len(batches)] = self._compile(batches)
        return self._compiled[len(batches)](batches)

    def evaluate(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        if self._evaluate is None:
            spec = {k: tf.TensorSpec([None] * v.ndim, v.dtype) for k, v in batch.items()}
            self._evaluate = tf.function(
                lambda batch: self.objective(self.model, batch, False),
                input_signature=[spec],
                jit_compile=False,
                autograph=False,
            )
        return self._evaluate(batch)

    def _copies(self) -> list[keras.Variable]:
        with self._strategy.scope():
            return super()._copies()

    def _compile(self, batches: list[dict[str, np.ndarray]]) -> Any:
        # Open dimensions: one trace serves every shape of the plan. XLA would want them fixed; nothing here does.
        spec = [{k: tf.TensorSpec([None] * v.ndim, v.dtype) for k, v in batch.items()} for batch in batches]
        update = self._update if self.devices == 1 else self._mirrored_update
        return tf.function(update, input_signature=[spec], jit_compile=False, autograph=False)

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
        norm = tf.linalg.global_norm(gradients) / count
        scale = self.clip_norm / tf.maximum(norm, self.clip_norm) if self.clip_norm else 1.0
        # Keras sums what it is given over the replicas. The norm needed that sum before, so each gives its share.
        scale /= count * self.devices
        self.optimizer.apply([g * scale for g in gradients], self.weights)
        if self.averages is not None:
            rate = average_rate(self.average_decay, self.optimizer.iterations)
            for average, weight in zip(self.averages, self.weights, strict=True):
                average.assign(average + rate * (weight - average))
        return {**sums, "gradient_norm": norm}

    def _update(self, batches: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        return self._apply(*self._gradients(batches))

    def _mirrored_update(self, batches: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        sums = self._strategy.run(self._replica_update, args=(batches,))
        return {k: self._strategy.experimental_local_results(v)[0] for k, v in sums.items()}

    def _replica_update(self, batches: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        number = int(tf.get_static_value(context.replica_id_in_sync_group))
        # Copies of a seed generator are equal, as a checkpoint wants them; the replicas' dropout should not be.
        counted = {id(v) for v in self.model.weights}
        seeds = {id(v): v for v in self.model.non_trainable_variables if id(v) not in counted}.values()
        shift = tf.constant([number * REPLICA_SEED, 0], "int64")
        for seed in seeds:
            seed.assign(seed + shift)
        gradients, sums = self._gradients(batches[number :: self.devices])
        for seed in seeds:
            seed.assign(seed - shift)
        return self._apply(*context.all_reduce(tf.distribute.ReduceOp.SUM, (gradients, sums)))
