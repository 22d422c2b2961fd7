"""Seq2Seq as a graph for decoding on a CPU: plain TensorFlow, equal to `zoo.models.seq2seq` by tests.

Tensors inside a block are [R, D], one row a token: reshapes for heads are then free, and every projection is one
matrix product. The weights stand as `zoo.export.seq2seq_weights` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from zoo.export.seq2seq_weights import Arrays
from zoo.layers.block import BlockConfig
from zoo.models.seq2seq import Config

EPSILON = BlockConfig.epsilon
ACTIVATIONS = {"relu": tf.nn.relu, "gelu": tf.nn.gelu, "silu": tf.nn.silu}
SIDES: dict[str, tuple[str, ...]] = {
    "encoder": ("encoder", "memory", "source", "positions"),
    "decoder": ("decoder", "output", "target", "positions"),
}
HIDDEN = -1e30  # added to the score of a key that may not be seen

Weights = dict[str, tf.Tensor]
Part = Callable[[tf.Tensor], tf.Tensor]


class Memory(NamedTuple):
    """What decoding needs of the source.

    keys, values: float32 [B, H, S, D / H] for each decoder block.
    hidden: float32 [B, 1, 1, S], 0 where a position is real and very low where it is padding.
    """

    keys: tuple[tf.Tensor, ...]
    values: tuple[tf.Tensor, ...]
    hidden: tf.Tensor


class Seq2SeqGraph(tf.Module):
    """The model's weights as variables, and its functions over them.

    Args:
        arrays: as `zoo.export.seq2seq_weights.layout` gives them.
        config: of the model.
        storage: dtype of the stored matrices; positions, biases and norms, which are small, stay in float32.
    """

    def __init__(self, arrays: Arrays, config: Config, storage: str = "float32") -> None:
        super().__init__(name="seq2seq")
        self.config = config
        self.heads, self.head_width = config.heads, config.width // config.heads
        self.stored = {
            name: tf.Variable(tf.cast(value, storage_of(name, storage)), trainable=False, name=name)
            for name, value in arrays.items()
        }

    def read(self, side: str) -> Weights:
        """The weights of a side, "encoder" or "decoder", in float32: to be called once, in front of a loop."""
        prefixes = SIDES[side]
        if side == "encoder" and "source_table" not in self.stored:
            prefixes += ("output",)  # the one table of all embeddings
        named = {name: variable for name, variable in self.stored.items() if name.startswith(prefixes)}
        return {name: tf.cast(variable.read_value(), tf.float32) for name, variable in named.items()}

    def encode(self, weights: Weights, ids: tf.Tensor, mask: tf.Tensor) -> Memory:
        """The memory of ids int32 [B, S] and mask bool [B, S], with the encoder's weights."""
        config = self.config
        rows, length = tf.unstack(tf.shape(ids))
        x = self._embed(weights, ids, "source", tf.tile(tf.range(length), [rows]))
        hidden = tf.where(mask, 0.0, HIDDEN)[:, None, None, :]

        def attend(w: Weights, x: tf.Tensor) -> tf.Tensor:
            queries, keys, values = (self._heads(part, length) for part in tf.split(_dense(w, "qkv", x), 3, axis=1))
            return self._join(_attend(queries, keys, values, hidden)[0], length)

        for index in range(config.encoder_layers):
            x = self._block(_of(weights, f"encoder_{index}"), x, attend)
        both = tf.split(
            _dense(weights, "memory", self._close(weights, "encoder", x)), 2 * config.decoder_layers, axis=1
        )
        both = tuple(self._heads(part, length) for part in both)
        return Memory(both[0::2], both[1::2], hidden)

    def start(self, rows: tf.Tensor) -> list[tf.Tensor]:
        """An empty cache: keys and values [R, H, 0, D / H] of each decoder block in turn."""
        return [tf.zeros([rows, self.heads, 0, self.head_width]) for _ in range(2 * self.config.decoder_layers)]

    def cache_specs(self) -> list[tf.TensorSpec]:
        """What `start` and `step` give."""
        return [tf.TensorSpec([None, self.heads, None, self.head_width])] * (2 * self.config.decoder_layers)

    def step(
        self,
        weights: Weights,
        tokens: tf.Tensor,
        position: tf.Tensor,
        memory: Memory,
        cache: list[tf.Tensor],
        many: int,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Reads one token a row.

        Args:
            weights: of the decoder.
            tokens: int32 [R], R = B * N.
            position: int32 [], the same for all rows.
            memory: row r of R belongs to its row r // N.
            cache: of the positions before.
            many: N.
        Returns: logits [R, V] and the cache, one position longer.
        """
        x = self._embed(weights, tokens, "target", position)
        after = []
        for index in range(self.config.decoder_layers):

            def attend(w: Weights, x: tf.Tensor, at: int = 2 * index) -> tf.Tensor:
                new = tf.unstack(tf.reshape(_dense(w, "qkv", x), [-1, 3, self.heads, 1, self.head_width]), axis=1)
                keys, values = (tf.concat([cache[at + i], new[1 + i]], axis=2) for i in (0, 1))
                after.extend([keys, values])
                return self._join(_attend(new[0], keys, values)[0], 1)

            def cross(w: Weights, x: tf.Tensor, at: int = index) -> tf.Tensor:
                # The hypotheses of a row are queries over one memory, of which no copy is made.
                queries = self._heads(_dense(w, "query", x), many)
                mixed, _ = _attend(queries, memory.keys[at], memory.values[at], memory.hidden)
                return self._join(mixed, many)

            x = self._block(_of(weights, f"decoder_{index}"), x, attend, cross)
        return tf.matmul(self._close(weights, "decoder", x), weights["output_kernel"]), after

    def attention(self, weights: Weights, tokens: tf.Tensor, memory: Memory) -> tf.Tensor:
        """Cross-attention [B, T, S] of whole targets, averaged over blocks and heads.

        Args:
            weights: of the decoder.
            tokens: int32 [B, T], start_id first.
        """
        rows, length = tf.unstack(tf.shape(tokens))
        x = self._embed(weights, tokens, "target", tf.tile(tf.range(length), [rows]))
        future = (1.0 - tf.linalg.band_part(tf.ones([length, length]), -1, 0)) * HIDDEN
        shown = []
        for index in range(self.config.decoder_layers):

            def attend(w: Weights, x: tf.Tensor) -> tf.Tensor:
                queries, keys, values = (self._heads(part, length) for part in tf.split(_dense(w, "qkv", x), 3, axis=1))
                return self._join(_attend(queries, keys, values, future)[0], length)

            def cross(w: Weights, x: tf.Tensor, at: int = index) -> tf.Tensor:
                queries = self._heads(_dense(w, "query", x), length)
                mixed, attention = _attend(queries, memory.keys[at], memory.values[at], memory.hidden)
                shown.append(tf.reduce_mean(attention, axis=1))
                return self._join(mixed, length)

            x = self._block(_of(weights, f"decoder_{index}"), x, attend, cross)
        return tf.add_n(shown) / len(shown)

    def _block(
        self, w: Weights, x: tf.Tensor, attend: Callable[..., Any], cross: Callable[..., Any] | None = None
    ) -> Any:
        """One block over x [R, D]; `attend` and `cross` give what their output projection takes."""
        activation = ACTIVATIONS[self.config.activation]
        x = self._around(w, "mix", x, lambda x: _dense(w, "mix", attend(w, x)))
        if cross is not None:
            x = self._around(w, "cross", x, lambda x: _dense(w, "cross", cross(w, x)))
        return self._around(w, "outer", x, lambda x: _dense(w, "outer", activation(_dense(w, "inner", x))))

    def _around(self, w: Weights, name: str, x: tf.Tensor, part: Part) -> tf.Tensor:
        """Residual sum and layer normalisation around a part, as `zoo.layers.block.Residual`."""
        if self.config.norm == "pre":
            return x + part(_unit(x))
        return _scaled(w, name, _unit(_centred(x + part(x))))

    def _close(self, weights: Weights, side: str, x: tf.Tensor) -> tf.Tensor:
        """The closing normalisation of pre-norm; that of the encoder is scaled by the matrix that follows."""
        if self.config.norm == "post":
            return x
        return _scaled(weights, side, _unit(x)) if side == "decoder" else _unit(x)

    def _embed(self, weights: Weights, ids: tf.Tensor, side: str, position: tf.Tensor) -> tf.Tensor:
        """ids of any shape -> [R, D], R their number; position: int32 [R], or [] where it is the same for all."""
        ids = tf.reshape(ids, [-1])
        if f"{side}_table" in weights:
            x = tf.gather(weights[f"{side}_table"], ids)
        else:  # columns of the output matrix: slow for a gather, and nothing beside one transposition of the matrix
            x = tf.transpose(tf.gather(weights["output_kernel"], ids, axis=1))
        positions = weights["positions" if "positions" in weights else f"{side}_positions"]
        x = x * np.float32(self.config.width**0.5) + tf.gather(positions, position)
        return _centred(x) if self.config.norm == "pre" else x

    def _heads(self, x: tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
        """[B * T, D] -> [B, H, T, D / H]; nothing moves where T is known to be 1."""
        if isinstance(length, int) and length == 1:
            return tf.reshape(x, [-1, self.heads, 1, self.head_width])
        return tf.transpose(tf.reshape(x, [-1, length, self.heads, self.head_width]), [0, 2, 1, 3])

    def _join(self, x: tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
        """[B, H, T, D / H] -> [B * T, D]."""
        if not (isinstance(length, int) and length == 1):
            x = tf.transpose(x, [0, 2, 1, 3])
        return tf.reshape(x, [-1, self.config.width])


def storage_of(name: str, storage: str) -> str:
    """The dtype in which an array of the layout is stored."""
    return storage if name.endswith(("_kernel", "_table")) else "float32"


def _of(weights: Mapping[str, tf.Tensor], block: str) -> Weights:
    return {name.removeprefix(f"{block}_"): value for name, value in weights.items() if name.startswith(f"{block}_")}


def _dense(w: Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, w[f"{name}_kernel"]), w[f"{name}_bias"])


# Layer normalisation by its definition, which is faster on a CPU than the fused kernels.


def _centred(x: tf.Tensor) -> tf.Tensor:
    return x - tf.reduce_mean(x, axis=-1, keepdims=True)


def _unit(x: tf.Tensor) -> tf.Tensor:
    """x [R, D] of mean 0 with variance 1."""
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + EPSILON)


def _scaled(w: Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    return x * w[f"{name}_gamma"] + w[f"{name}_beta"]


def _attend(
    queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, hidden: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Scaled queries [B, H, T, D / H] over keys and values [B, H, S, D / H]: mixed values, weights [B, H, T, S]."""
    scores = tf.matmul(queries, keys, transpose_b=True)
    weights = tf.nn.softmax(scores if hidden is None else scores + hidden)
    return tf.matmul(weights, values), weights
