"""Bert as a graph for a CPU: plain TensorFlow, equal to `zoo.models.bert` by tests.

Padding is not computed: the real tokens of a batch stand one after another, [R, D], and are laid out in rows only where
they attend to each other. Strangers' texts in one batch differ much in length, so that a third to a half of it is
padding. The weights stand as `zoo.export.encoder_weights` says.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from zoo.export.block_weights import Arrays
from zoo.export.graph_parts import ACTIVATIONS, HIDDEN, Blocks, Weights, centred, dense, of_block, scaled, stored, weigh
from zoo.models.bert import Config


class Tokens(NamedTuple):
    """Which tokens of a batch are real.

    mask: bool [B, T].
    places: int32 [R], where each real token stands among the B * T positions.
    rows: int32 [B * T], which real token stands at each position; any of them where there is padding.
    """

    mask: tf.Tensor
    places: tf.Tensor
    rows: tf.Tensor

    @classmethod
    def of(cls, mask: tf.Tensor) -> Tokens:
        """From a mask bool [B, T]."""
        flat = tf.reshape(mask, [-1])
        rows = tf.maximum(tf.cumsum(tf.cast(flat, tf.int32)) - 1, 0)
        return cls(mask, tf.cast(tf.where(flat)[:, 0], tf.int32), rows)

    def spread(self, x: tf.Tensor) -> tf.Tensor:
        """[R, D] -> [B * T, D]."""
        return tf.gather(x, self.rows)

    def gather(self, x: tf.Tensor) -> tf.Tensor:
        """[B * T, D] -> [R, D]."""
        return tf.gather(x, self.places)


class EncoderGraph(tf.Module):
    """The model's weights as variables, and its functions over them.

    Args:
        arrays: as `zoo.export.encoder_weights.layout` gives them.
        config: of the model.
        storage: dtype of the stored matrices; positions, biases and norms, which are small, stay in float32.
    """

    def __init__(self, arrays: Arrays, config: Config, storage: str = "float32") -> None:
        super().__init__(name="encoder")
        self.config, self.blocks = config, Blocks(config)
        self.stored = stored(arrays, storage)

    def hidden(self, ids: tf.Tensor, mask: tf.Tensor, segments: tf.Tensor) -> tuple[tf.Tensor, Tokens, Weights]:
        """The last hidden states of the real tokens, [R, D], which these are, and the weights for what comes after.

        Args:
            ids, segments: int32 [B, T].
            mask: bool [B, T].
        """
        # Of the table of tokens, which is large, only the rows that are looked up are cast.
        weights = {
            name: variable.read_value() if name == "token_table" else tf.cast(variable.read_value(), tf.float32)
            for name, variable in self.stored.items()
        }
        tokens, length = Tokens.of(mask), tf.shape(ids)[1]
        x = self._embed(weights, tokens, ids, segments)
        unseen = tf.where(mask, 0.0, HIDDEN)[:, None, None, :]

        def attend(w: Weights, x: tf.Tensor) -> tf.Tensor:
            qkv = tf.split(tokens.spread(dense(w, "qkv", x)), 3, axis=1)
            queries, keys, values = (self.blocks.heads(part, length) for part in qkv)
            return tokens.gather(self.blocks.join(weigh(queries, keys, values, unseen)[0], length))

        for index in range(self.config.layers):
            x = self.blocks.block(of_block(weights, f"encoder_{index}"), x, attend)
        if self.config.norm == "pre":
            x = scaled(weights, "encoder", self.blocks.unit(x))
        return x, tokens, weights

    def _embed(self, weights: Weights, tokens: Tokens, ids: tf.Tensor, segments: tf.Tensor) -> tf.Tensor:
        config, length = self.config, tf.shape(ids)[1]
        x = tf.cast(tf.gather(weights["token_table"], tokens.gather(tf.reshape(ids, [-1]))), tf.float32)
        x += tf.gather(weights["positions"], tokens.places % length + config.position_offset)
        if config.segments == 1:
            x += weights["segments"]
        elif config.segments:
            x += tf.gather(weights["segments"], tokens.gather(tf.reshape(segments, [-1])))
        if config.embedding_norm:
            x = self.blocks.normalised(weights, "embedding", x)
        return centred(x) if config.norm == "pre" else x

    # What the heads make of the hidden states.

    def pooled(self, ids: tf.Tensor, mask: tf.Tensor, segments: tf.Tensor) -> tuple[tf.Tensor, Weights]:
        """One vector for each row, [B, D], and the weights."""
        x, tokens, weights = self.hidden(ids, mask, segments)
        rows, length = tf.unstack(tf.shape(mask))
        if self.config.pooler == "mean":
            sums = tf.math.unsorted_segment_sum(x, tokens.places // length, rows)
            return sums / tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float32), axis=1, keepdims=True), 1.0), weights
        first = tf.gather(x, tf.gather(tokens.rows, tf.range(rows) * length))
        return tf.math.tanh(dense(weights, "pooler", first)) if self.config.pooler == "cls_dense" else first, weights

    def logits(self, ids: tf.Tensor, mask: tf.Tensor, segments: tf.Tensor) -> tf.Tensor:
        """What the heads classify [B, C], tokens [B, T, C] and span [B, T, 2] say; anything in the padding."""
        if self.config.head == "classify":
            x, weights = self.pooled(ids, mask, segments)
            if self.config.head_hidden != "none":
                x = ACTIVATIONS[self.config.head_hidden](dense(weights, "head_hidden", x))
            return dense(weights, "head_output", x)
        x, tokens, weights = self.hidden(ids, mask, segments)
        found = tokens.spread(dense(weights, "head_output", x))
        return tf.reshape(found, tf.concat([tf.shape(ids), [found.shape[1]]], axis=0))

    def words(self, ids: tf.Tensor, mask: tf.Tensor, segments: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Logits [B, V] of the word at one position of each row, by the head masked_words.

        Args:
            places: int32 [B], of a real token of the row.
        """
        x, tokens, weights = self.hidden(ids, mask, segments)
        rows, length = tf.unstack(tf.shape(ids))
        x = tf.gather(x, tf.gather(tokens.rows, tf.range(rows) * length + places))
        x = ACTIVATIONS[self.config.activation](dense(weights, "head_hidden", x))
        x = self.blocks.normalised(weights, "head", x)
        table = tf.cast(weights["token_table"], tf.float32)
        return tf.matmul(x, table, transpose_b=True) + weights["head_bias"]
