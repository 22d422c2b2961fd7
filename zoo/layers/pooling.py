"""One vector of many tokens, by attention: with a learned query, or by a score of each token."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.layers.attention import Attention
from zoo.layers.feedforward import FeedForward
from zoo.layers.initial import matrices


class AttentionPooling(keras.layers.Layer):
    """A learned query attends to all tokens; a feed-forward network follows: [B, T, D] -> [B, D].

    The head "MAP" of Zhai et al., 2021 (arXiv 2106.04560), after Lee et al., 2018 (arXiv 1810.00825).

    Args:
        width: D.
        feedforward: F.
        heads: H; must divide D.
        activation: of the feed-forward network.
        epsilon: of the normalisation before it.
        seed_generator: the model's generator, for initial weights.
        deviation: of the initial matrices; see `zoo.layers.initial.matrices`.
    """

    def __init__(
        self,
        width: int,
        feedforward: int,
        heads: int,
        activation: str,
        epsilon: float,
        seed_generator: keras.random.SeedGenerator,
        deviation: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        policy = {"dtype": self.dtype_policy}
        self.width, self.initializer = width, matrices(seed_generator, deviation)
        self.attention = Attention(width, heads, 0.0, seed_generator, deviation, name="attention", **policy)
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, name="norm", **policy)
        self.feedforward = FeedForward(
            width, feedforward, activation, 0.0, seed_generator, deviation, name="feedforward", **policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.query = self.add_weight(name="query", shape=(1, self.width), initializer=self.initializer)
        for layer in (self.attention, self.norm, self.feedforward):
            layer.build((None, None, self.width))
        self.built = True

    def call(self, x: Any) -> Any:
        """x [B, T, D] -> [B, D]."""
        query = ops.broadcast_to(ops.cast(self.query, x.dtype), (ops.shape(x)[0], 1, self.width))
        pooled = self.attention(query, memory=x)
        return (pooled + self.feedforward(self.norm(pooled)))[:, 0]


class SequencePooling(keras.layers.Layer):
    """The mean of all tokens, each weighed by the softmax of a score of its own: [B, T, D] -> [B, D].

    Hassani et al., 2021 (arXiv 2104.05704), section 3.2.

    Args:
        width: D.
        seed_generator: the model's generator, for initial weights.
        deviation: of the initial matrix; see `zoo.layers.initial.matrices`.
    """

    def __init__(
        self, width: int, seed_generator: keras.random.SeedGenerator, deviation: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        begin = matrices(seed_generator, deviation)
        self.score = keras.layers.Dense(1, kernel_initializer=begin, name="score", dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        self.score.build((None, None, self.width))
        self.built = True

    def call(self, x: Any) -> Any:
        """x [B, T, D] -> [B, D]."""
        shares = ops.softmax(ops.cast(self.score(x), "float32"), axis=1)
        shares = ops.transpose(ops.cast(shares, x.dtype), (0, 2, 1))  # [B, 1, T]
        return ops.matmul(shares, x)[:, 0]
