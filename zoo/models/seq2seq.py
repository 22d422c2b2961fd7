"""Seq2Seq: the encoder-decoder transformer of Vaswani et al., "Attention Is All You Need", 2017 (arXiv 1706.03762)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.layers.attention import causal_mask
from zoo.layers.block import BlockConfig
from zoo.layers.dropout import Dropout
from zoo.layers.embeddings import TokenEmbedding
from zoo.layers.positions import Positions
from zoo.layers.stack import Stack
from zoo.models.seq2seq_config import PRESETS, Config

__all__ = ["PRESETS", "Config", "Seq2Seq", "example_inputs"]


@keras.saving.register_keras_serializable(package="zoo")
class Seq2Seq(keras.Model):
    """Source ids and a target prefix in, logits of the next target token out.

    Args:
        config: sizes and rates; both vocabularies must be set.
        seed: decides the initial weights and the sequence of dropout.
    """

    built: bool  # Keras sets it

    def __init__(self, config: Config, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "seq2seq")
        super().__init__(**kwargs)
        if not (config.source_vocabulary and config.target_vocabulary):
            raise ValueError("source_vocabulary and target_vocabulary must be set before a model is built.")
        self.config, self.seed = config, seed
        generator = self.dropout_seed = keras.random.SeedGenerator(seed, name="dropout_seed")
        policy = {"dtype": self.dtype_policy}
        block, width = BlockConfig.of(config), config.width

        def embedding(vocabulary: int, name: str) -> TokenEmbedding:
            return TokenEmbedding(vocabulary, width, generator, name=name, **policy)

        self.target_embedding = embedding(config.target_vocabulary, "target_embedding")
        self.source_embedding = self.target_embedding
        if config.tied != "all":
            self.source_embedding = embedding(config.source_vocabulary, "source_embedding")
        self.output_embedding = self.target_embedding
        if config.tied == "none":
            self.output_embedding = embedding(config.target_vocabulary, "output_embedding")
        positions = (config.positions, config.max_length, width, generator)
        self.source_positions = Positions(*positions, name="source_positions", **policy)
        self.target_positions = Positions(*positions, name="target_positions", **policy)
        self.dropout = Dropout(config.dropout, generator, name="dropout", **policy)
        self.encoder = Stack(config.encoder_layers, block, generator, name="encoder", **policy)
        self.decoder = Stack(config.decoder_layers, block, generator, cross=True, name="decoder", **policy)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables at once: their shapes follow from the config alone."""
        if self.built:
            return
        # Tied embeddings are one layer, to be built once.
        embeddings = dict.fromkeys((self.source_embedding, self.target_embedding, self.output_embedding))
        parts: tuple[Any, ...] = (self.source_positions, self.target_positions, self.encoder, self.decoder)
        for layer in (*embeddings, *parts):
            layer.build((None, None, self.config.width))
        self.built = True

    def _embed_target(self, ids: Any, position: Any = None, training: bool = False) -> Any:
        x = self.target_positions(self.target_embedding(ids), position)
        return self.dropout(x, training=training)

    def _encode(self, inputs: dict[str, Any], training: bool) -> tuple[Any, Any]:
        mask = inputs["source_mask"][:, None, None, :]  # [B, 1, 1, S]
        x = self.source_positions(self.source_embedding(inputs["source_ids"]))
        return self.encoder(self.dropout(x, training=training), mask, training=training), mask

    def _target_mask(self, inputs: dict[str, Any]) -> Any:
        causal = causal_mask(ops.shape(inputs["target_ids"])[1])
        return ops.logical_and(causal, inputs["target_mask"][:, None, None, :])  # [B, 1, T, T]

    def hidden(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """The decoder's last hidden states [B, T, D]; `call` without the output projection."""
        memory, memory_mask = self._encode(inputs, training)
        x = self._embed_target(inputs["target_ids"], training=training)
        mask = self._target_mask(inputs)
        return self.decoder(x, mask, memory=memory, memory_mask=memory_mask, training=training)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Logits [B, T, V] of the token that follows each target position.

        Args:
            inputs: source_ids int32 [B, S]; source_mask bool [B, S]; target_ids int32 [B, T], which begins with
                start_id; target_mask bool [B, T]. Masks: True = real.
        """
        return self.output_embedding.logits(self.hidden(inputs, training))

    def compute_output_spec(self, inputs: dict[str, Any], training: bool = False) -> keras.KerasTensor:
        """Said, not traced: JAX cannot tell that an open length stays within the table of positions."""
        return keras.KerasTensor((*inputs["target_ids"].shape, self.config.target_vocabulary), self.compute_dtype)

    def attention(self, inputs: dict[str, Any]) -> Any:
        """Cross-attention weights [layers, B, H, T, S] for the inputs of `call`."""
        memory, memory_mask = self._encode(inputs, training=False)
        x = self._embed_target(inputs["target_ids"])
        return self.decoder.attention(x, self._target_mask(inputs), memory=memory, memory_mask=memory_mask)

    def encode(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What decoding needs of the source, computed once.

        Returns:
            mask bool [B, S], and for each decoder block i keys_i and values_i [B, S, H, D / H].
        """
        x, _ = self._encode(inputs, training=False)
        memory = {"mask": inputs["source_mask"]}
        for index, block in enumerate(self.decoder.blocks):
            memory[f"keys_{index}"], memory[f"values_{index}"] = block.cross.project_memory(x)
        return memory

    def start(self, memory: dict[str, Any], batch: Any, length: int) -> dict[str, Any]:
        """An empty cache for `batch` = B * N rows and `length` positions: keys_i, values_i [R, T, H, D / H]."""
        config = self.config
        shape = (batch, length, config.heads, config.width // config.heads)
        names = [f"{kind}_{index}" for index in range(config.decoder_layers) for kind in ("keys", "values")]
        return {name: ops.zeros(shape, self.compute_dtype) for name in names}

    def step(self, tokens: Any, position: Any, memory: dict[str, Any], cache: dict[str, Any]) -> tuple[Any, Any]:
        """Reads K tokens a row and tells what follows each.

        Args:
            tokens: int32 [R, K], R = B * N; row r belongs to memory row r // N.
            position: int32 [R], of each row's first token.
            memory: as `encode` gave it, [B, …].
            cache: as `start` or the last `step` gave it, [R, …].

        Returns:
            logits [R, K, V] and the new cache.
        """
        x = self._embed_target(tokens, position)
        new = {}
        for index, block in enumerate(self.decoder.blocks):
            keys, values = f"keys_{index}", f"values_{index}"
            shared = (memory[keys], memory[values], memory["mask"])
            x, (new[keys], new[values]) = block.step(x, position, (cache[keys], cache[values]), shared)
        return self.output_embedding.logits(self.decoder.close(x)), new

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": asdict(self.config), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Seq2Seq:
        return cls(**{**config, "config": Config(**config["config"])})


def example_inputs(config: Config, rows: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs of `call` with rows of different lengths, for tests and measurements; S = 7, T = 5."""
    rng = np.random.default_rng(seed)
    first = max(config.pad_id, config.unknown_id, config.start_id, config.end_id) + 1
    inputs = {}
    for side, length, vocabulary in (("source", 7, config.source_vocabulary), ("target", 5, config.target_vocabulary)):
        lengths = rng.integers(2, length + 1, rows)
        lengths[0] = length
        ids = rng.integers(first, vocabulary, (rows, length))
        if side == "target":
            ids[:, 0] = config.start_id
        mask = np.arange(length) < lengths[:, None]
        inputs[f"{side}_ids"] = np.where(mask, ids, config.pad_id).astype("int32")
        inputs[f"{side}_mask"] = mask
    return inputs
