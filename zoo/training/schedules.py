"""Learning rates over the course of a training: a linear warm-up to the peak, then five ways to go on."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from zoo.errors import UserError
from zoo.training.choices import TrainingChoices

register = keras.saving.register_keras_serializable(package="zoo")


class Warmup(LearningRateSchedule):
    """Rises linearly to the peak at update `warmup`, then follows `after`.

    Keras calls a schedule with the number of updates done; all formulas here count the update being made, from 1:
    so the first update has the rate peak / warmup and not 0, and update `warmup` has the peak itself.

    Args:
        peak_rate: highest rate.
        warmup: updates up to the peak; 0 and 1 both begin at the peak.
    """

    def __init__(self, peak_rate: float, warmup: int) -> None:
        self.peak_rate = peak_rate
        self.warmup = warmup
        self.start = max(warmup, 1)  # the update that has the peak

    def after(self, update: Any) -> Any:
        """Share of the peak from update `start` on; float32, of any shape."""
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        """Rate after `step` updates: float32, of the shape of `step`."""
        update = ops.cast(step, "float32") + 1.0
        # The unused branch is computed too: max() keeps it finite.
        later = self.after(ops.maximum(update, float(self.start)))
        return self.peak_rate * ops.where(update < self.start, update / self.start, later)

    def get_config(self) -> dict[str, Any]:
        return {"peak_rate": self.peak_rate, "warmup": self.warmup}


@register
class InverseSquareRoot(Warmup):
    """peak * sqrt(warmup / update): Vaswani et al., 2017 (arXiv 1706.03762, section 5.3), with the peak as a choice.

    Theirs is width ** -0.5 * warmup ** -0.5.
    """

    def after(self, update: Any) -> Any:
        return ops.sqrt(self.start / update)


@register
class Constant(Warmup):
    """The peak for ever."""

    def after(self, update: Any) -> Any:
        return ops.ones_like(update)


class _Ending(Warmup):
    """A schedule that ends: the update after the last of `steps` would have the rate 0."""

    def __init__(self, peak_rate: float, warmup: int, steps: int) -> None:
        super().__init__(peak_rate, warmup)
        self.steps = steps

    def _left(self, update: Any, span: int) -> Any:
        """Share of the last `span` updates that are left, at most 1."""
        return ops.clip((self.steps + 1.0 - update) / (span + 1.0), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


@register
class Linear(_Ending):
    """Falls along a line to 0."""

    def after(self, update: Any) -> Any:
        return self._left(update, self.steps - self.start)


@register
class Cosine(_Ending):
    """Falls along half a cosine to 0 (Loshchilov and Hutter, 2017, arXiv 1608.03983, without restarts)."""

    def after(self, update: Any) -> Any:
        return 0.5 - 0.5 * ops.cos(math.pi * self._left(update, self.steps - self.start))


@register
class WarmupStableDecay(_Ending):
    """Stays at the peak, then falls along a line to 0 in the last `decay` updates (Hu et al., 2024, arXiv 2404.06395).

    Up to the decay it does not depend on the length of the training, so that one may be lengthened.
    """

    def __init__(self, peak_rate: float, warmup: int, steps: int, decay: int) -> None:
        super().__init__(peak_rate, warmup, steps)
        self.decay = decay

    def after(self, update: Any) -> Any:
        return self._left(update, self.decay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}


def build(choices: TrainingChoices) -> Warmup:
    """The schedule of a recipe's [training] section.

    Raises: UserError where the decay of warmup_stable_decay would begin within the warm-up.
    """
    peak_rate, warmup, steps = choices.peak_rate, choices.warmup, choices.steps
    if choices.schedule == "inverse_square_root":
        return InverseSquareRoot(peak_rate, warmup)
    if choices.schedule == "constant":
        return Constant(peak_rate, warmup)
    if choices.schedule == "warmup_stable_decay":
        decay = round(choices.decay_share * steps)
        if decay + warmup > steps:
            raise UserError(
                f"a warm-up of {warmup} and a decay of {decay} updates do not fit into {steps}",
                where="[training] decay_share",
                remedy=f"set training.decay_share to at most {1 - warmup / steps:.2f}.",
            )
        return WarmupStableDecay(peak_rate, warmup, steps, decay)
    return {"linear": Linear, "cosine": Cosine}[choices.schedule](peak_rate, warmup, steps)


def rates(schedule: LearningRateSchedule, steps: int) -> np.ndarray:
    """The rates of the first `steps` updates: float32 [steps]."""
    return ops.convert_to_numpy(schedule(np.arange(steps)))


def peak(schedule: LearningRateSchedule, steps: int) -> tuple[float, int]:
    """The highest rate of a training of `steps` updates, and the update (counted from 1) that first has it."""
    drawn = rates(schedule, steps)
    highest = int(np.argmax(drawn))
    return float(drawn[highest]), highest + 1
