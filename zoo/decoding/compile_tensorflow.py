"""Compiles on TensorFlow."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def compiled(function: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    """`function` as a graph, which reads the variables themselves, so it sees every change of theirs.

    After two shapes of an argument the third graph is for all shapes.
    """
    return tf.function(function, reduce_retracing=True, autograph=False, jit_compile=False)
