"""Activations by the names that configs use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras


def activation(name: str) -> Callable[[Any], Any]:
    """The function of a name that Keras knows, or "gelu_tanh".

    "gelu" is exact, x Φ(x) by the error function; "gelu_tanh" its approximation by a tanh (Hendrycks and Gimpel, 2016).
    They differ by up to 5e-4, so a checkpoint needs the one that it was trained with.
    """
    if name == "gelu_tanh":
        return partial(keras.activations.gelu, approximate=True)
    if name == "gelu" and keras.config.backend() == "tensorflow":
        from zoo.layers.activations_tensorflow import gelu

        return gelu
    return keras.activations.get(name)
