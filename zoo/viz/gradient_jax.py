"""Gradients on JAX."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def gradient(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    """Of a function from an array to one number."""
    return np.asarray(jax.grad(function)(jax.numpy.asarray(at)))
