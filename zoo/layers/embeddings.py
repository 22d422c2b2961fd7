"""Token embeddings, which can also project back onto the vocabulary (tied weights; Press and Wolf, 2017)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class TokenEmbedding(keras.layers.Layer):
    """Ids to vectors and, with the same matrix, vectors to logits.

    Vectors are scaled by sqrt(D), so that they weigh as much as the positions that are added (Vaswani et al., 2017,
    section 3.4); the matrix begins with a standard deviation of D ** -0.5, right for the logits.

    Args:
        vocabulary: V.
        width: D.
        seed_generator: the model's generator, for initial weights.
    """

    def __init__(
        self, vocabulary: int, width: int, seed_generator: keras.random.SeedGenerator | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary, self.width = vocabulary, width
        self.initializer = keras.initializers.RandomNormal(stddev=width**-0.5, seed=seed_generator)

    def build(self, input_shape: Any = None) -> None:
        self.table = self.add_weight(name="table", shape=(self.vocabulary, self.width), initializer=self.initializer)
        self.built = True

    def call(self, ids: Any) -> Any:
        """ids int32 [B, T] -> [B, T, D]."""
        return ops.take(ops.cast(self.table, self.compute_dtype), ids, axis=0) * self.width**0.5

    def logits(self, x: Any) -> Any:
        """x [B, T, D] -> logits [B, T, V]."""
        return ops.matmul(x, ops.transpose(ops.cast(self.table, self.compute_dtype)))
