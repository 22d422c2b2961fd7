"""AdamW, set up the way transformers want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zoo.training.choices import Pace, TrainingChoices

NOT_DECAYED = ("bias", "gamma", "beta", "scale", "positions", "leading_tokens")


class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW, which TensorFlow computes in one pass over memory."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if keras.config.backend() == "tensorflow":
            from zoo.training.optimizer_tensorflow import fused

            if fused(self, gradient, variable, learning_rate):
                return
        super().update_step(gradient, variable, learning_rate)


class PacedAdamW(AdamW):
    """AdamW in which each variable has a learning rate of its own, a share of the schedule's.

    Means and variances of the gradients are kept from the first update on, also of a variable that does not learn yet.

    Args:
        paces: one for each variable that it is built with, in their order.
        choices: those of AdamW.
    """

    def __init__(self, paces: Sequence[Pace], **choices: Any) -> None:
        super().__init__(**choices)
        self.paces = list(paces)

    def _rate(self, variable: Any, learning_rate: Any) -> Any:
        scale, start = self.paces[self._get_variable_index(variable)]
        rate = ops.cast(learning_rate, "float32") * scale
        return ops.where(self.iterations >= start, rate, 0.0) if start else rate

    def rates(self, variables: Sequence[Any]) -> list[float]:
        """The rates that the next update gives to the variables."""
        return [float(self._rate(variable, self.learning_rate)) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = self._rate(variable, learning_rate)
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * ops.cast(rate * self.weight_decay, variable.dtype))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Nothing: Keras would decay all variables at one rate, so `update_step` does it."""


def build_optimizer(choices: TrainingChoices, schedule: Any, variables: list[Any]) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) whose state exists already, so that a checkpoint can fill it.

    Weight decay leaves out biases, norms, layer scales, positions, class tokens and registers. Clipping belongs to the
    step, which clips the gradient of the whole update.
    """
    settings = {
        "learning_rate": schedule,
        "weight_decay": choices.weight_decay,
        "beta_1": choices.beta_1,
        "beta_2": choices.beta_2,
        "epsilon": choices.epsilon,
        "name": "adamw",
    }
    paces = choices.paces([variable.path for variable in variables])
    optimizer = PacedAdamW(paces, **settings) if paces else AdamW(**settings)
    if choices.weight_decay:
        decayed = [v for v in variables if not any(part in v.path for part in NOT_DECAYED)]
        left_out = {id(v) for v in decayed}
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if id(v) not in left_out])
    optimizer.build(variables)
    return optimizer
