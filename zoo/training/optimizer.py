"""AdamW, set up the way transformers want it."""

from __future__ import annotations

from typing import Any

import keras

from zoo.training.choices import TrainingChoices

NOT_DECAYED = ("bias", "gamma", "beta", "positions")


def build_optimizer(choices: TrainingChoices, schedule: Any, variables: list[Any]) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) whose state exists already, so that a checkpoint can fill it.

    Weight decay leaves out biases, norms and tables of positions. Clipping belongs to the step, which clips the
    gradient of the whole update.
    """
    optimizer = keras.optimizers.AdamW(
        learning_rate=schedule,
        weight_decay=choices.weight_decay,
        beta_1=choices.beta_1,
        beta_2=choices.beta_2,
        epsilon=choices.epsilon,
        name="adamw",
    )
    if choices.weight_decay:
        decayed = [v for v in variables if not any(part in v.path for part in NOT_DECAYED)]
        left_out = {id(v) for v in decayed}
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if id(v) not in left_out])
    optimizer.build(variables)
    return optimizer
