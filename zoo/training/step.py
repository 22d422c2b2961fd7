"""What the steps of the backends have in common; each stands in a file of its own, `step_BACKEND.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np

from zoo.training.objective import Objective


class BaseStep(ABC):
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
        self.averages: list[keras.Variable] | None = self._copies() if average_decay else None

    def _copies(self) -> list[keras.Variable]:
        """The weights as they are now, in variables of their own."""
        copies = [np.array(keras.ops.convert_to_numpy(v)) for v in self.weights]
        return [keras.Variable(copy, trainable=False, name="average") for copy in copies]

    @abstractmethod
    def __call__(self, batches: list[dict[str, np.ndarray]]) -> dict[str, Any]:
        """One update from batches of one shape; sums over the update and `gradient_norm`, not yet synchronised."""

    @abstractmethod
    def evaluate(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """The sums of one batch, outside training."""

    def sync(self) -> None:
        """Writes the truth into the variables of model and optimizer, where it stands elsewhere."""
