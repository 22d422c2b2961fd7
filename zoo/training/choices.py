"""The [training] section that every task has; a task adds the choices of its own loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zoo.errors import UserError
from zoo.recipe import option


class Pace(NamedTuple):
    """How a variable learns beside the others."""

    scale: float  # of the learning rate, and so of the weight decay
    start: int  # updates during which it stays as it is


@dataclass(frozen=True)
class TrainingChoices:
    """How a model is trained, whatever it is."""

    steps: int = option(10_000, "updates in all", low=1)
    budget: int = option(8192, "padded positions of all sides in one batch (tokens, patches, frames)", low=1)
    accumulate: int = option(1, "batches in one update", low=1)
    schedule: str = option(
        "inverse_square_root",
        "of the learning rate",
        choices=("inverse_square_root", "linear", "cosine", "constant", "warmup_stable_decay"),
    )
    peak_rate: float = option(1e-3, "highest learning rate", low=0.0, high=1.0)
    warmup: int = option(1000, "updates from rate 0 to the peak", low=0)
    decay_share: float = option(0.2, "share of all updates that warmup_stable_decay decays in", low=0.0, high=1.0)
    beta_1: float = option(0.9, "AdamW: memory of the mean", low=0.0, high=1.0)
    beta_2: float = option(0.98, "AdamW: memory of the variance", low=0.0, high=1.0)
    epsilon: float = option(1e-8, "AdamW: added to the root of the variance", low=0.0)
    weight_decay: float = option(0.0, "AdamW: not on norms, biases and embeddings of positions", low=0.0)
    clip_norm: float = option(0.0, "clip gradients by their global norm; 0: not at all", low=0.0)
    average_decay: float = option(0.0, "decay of the exponential average of weights; 0: none", low=0.0, high=1.0)
    average_checkpoints: int = option(1, "the exported weights are the mean of this many checkpoints", low=1)
    precision: str = option("float32", "of the computation", choices=("float32", "bfloat16"))
    evaluate_every: int = option(0, "updates between evaluations and checkpoints; 0: each epoch", low=0)
    select: str = option(
        "loss",
        "what is best at an evaluation: the validation loss, or the task's first score",
        choices=("loss", "score"),
    )
    patience: int = option(0, "evaluations without a better score before the training stops; 0: never", low=0)
    keep: int = option(5, "checkpoints kept besides the best", low=1)
    samples: int = option(3, "answers printed at each evaluation", low=0)
    devices: int = option(1, "devices of this process that share each update", low=1)
    seed: int = option(1, "decides initial weights, order and transforms", low=0)
    deterministic: bool = option(False, "bit-for-bit repeatable; costs up to a tenth of the speed")

    def __post_init__(self) -> None:
        if self.schedule != "constant" and self.warmup >= self.steps:
            raise UserError(
                f"the warm-up of {self.warmup} updates is not shorter than the training of {self.steps}",
                where="[training] warmup",
                remedy=f"set training.warmup to less than {self.steps}, such as {self.steps // 10}.",
            )
        if self.average_checkpoints > self.keep:
            raise UserError(
                f"{self.average_checkpoints} checkpoints are to be averaged and only {self.keep} are kept",
                where="[training] average_checkpoints",
                remedy=f"set training.keep = {self.average_checkpoints}.",
            )

    def paces(self, paths: Sequence[str]) -> list[Pace]:
        """One for each variable, by path; empty where all learn alike."""
        return []
