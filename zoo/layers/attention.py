"""Multi-head attention: self, cross, causal, cached, padded; the one attention of every family.

Vaswani et al., "Attention Is All You Need", 2017, section 3.2.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.layers.initial import matrices


def visible_keys(mask: Any) -> Any:
    """A mask under which each query sees something: where all keys are hidden, all are shown.

    A softmax over nothing is NaN in some fused kernels. The output of such a row means nothing, but it is finite.

    Args:
        mask: bool [B, 1 or H, T or 1, S], True = may be attended to.
    """
    return ops.logical_or(mask, ops.logical_not(ops.any(mask, axis=-1, keepdims=True)))


def given(mask: Any) -> tuple[Any, ...]:
    """A mask, or nothing for None, as the arguments behind x: `layer(x, *given(mask))`.

    Keras itself fills an argument of this name where it is None, and warns where it is passed by name.
    """
    return () if mask is None else (mask,)


def causal_mask(length: int) -> Any:
    """bool [1, 1, T, T]: query t sees keys 0 to t."""
    positions = ops.arange(length)
    return (positions[None, :] <= positions[:, None])[None, None]


class Attention(keras.layers.Layer):
    """Scaled dot-product attention with H heads of width D / H.

    The framework's fused product runs (`keras.ops.dot_product_attention`) unless weights are asked for or attention
    dropout is active in training: then the same projections go through the plain product. TensorFlow has no fused one;
    there the plain product always runs: on one thread of a CPU it took 0.6 of the time of Keras's einsums.

    Args:
        width: D, of the input and the output.
        heads: H; must divide D.
        dropout: rate on the attention weights in training.
        seed_generator: the model's generator, for initial weights and dropout.
        deviation: of the initial matrices; see `zoo.layers.initial.matrices`.
        qk_epsilon: where given, the queries and keys of each head are normalised, with this added to the variance, so
            that scores cannot grow until the softmax picks one key (Dehghani et al., 2023; arXiv 2302.05442).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float = 0.0,
        seed_generator: keras.random.SeedGenerator | None = None,
        deviation: float = 0.0,
        qk_epsilon: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}.")
        self.width, self.heads, self.head_width = width, heads, width // heads
        # Query, key and value begin as one Glorot matrix [D, 3 D] would, smaller by sqrt(2) than one each. A post-norm
        # stack mixes less then: with the larger values all positions of an encoder grew alike at high learning rates.
        narrow = matrices(seed_generator, deviation, scale=0.5)
        projection = {"units": width, "kernel_initializer": narrow, "dtype": self.dtype_policy}
        self.query = keras.layers.Dense(name="query", **projection)
        self.key = keras.layers.Dense(name="key", **projection)
        self.value = keras.layers.Dense(name="value", **projection)
        self.output_projection = keras.layers.Dense(
            width, kernel_initializer=matrices(seed_generator, deviation), name="output", dtype=self.dtype_policy
        )
        self.query_norm = self.key_norm = self.dropout = None
        if qk_epsilon is not None:
            norm = {"epsilon": qk_epsilon, "dtype": self.dtype_policy}
            self.query_norm = keras.layers.LayerNormalization(name="query_norm", **norm)
            self.key_norm = keras.layers.LayerNormalization(name="key_norm", **norm)
        if dropout:
            self.dropout = Dropout(dropout, seed_generator, name="weights_dropout", dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        for layer in (self.query, self.key, self.value, self.output_projection):
            layer.build((None, None, self.width))
        for norm in (self.query_norm, self.key_norm):
            if norm is not None:
                norm.build((None, None, self.heads, self.head_width))
        self.built = True

    def split_heads(self, x: Any) -> Any:
        """[B, T, D] -> [B, T, H, D / H]."""
        return ops.reshape(x, (-1, ops.shape(x)[1], self.heads, self.head_width))

    def project_memory(self, memory: Any) -> tuple[Any, Any]:
        """Keys and values [B, S, H, D / H] of a memory [B, S, D]; computed once, used by every step."""
        keys = self.split_heads(self.key(memory))
        return keys if self.key_norm is None else self.key_norm(keys), self.split_heads(self.value(memory))

    def attend(self, x: Any, keys: Any, values: Any, mask: Any, training: bool = False, weights: bool = False) -> Any:
        """Queries made of x [B, T, D] over ready keys and values [B, S, H, D / H].

        Args:
            mask: bool, broadcastable to [B, H, T, S], True = may be attended to; None: everything is.
            weights: return (output [B, T, D], weights [B, H, T, S]) instead of the output alone.
        """
        queries = self.split_heads(self.query(x))
        if self.query_norm is not None:
            queries = self.query_norm(queries)
        if mask is not None:
            mask = visible_keys(mask)
        dropout = self.dropout if training else None
        if weights or dropout is not None or keras.config.backend() == "tensorflow":
            mixed, attention = self._plain_product(queries, keys, values, mask, dropout)
        else:
            mixed, attention = ops.dot_product_attention(queries, keys, values, mask=mask), None
        out = self.output_projection(ops.reshape(mixed, (-1, ops.shape(x)[1], self.width)))
        return (out, attention) if weights else out

    def _plain_product(self, queries: Any, keys: Any, values: Any, mask: Any, dropout: Dropout | None) -> Any:
        queries, values = (ops.transpose(x, (0, 2, 1, 3)) for x in (queries, values))  # [B, H, T, D / H]
        scores = ops.matmul(queries * self.head_width**-0.5, ops.transpose(keys, (0, 2, 3, 1)))
        scores = ops.cast(scores, "float32")
        attention = ops.softmax(scores if mask is None else ops.where(mask, scores, -1e30))
        used = dropout(attention, training=True) if dropout is not None else attention
        mixed = ops.matmul(ops.cast(used, values.dtype), values)
        return ops.transpose(mixed, (0, 2, 1, 3)), attention

    def call(self, x: Any, mask: Any = None, memory: Any = None, training: bool = False, weights: bool = False) -> Any:
        """x [B, T, D] attends to itself, or to memory [B, S, D].

        Args:
            mask: bool, broadcastable to [B, H, T, S], True = may be attended to (padding and causality in one); None:
                everything is.
        """
        keys, values = self.project_memory(x if memory is None else memory)
        return self.attend(x, keys, values, mask, training=training, weights=weights)

    def step(self, x: Any, position: Any, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        """Causal self-attention of K new tokens a row, over a cache.

        Args:
            x: [R, K, D], the tokens at positions position .. position + K - 1 of their row.
            position: int32 [R].
            keys, values: the cache [R, T, H, D / H]; places at and after `position` are overwritten or hidden.

        Returns:
            output [R, K, D] and the new cache.
        """
        new_keys, new_values = self.project_memory(x)
        places = ops.arange(ops.shape(keys)[1], dtype="int32")  # [T]
        queries_at = position[:, None] + ops.arange(ops.shape(x)[1], dtype="int32")  # [R, K]
        hit = places[None, None, :] == queries_at[:, :, None]  # [R, K, T]
        written = ops.any(hit, axis=1)[:, :, None, None]  # [R, T, 1, 1]
        hit = ops.cast(hit, keys.dtype)
        keys = ops.where(written, ops.einsum("rkt,rkhd->rthd", hit, new_keys), keys)
        values = ops.where(written, ops.einsum("rkt,rkhd->rthd", hit, new_values), values)
        mask = (places[None, None, :] <= queries_at[:, :, None])[:, None]  # [R, 1, K, T]
        return self.attend(x, keys, values, mask), keys, values

    def step_memory(self, x: Any, keys: Any, values: Any, mask: Any) -> Any:
        """Cross-attention of K new tokens a row over a memory that the N hypotheses of a sentence share.

        Args:
            x: [B * N, K, D]; row r belongs to memory row r // N.
            keys, values: [B, S, H, D / H], as `project_memory` gave them.
            mask: bool [B, S], True = real.
        """
        rows, tokens = ops.shape(x)[0], ops.shape(x)[1]
        queries = ops.reshape(x, (ops.shape(keys)[0], -1, self.width))  # [B, N * K, D]: no copy of the memory
        out = self.attend(queries, keys, values, mask[:, None, None, :])
        return ops.reshape(out, (rows, tokens, self.width))
