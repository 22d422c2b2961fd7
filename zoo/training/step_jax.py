"""One update on JAX: pure functions of the whole state, spread over the devices by the shards of the batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import keras
import numpy as np
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zoo.training.devices import add_flag, too_few
from zoo.training.objective import average_rate
from zoo.training.step import BaseStep

Arrays = list[jax.Array]
Sums = dict[str, jax.Array]


def prepare(deterministic: bool, devices: int) -> None:
    """See `zoo.training.devices.prepare`."""
    if deterministic:
        add_flag("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    if devices > 1:
        # Concerns the CPU alone; has no effect once JAX has started, then the count below tells.
        add_flag("XLA_FLAGS", f"--xla_force_host_platform_device_count={devices}")
        if devices > len(jax.devices()):
            raise too_few(devices, len(jax.devices()), jax.default_backend())


def scope(devices: int) -> AbstractContextManager[Any]:
    """Nothing special, see `zoo.training.devices.scope`: the step puts the state where it belongs."""
    return nullcontext()


def gather(rows: jax.Array) -> tuple[jax.Array, int]:
    """See `zoo.training.devices.gather`: an array is that of all devices already."""
    return rows, 0


class State(NamedTuple):
    """The values of all variables, each once, in the order of `Step._variables`."""

    weights: Arrays
    others: Arrays  # of the model: the states of seed generators
    optimizer: Arrays
    averages: Arrays


class Step(BaseStep):
    """See `zoo.training.step.BaseStep`. The truth is kept outside the variables, which are empty until `sync`."""

    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer, *args: Any, **choices: Any) -> None:
        super().__init__(model, optimizer, *args, **choices)
        # A seed generator is listed by each layer that draws from it, and no value may be donated twice.
        others = {id(v): v for v in model.non_trainable_variables}
        self._variables = State(self.weights, list(others.values()), optimizer.variables, self.averages or [])
        mesh = Mesh(np.array(jax.devices()[: self.devices]), ("batch",))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._by_rows = NamedSharding(mesh, PartitionSpec("batch"))
        self._state: State | None = None
        # Two functions: what depends on the shape of the batch is compiled for each, AdamW once. Donated memory is
        # taken over by the result.
        self._add = jax.jit(self._add_gradients, donate_argnums=3, out_shardings=self._everywhere)
        self._apply = jax.jit(self._pure_apply, donate_argnums=0, out_shardings=self._everywhere)
        self._evaluate = jax.jit(lambda weights, others, batch: self._sums(weights, others, batch, False)[0])

    def __call__(self, batches: list[dict[str, np.ndarray]]) -> dict[str, Any]:
        state = self._pull()
        parts = [batches[first : first + self.devices] for first in range(0, len(batches), self.devices)]
        totals = [jnp.zeros_like(w) for w in state.weights] if len(parts) > 1 else None
        sums: Sums = {}
        for part in parts:
            totals, new, others = self._add(state.weights, state.others, self._spread(part), totals)
            state = state._replace(others=others)
            sums = {name: sums[name] + new[name] for name in new} if sums else new
        self._state, norm = self._apply(state, totals, sums["count"])
        return {**sums, "gradient_norm": norm}

    def evaluate(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        state = self._pull()
        return self._evaluate(state.weights, state.others, batch)

    def sync(self) -> None:
        """Writes the truth into the variables; the next update begins with what they hold then."""
        if self._state is not None:
            for variables, values in zip(self._variables, self._state, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    # Of several devices the copy on the first one: what is done between updates needs no more.
                    variable.assign(value.addressable_data(0))
            self._state = None

    def _pull(self) -> State:
        if self._state is not None:
            return self._state
        state = State(*([v.value for v in variables] for variables in self._variables))
        return jax.device_put(state, self._everywhere)

    def _spread(self, part: list[dict[str, np.ndarray]]) -> dict[str, jax.Array]:
        """One batch for each device, put there as the shards of one [devices * B, …]."""
        joined = {key: np.concatenate([batch[key] for batch in part]) for key in part[0]}
        return jax.device_put(joined, self._by_rows)

    def _sums(
        self, weights: Arrays, others: Arrays, batch: dict[str, jax.Array], training: bool
    ) -> tuple[Sums, Arrays]:
        """The objective as a pure function: its sums, and the seed generators' new states."""
        mapping = [*zip(self._variables.weights, weights, strict=True)]
        mapping += zip(self._variables.others, others, strict=True)
        with keras.StatelessScope(state_mapping=mapping) as scope:
            sums = self.objective(self.model, batch, training)
        return sums, [scope.get_current_value(v) for v in self._variables.others]

    def _add_gradients(
        self, weights: Arrays, others: Arrays, batch: dict[str, jax.Array], totals: Arrays | None
    ) -> tuple[Arrays, Sums, Arrays]:
        """Gradients of the summed loss, added to those of the micro-batches before; sums; seed generators' states."""

        def loss(weights: Arrays) -> tuple[jax.Array, tuple[Sums, Arrays]]:
            sums, new = self._sums(weights, others, batch, True)
            return sums["loss"], (sums, new)

        gradients, (sums, new) = jax.grad(loss, has_aux=True)(weights)
        return gradients if totals is None else jax.tree.map(jnp.add, totals, gradients), sums, new

    def _pure_apply(self, state: State, gradients: Arrays, count: jax.Array) -> tuple[State, jax.Array]:
        """The state after the update, and the norm of its gradient before it was clipped."""
        count = jnp.maximum(count, 1.0)
        gradients = [g / count for g in gradients]
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients))
        if self.clip_norm:
            gradients = [g * (self.clip_norm / jnp.maximum(norm, self.clip_norm)) for g in gradients]
        weights, optimizer = self.optimizer.stateless_apply(state.optimizer, gradients, state.weights)
        averages = state.averages
        if averages:
            done = optimizer[[v is self.optimizer.iterations for v in self._variables.optimizer].index(True)]
            rate = average_rate(self.average_decay, done)
            averages = [a + rate * (w - a) for a, w in zip(averages, weights, strict=True)]
        return State(weights, state.others, optimizer, averages), norm
