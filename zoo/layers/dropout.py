"""Dropout that draws from the one seed generator of the model."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from keras import ops


class Dropout(keras.layers.Layer):
    """Zero values at random in training and scale the rest up (Srivastava et al., 2014).

    `keras.layers.Dropout` makes a seed generator for each layer, whose automatic name differs between processes and
    whose state no Keras file keeps. Here all layers of a model share one generator, which a checkpoint can name.

    The model alone tracks that generator: Keras lists the state of a tracked one again for each layer that holds it,
    and JAX refuses to donate one buffer twice. So layers keep it inside a function or an initializer.

    Args:
        rate: share of values that become zero, in [0, 1).
        seed_generator: the model's generator; an attribute of the model.
        whole_rows: drop all values of a row together (drop path, Huang et al., 2016), instead of each for itself.
    """

    def __init__(
        self, rate: float, seed_generator: keras.random.SeedGenerator, whole_rows: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"A dropout rate lies in [0, 1); {rate} does not.")
        self.rate = rate
        self.whole_rows = whole_rows
        self.drop = partial(_drop, rate=rate, seed_generator=seed_generator)
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """x [B, …] -> the same shape and dtype."""
        if not training or self.rate == 0:
            return x
        shape = ops.shape(x)
        return self.drop(x, (shape[0], *[1] * (len(shape) - 1)) if self.whole_rows else shape)


def _drop(x: Any, noise_shape: tuple[Any, ...], rate: float, seed_generator: keras.random.SeedGenerator) -> Any:
    if keras.config.backend() != "tensorflow":
        return keras.random.dropout(x, rate, noise_shape=noise_shape, seed=seed_generator)
    from zoo.layers.dropout_tensorflow import factors

    return x * factors(noise_shape, rate, seed_generator.next(), x.dtype)
