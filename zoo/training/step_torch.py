"""One update on PyTorch: eager, on one device."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from keras import ops

from zoo.errors import UserError
from zoo.training.objective import average_rate
from zoo.training.step import BaseStep


def prepare(deterministic: bool, devices: int) -> None:
    """See `zoo.training.devices.prepare`."""
    if devices > 1:
        raise UserError(
            "on PyTorch an update runs on one device",
            where="training.devices",
            remedy="Use TensorFlow or JAX for several, or set training.accumulate for larger updates on one.",
        )
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def scope(devices: int) -> AbstractContextManager[Any]:
    """Nothing special: see `zoo.training.devices.scope`."""
    return nullcontext()


def gather(rows: torch.Tensor) -> tuple[torch.Tensor, int]:
    """See `zoo.training.devices.gather`: there is one device."""
    return rows, 0


class Step(BaseStep):
    """See `zoo.training.step.BaseStep`; `devices` is always 1."""

    def __call__(self, batches: list[dict[str, np.ndarray]]) -> dict[str, Any]:
        totals: list[torch.Tensor] = []
        sums: dict[str, torch.Tensor] = {}
        for batch in batches:
            new_sums = self.objective(self.model, _tensors(batch), True)
            new = torch.autograd.grad(new_sums["loss"], [v.value for v in self.weights])
            totals = torch._foreach_add(totals, new) if totals else list(new)
            sums = {k: sums.get(k, 0.0) + v.detach() for k, v in new_sums.items()}
        with torch.no_grad():
            return {**sums, "gradient_norm": self._apply(totals, sums["count"])}

    def evaluate(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        with torch.no_grad():
            return self.objective(self.model, _tensors(batch), False)

    def _apply(self, gradients: list[torch.Tensor], count: torch.Tensor) -> torch.Tensor:
        gradients = torch._foreach_div(gradients, torch.clamp(count, min=1.0))
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.clip_norm:
            gradients = torch._foreach_mul(gradients, self.clip_norm / torch.clamp(norm, min=self.clip_norm))
        self.optimizer.apply(gradients, self.weights)
        if self.averages is not None:
            rate = average_rate(self.average_decay, self.optimizer.iterations)
            for average, weight in zip(self.averages, self.weights, strict=True):
                average.assign(average.value + rate * (weight.value - average.value))
        return norm


def _tensors(batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: ops.convert_to_tensor(value) for key, value in batch.items()}
