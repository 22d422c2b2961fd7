"""Dropout's random numbers on TensorFlow.

`tf.nn.experimental.stateless_dropout` draws a float for each value and selects; both are slow on a CPU, most of all in
bfloat16. Half of a random word decides as well, and a product selects.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

LEVELS = 1 << 16  # a value is kept or not by 16 bits: a rate is met to 1 in 65,536


def factors(shape: Any, rate: float, seed: Any, dtype: str) -> tf.Tensor:
    """0 for a share `rate` of the values and 1 / (1 - rate) for the rest, drawn at random.

    Args:
        shape: int32 [N], of the result.
        seed: integers [2]; it decides everything.
    """
    kept = LEVELS - min(max(round(rate * LEVELS), 1), LEVELS - 1)  # any rate leaves some of both
    size = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform([(size + 1) // 2], seed, None, None, tf.uint32)
    halves = tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:size]
    return tf.cast(tf.reshape(halves < kept, shape), dtype) * tf.cast(LEVELS / kept, dtype)
