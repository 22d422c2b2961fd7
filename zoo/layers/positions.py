"""Positions of tokens: sinusoidal (computed, float32) and learned."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def sinusoidal_table(length: int, width: int) -> np.ndarray:
    """float32 [T, D]: sines in the even columns, cosines in the odd ones (Vaswani et al., 2017, section 3.5)."""
    rates = np.exp(-np.log(10000.0) * (np.arange(0, width, 2) / width))  # float64: large angles lose digits in float32
    angles = np.arange(length)[:, None] * rates[None, :]
    table = np.zeros((length, width), "float32")
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : width // 2])
    return table


class Positions(keras.layers.Layer):
    """Adds the vector of its position to each token.

    Args:
        kind: "sinusoidal" or "learned".
        length: most positions; a position beyond it is an error of the caller.
        width: D.
        seed_generator: the model's generator, for the initial weights of "learned".
        offset: rows of the table before that of position 0 (RoBERTa: 2).
    """

    def __init__(
        self,
        kind: str,
        length: int,
        width: int,
        seed_generator: keras.random.SeedGenerator | None = None,
        offset: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in ("sinusoidal", "learned"):
            raise ValueError(f'Positions are "sinusoidal" or "learned", not "{kind}".')
        self.kind, self.length, self.width, self.offset = kind, length, width, offset
        self.initializer = keras.initializers.RandomNormal(stddev=0.02, seed=seed_generator)

    def build(self, input_shape: Any = None) -> None:
        rows = self.offset + self.length
        if self.kind == "learned":
            self.table = self.add_weight(name="table", shape=(rows, self.width), initializer=self.initializer)
        else:
            self.table = sinusoidal_table(rows, self.width)
        self.built = True

    def call(self, x: Any, position: Any = None) -> Any:
        """x [R, K, D] -> [R, K, D]; `position` int32 [R] of each row's first token, 0 when not given."""
        tokens = ops.shape(x)[1]
        table = ops.cast(self.table, self.compute_dtype)
        if self.offset:
            table = table[self.offset :]
        if position is None:
            return x + table[None, :tokens]
        return x + ops.take(table, position[:, None] + ops.arange(tokens, dtype="int32"), axis=0)
