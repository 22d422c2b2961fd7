"""Token embeddings, which can also project back onto the vocabulary (tied weights; Press and Wolf, 2017)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.layers.initial import matrices


class TokenEmbedding(keras.layers.Layer):
    """Ids to vectors and, with the same matrix, vectors to logits.

    Args:
        vocabulary: V.
        width: D.
        seed_generator: the model's generator, for initial weights.
        deviation: of the initial vectors, which are taken as they are (Devlin et al., 2018: 0.02). 0: the matrix begins
            with a standard deviation of D ** -0.5, right for the logits, and vectors are scaled by sqrt(D), so that
            they weigh as much as the positions that are added (Vaswani et al., 2017, section 3.4).
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        seed_generator: keras.random.SeedGenerator | None = None,
        deviation: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary, self.width, self.scaled = vocabulary, width, not deviation
        if deviation:
            self.initializer = matrices(seed_generator, deviation)
        else:
            self.initializer = keras.initializers.RandomNormal(stddev=width**-0.5, seed=seed_generator)

    def build(self, input_shape: Any = None) -> None:
        self.table = self.add_weight(name="table", shape=(self.vocabulary, self.width), initializer=self.initializer)
        self.built = True

    def call(self, ids: Any) -> Any:
        """ids int32 [B, T] -> [B, T, D]."""
        vectors = ops.take(ops.cast(self.table, self.compute_dtype), ids, axis=0)
        return vectors * self.width**0.5 if self.scaled else vectors

    def logits(self, x: Any) -> Any:
        """x [B, T, D] -> logits [B, T, V]."""
        return ops.matmul(x, ops.transpose(ops.cast(self.table, self.compute_dtype)))
