"""What stands above an encoder: poolers make one vector of a row, heads make the answers of a task."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.layers.activations import activation as activation_of
from zoo.layers.dropout import Dropout
from zoo.layers.embeddings import TokenEmbedding
from zoo.layers.initial import matrices

POOLERS = ("cls_dense", "cls", "mean")


class Pooler(keras.layers.Layer):
    """One vector for each row: [B, T, D] -> [B, D].

    Args:
        kind: "cls_dense", the first position through a dense layer and a tanh (Devlin et al., 2018); "cls", the first
            position as it is; "mean", over the real positions (Reimers and Gurevych, 2019, arXiv 1908.10084).
        width: D.
        seed_generator: the model's generator, for initial weights.
        deviation: of the initial matrix; see `zoo.layers.initial.matrices`.
    """

    def __init__(
        self,
        kind: str,
        width: int,
        seed_generator: keras.random.SeedGenerator | None = None,
        deviation: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in POOLERS:
            raise ValueError(f'A pooler is one of {", ".join(POOLERS)}, not "{kind}".')
        self.kind, self.width = kind, width
        self.dense = None
        if kind == "cls_dense":
            initializer = matrices(seed_generator, deviation)
            self.dense = keras.layers.Dense(
                width, activation="tanh", kernel_initializer=initializer, name="dense", dtype=self.dtype_policy
            )

    def build(self, input_shape: Any = None) -> None:
        if self.dense is not None:
            self.dense.build((None, self.width))
        self.built = True

    def call(self, x: Any, mask: Any) -> Any:
        """x [B, T, D] and mask bool [B, T] -> [B, D]; the mean of a row without anything real is 0."""
        if self.kind == "mean":
            real = ops.cast(mask, "float32")[:, :, None]
            total = ops.sum(ops.cast(x, "float32") * real, axis=1)  # half precision cannot count far
            return ops.cast(total / ops.maximum(ops.sum(real, axis=1), 1.0), x.dtype)
        first = x[:, 0]
        return first if self.dense is None else self.dense(first)


class OutputHead(keras.layers.Layer):
    """Dropout and a dense layer to the outputs; before them a dense layer of width D, where one is asked for.

    Args:
        outputs: C.
        width: D, of the input.
        hidden: activation of the layer between (RoBERTa: "tanh", DistilBERT: "relu"); "none": no such layer.
        dropout: rate before each dense layer, in training.
        seed_generator: the model's generator, for initial weights and dropout.
        deviation: of the initial matrices; see `zoo.layers.initial.matrices`.
    """

    def __init__(
        self,
        outputs: int,
        width: int,
        hidden: str = "none",
        dropout: float = 0.0,
        seed_generator: keras.random.SeedGenerator | None = None,
        deviation: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        dense = {"kernel_initializer": matrices(seed_generator, deviation), "dtype": self.dtype_policy}
        self.hidden = None
        if hidden != "none":
            self.hidden = keras.layers.Dense(width, activation=activation_of(hidden), name="hidden", **dense)
        self.output_projection = keras.layers.Dense(outputs, name="output", **dense)
        self.dropout = Dropout(dropout, seed_generator, name="dropout", dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        for layer in (self.hidden, self.output_projection):
            if layer is not None:
                layer.build((None, self.width))
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """x [B, D] or [B, T, D] -> [B, C] or [B, T, C]."""
        if self.hidden is not None:
            x = self.hidden(self.dropout(x, training=training))
        return self.output_projection(self.dropout(x, training=training))


class MaskedWordsHead(keras.layers.Layer):
    """Tells the word behind each position, by the table that embeds the words (Devlin et al., 2018, section 3.1).

    A dense layer, an activation and a normalisation; then the tied projection onto the vocabulary, with a bias.

    Args:
        vocabulary: V.
        width: D.
        activation: a name that `zoo.layers.activations` knows.
        epsilon: of the normalisation.
        seed_generator: the model's generator, for initial weights.
        deviation: of the initial matrix; see `zoo.layers.initial.matrices`.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        activation: str = "gelu",
        epsilon: float = 1e-12,
        seed_generator: keras.random.SeedGenerator | None = None,
        deviation: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary, self.width = vocabulary, width
        self.hidden = keras.layers.Dense(
            width,
            activation=activation_of(activation),
            kernel_initializer=matrices(seed_generator, deviation),
            name="hidden",
            dtype=self.dtype_policy,
        )
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, name="norm", dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        self.hidden.build((None, None, self.width))
        self.norm.build((None, None, self.width))
        self.bias = self.add_weight(name="bias", shape=(self.vocabulary,), initializer="zeros")
        self.built = True

    def call(self, x: Any) -> Any:
        """x [B, T, D] -> [B, T, D], what is compared with the vector of each word."""
        return self.norm(self.hidden(x))

    def logits(self, x: Any, words: TokenEmbedding) -> Any:
        """x [B, T, D] -> logits [B, T, V]."""
        return words.logits(self(x)) + ops.cast(self.bias, self.compute_dtype)


class PreTrainingHead(MaskedWordsHead):
    """Beside the words, `order`: logits [B, 2] of a pooled vector [B, D], whether two segments belong so (section 3.1).

    Arguments are those of MaskedWordsHead.
    """

    def __init__(self, *arguments: Any, **choices: Any) -> None:
        super().__init__(*arguments, **choices)
        initializer = self.hidden.kernel_initializer
        self.order = keras.layers.Dense(2, kernel_initializer=initializer, name="order", dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.order.build((None, self.width))
