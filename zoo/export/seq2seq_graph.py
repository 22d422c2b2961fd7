"""Seq2Seq as a graph for decoding on a CPU: plain TensorFlow, equal to `zoo.models.seq2seq` by tests.

Tensors inside a block are [R, D], one row a token: reshapes for heads are then free, and every projection is one
matrix product. The weights stand as `zoo.export.seq2seq_weights` says.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from zoo.export.graph_parts import HIDDEN, Blocks, Weights, centred, dense, of_block, scaled, stored, weigh
from zoo.export.seq2seq_weights import Arrays
from zoo.models.seq2seq import Config

SIDES: dict[str, tuple[str, ...]] = {
    "encoder": ("encoder", "memory", "source", "positions"),
    "decoder": ("decoder", "output", "target", "positions"),
}


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
        self.blocks = Blocks(config)
        self.stored = stored(arrays, storage)

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
            queries, keys, values = self.blocks.qkv(w, x, length)
            return self.blocks.join(weigh(queries, keys, values, hidden)[0], length)

        for index in range(config.encoder_layers):
            x = self.blocks.block(of_block(weights, f"encoder_{index}"), x, attend)
        both = tf.split(dense(weights, "memory", self._close(weights, "encoder", x)), 2 * config.decoder_layers, axis=1)
        both = tuple(self.blocks.heads(part, length) for part in both)
        return Memory(both[0::2], both[1::2], hidden)

    def start(self, rows: tf.Tensor) -> list[tf.Tensor]:
        """An empty cache: keys and values [R, H, 0, D / H] of each decoder block in turn."""
        shape = [rows, self.config.heads, 0, self.blocks.head_width]
        return [tf.zeros(shape) for _ in range(2 * self.config.decoder_layers)]

    def cache_specs(self) -> list[tf.TensorSpec]:
        """What `start` and `step` give."""
        spec = tf.TensorSpec([None, self.config.heads, None, self.blocks.head_width])
        return [spec] * (2 * self.config.decoder_layers)

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
        shape, after = [-1, 3, self.config.heads, 1, self.blocks.head_width], []
        for index in range(self.config.decoder_layers):

            def attend(w: Weights, x: tf.Tensor, at: int = 2 * index) -> tf.Tensor:
                new = tf.unstack(tf.reshape(dense(w, "qkv", x), shape), axis=1)
                keys, values = (tf.concat([cache[at + i], new[1 + i]], axis=2) for i in (0, 1))
                after.extend([keys, values])
                return self.blocks.join(weigh(new[0], keys, values)[0], 1)

            def cross(w: Weights, x: tf.Tensor, at: int = index) -> tf.Tensor:
                # The hypotheses of a row are queries over one memory, of which no copy is made.
                queries = self.blocks.heads(dense(w, "query", x), many)
                mixed, _ = weigh(queries, memory.keys[at], memory.values[at], memory.hidden)
                return self.blocks.join(mixed, many)

            x = self.blocks.block(of_block(weights, f"decoder_{index}"), x, attend, cross)
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
                queries, keys, values = self.blocks.qkv(w, x, length)
                return self.blocks.join(weigh(queries, keys, values, future)[0], length)

            def cross(w: Weights, x: tf.Tensor, at: int = index) -> tf.Tensor:
                queries = self.blocks.heads(dense(w, "query", x), length)
                mixed, attention = weigh(queries, memory.keys[at], memory.values[at], memory.hidden)
                shown.append(tf.reduce_mean(attention, axis=1))
                return self.blocks.join(mixed, length)

            x = self.blocks.block(of_block(weights, f"decoder_{index}"), x, attend, cross)
        return tf.add_n(shown) / len(shown)

    def _close(self, weights: Weights, side: str, x: tf.Tensor) -> tf.Tensor:
        """The closing normalisation of pre-norm; that of the encoder is scaled by the matrix that follows."""
        if self.config.norm == "post":
            return x
        x = self.blocks.unit(x)
        return scaled(weights, side, x) if side == "decoder" else x

    def _embed(self, weights: Weights, ids: tf.Tensor, side: str, position: tf.Tensor) -> tf.Tensor:
        """ids of any shape -> [R, D], R their number; position: int32 [R], or [] where it is the same for all."""
        ids = tf.reshape(ids, [-1])
        if f"{side}_table" in weights:
            x = tf.gather(weights[f"{side}_table"], ids)
        else:  # columns of the output matrix: slow for a gather, and nothing beside one transposition of the matrix
            x = tf.transpose(tf.gather(weights["output_kernel"], ids, axis=1))
        positions = weights["positions" if "positions" in weights else f"{side}_positions"]
        x = x * np.float32(self.config.width**0.5) + tf.gather(positions, position)
        return centred(x) if self.config.norm == "pre" else x
