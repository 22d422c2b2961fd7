"""Bert: an encoder that sees both sides of each word, with the head of a task (Devlin et al., 2018; arXiv 1810.04805).

Also RoBERTa (Liu et al., 2019; arXiv 1907.11692) and DistilBERT (Sanh et al., 2019; arXiv 1910.01108) by options.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.layers.block import BlockConfig
from zoo.layers.dropout import Dropout
from zoo.layers.embeddings import TokenEmbedding
from zoo.layers.heads import MaskedWordsHead, OutputHead, Pooler, PreTrainingHead
from zoo.layers.positions import Positions
from zoo.layers.stack import Stack
from zoo.models.bert_config import CLASSIFYING, POOLING, PRESETS, Config

__all__ = ["PRESETS", "Bert", "Config", "example_inputs"]

DEVIATION = 0.02  # of the initial matrices


@keras.saving.register_keras_serializable(package="zoo")
class Bert(keras.Model):
    """Ids of one text or a pair in, hidden states or the answers of the head out.

    Args:
        config: sizes and rates; the vocabulary must be set, and the classes where the head has them.
        seed: decides the initial weights and the sequence of dropout.
    """

    built: bool  # Keras sets it

    def __init__(self, config: Config, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "bert")
        super().__init__(**kwargs)
        if not config.vocabulary:
            raise ValueError("vocabulary must be set before a model is built.")
        if config.head in CLASSIFYING and not config.classes:
            raise ValueError(f'classes must be set before a model with the head "{config.head}" is built.')
        self.config, self.seed = config, seed
        generator = self.dropout_seed = keras.random.SeedGenerator(seed, name="dropout_seed")
        policy = {"dtype": self.dtype_policy}
        width, begin = config.width, (generator, DEVIATION)
        self.token_embedding = TokenEmbedding(config.vocabulary, width, *begin, name="token_embedding", **policy)
        self.positions = Positions(
            "learned", config.max_length, width, generator, config.position_offset, name="positions", **policy
        )
        self.segment_embedding = self.embedding_norm = self.pooler = None
        if config.segments:
            self.segment_embedding = TokenEmbedding(config.segments, width, *begin, name="segment_embedding", **policy)
        if config.embedding_norm:
            self.embedding_norm = keras.layers.LayerNormalization(
                epsilon=config.epsilon, name="embedding_norm", **policy
            )
        self.dropout = Dropout(config.dropout, generator, name="dropout", **policy)
        block = replace(BlockConfig.of(config), deviation=DEVIATION)
        self.encoder = Stack(config.layers, block, generator, name="encoder", **policy)
        if config.pools:
            self.pooler = Pooler(config.pooler, width, *begin, name="pooler", **policy)
        self.head = self._make_head()
        self.build()

    def _make_head(self) -> MaskedWordsHead | OutputHead | None:
        config = self.config
        begin = {
            "seed_generator": self.dropout_seed,
            "deviation": DEVIATION,
            "name": "head",
            "dtype": self.dtype_policy,
        }
        if config.head in ("none", "pool"):
            return None
        if config.head == "masked_words":
            kind = PreTrainingHead if config.order else MaskedWordsHead
            return kind(config.vocabulary, config.width, config.activation, config.epsilon, **begin)
        if config.head == "span":
            return OutputHead(2, config.width, **begin)
        hidden = config.head_hidden if config.head == "classify" else "none"
        return OutputHead(config.classes, config.width, hidden, config.dropout, **begin)

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables at once: their shapes follow from the config alone."""
        if self.built:
            return
        embeddings = (self.token_embedding, self.positions, self.segment_embedding, self.embedding_norm)
        for layer in (*embeddings, self.encoder, self.pooler, self.head):
            if layer is not None:
                layer.build((None, None, self.config.width))
        self.built = True

    def _embed(self, inputs: dict[str, Any], training: bool) -> tuple[Any, Any]:
        x = self.positions(self.token_embedding(inputs["ids"]))
        if self.segment_embedding is not None:
            segments = inputs["segments"]
            # With one kind there is nothing to tell apart, and whoever says 1 means no more than 0.
            x = x + self.segment_embedding(segments if self.config.segments > 1 else ops.zeros_like(segments))
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        return self.dropout(x, training=training), inputs["mask"][:, None, None, :]  # mask [B, 1, 1, T]

    def hidden(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """The last hidden states [B, T, D] for the inputs of `call`."""
        x, mask = self._embed(inputs, training)
        return self.encoder(x, mask, training=training)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Hidden states [B, T, D] without a head; else what the head makes of them.

        Heads: classify, logits [B, C]; tokens, logits [B, T, C]; span, logits of first and last position [B, T, 2];
        masked_words, logits [B, T, V]; pool, the pooled vectors [B, D].

        Args:
            inputs: ids int32 [B, T]; mask bool [B, T], True = real; segments int32 [B, T], the text of a pair that each
                position belongs to, without effect where the config has none.
        """
        x = self.hidden(inputs, training)
        if isinstance(self.head, MaskedWordsHead):
            return self.head.logits(x, self.token_embedding)
        if self.pooler is not None:
            x = self.pooler(x, inputs["mask"])
        if self.head is None:
            return x
        return self.head(x, training=training)

    def masked_logits(self, hidden: Any, positions: Any) -> Any:
        """What the head of masked words says of a few positions alone, as `call` would of all.

        In pre-training one position in seven is masked, and the projection onto the vocabulary costs most.

        Args:
            hidden: [B, T, D], as `hidden` gave it.
            positions: int32 [B, M]; a row with fewer may repeat any of them.

        Returns:
            logits [B, M, V].
        """
        picked = ops.take_along_axis(hidden, positions[:, :, None], axis=1)  # [B, M, D]
        return self.head.logits(picked, self.token_embedding)

    def order_logits(self, hidden: Any, mask: Any) -> Any:
        """Whether the two segments of a row belong as they stand (0) or not (1), where config.order: logits [B, 2].

        Args:
            hidden: [B, T, D], as `hidden` gave it.
            mask: bool [B, T].
        """
        assert self.pooler is not None and isinstance(self.head, PreTrainingHead)
        return self.head.order(self.pooler(hidden, mask))

    def compute_output_spec(self, inputs: dict[str, Any], training: bool = False) -> keras.KerasTensor:
        """Said, not traced: JAX cannot tell that an open length stays within the table of positions."""
        config, (rows, length) = self.config, inputs["ids"].shape
        width = {
            "classify": config.classes,
            "tokens": config.classes,
            "span": 2,
            "masked_words": config.vocabulary,
        }.get(config.head, config.width)
        shape = (rows, width) if config.head in POOLING else (rows, length, width)
        return keras.KerasTensor(shape, self.compute_dtype)

    def attention(self, inputs: dict[str, Any]) -> Any:
        """Attention weights [layers, B, H, T, T] (queries, keys) for the inputs of `call`."""
        x, mask = self._embed(inputs, training=False)
        return self.encoder.attention(x, mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": asdict(self.config), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Bert:
        return cls(**{**config, "config": Config(**config["config"])})


def example_inputs(config: Config, rows: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs of `call`, pairs of different lengths, for tests and measurements; T = 7."""
    rng = np.random.default_rng(seed)
    length = 7
    lengths = rng.integers(2, length + 1, rows)[:, None]
    lengths[0] = length
    places = np.arange(length)
    mask = places < lengths
    second = mask & (places >= lengths // 2) & (config.segments > 1)
    ids = np.where(mask, rng.integers(1, config.vocabulary, (rows, length)), 0)
    return {"ids": ids.astype("int32"), "mask": mask, "segments": second.astype("int32")}
