"""The position-wise feed-forward network (Vaswani et al., 2017, section 3.3)."""

from __future__ import annotations

from typing import Any

import keras

from zoo.layers.activations import activation as activation_of
from zoo.layers.dropout import Dropout
from zoo.layers.initial import matrices


class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between them: [B, T, D] -> [B, T, F] -> [B, T, D].

    Args:
        width: D.
        feedforward: F.
        activation: a name that `zoo.layers.activations` knows.
        dropout: rate after the activation, in training.
        seed_generator: the model's generator, for initial weights and dropout.
        deviation: of the initial matrices; see `zoo.layers.initial.matrices`.
    """

    def __init__(
        self,
        width: int,
        feedforward: int,
        activation: str = "relu",
        dropout: float = 0.0,
        seed_generator: keras.random.SeedGenerator | None = None,
        deviation: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width, self.feedforward = width, feedforward
        dense = {"kernel_initializer": matrices(seed_generator, deviation), "dtype": self.dtype_policy}
        self.inner = keras.layers.Dense(feedforward, activation=activation_of(activation), name="inner", **dense)
        self.outer = keras.layers.Dense(width, name="outer", **dense)
        self.dropout = Dropout(dropout, seed_generator, name="inner_dropout", dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        self.inner.build((None, None, self.width))
        self.outer.build((None, None, self.feedforward))
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """x [B, T, D] -> [B, T, D]."""
        return self.outer(self.dropout(self.inner(x), training=training))
