"""How the matrices of a model begin."""

from __future__ import annotations

import keras


def matrices(
    seed_generator: keras.random.SeedGenerator | None, deviation: float = 0.0, scale: float = 1.0
) -> keras.initializers.Initializer:
    """The initializer of dense kernels.

    Args:
        seed_generator: the model's generator.
        deviation: of a normal distribution cut at twice that (Devlin et al., 2018: 0.02); 0: Glorot's uniform one.
        scale: of Glorot's variance.
    """
    if deviation:
        return keras.initializers.TruncatedNormal(stddev=deviation, seed=seed_generator)
    return keras.initializers.VarianceScaling(scale, mode="fan_avg", distribution="uniform", seed=seed_generator)
