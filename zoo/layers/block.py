"""One transformer block: self-attention, cross-attention where there is a memory, feed-forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from zoo.layers.attention import Attention, given
from zoo.layers.dropout import Dropout
from zoo.layers.feedforward import FeedForward


@dataclass(frozen=True)
class BlockConfig:
    """The sizes and rates of a block; what the families' Configs are made of."""

    width: int
    feedforward: int
    heads: int
    activation: str = "relu"
    norm: str = "post"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    drop_path: float = 0.0
    epsilon: float = 1e-5
    deviation: float = 0.0  # of the initial matrices; 0: Glorot's
    layer_scale: float = 0.0  # first value of the scales of what a part adds; 0: there are none
    qk_norm: bool = False  # normalised queries and keys

    @classmethod
    def of(cls, config: Any) -> BlockConfig:
        """From a family's Config: every field that both have."""
        shared = cls.__dataclass_fields__.keys() & config.__dataclass_fields__.keys()
        return cls(**{name: getattr(config, name) for name in shared})


class Residual(keras.layers.Layer):
    """The frame around each part of a block: dropout, residual sum, layer normalisation.

    Post-norm (Vaswani et al., 2017): norm(x + part(x)). Pre-norm (Xiong et al., 2020): x + part(norm(x)).
    With layer scale what is added is multiplied by a learned vector [D], which begins small (Touvron et al., 2021;
    arXiv 2103.17239).
    Usage: `x = frame.close(x, part(frame.open(x)), training)`.
    """

    def __init__(self, config: BlockConfig, seed_generator: keras.random.SeedGenerator, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if config.norm not in ("post", "pre"):
            raise ValueError(f'The norm is "post" or "pre", not "{config.norm}".')
        self.width, self.pre, self.layer_scale = config.width, config.norm == "pre", config.layer_scale
        self.norm = keras.layers.LayerNormalization(epsilon=config.epsilon, name="norm", dtype=self.dtype_policy)
        self.dropout = Dropout(config.dropout, seed_generator, name="dropout", dtype=self.dtype_policy)
        self.drop_path = Dropout(
            config.drop_path, seed_generator, whole_rows=True, name="drop_path", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any) -> None:
        self.norm.build((None, None, self.width))
        self.scale = None
        if self.layer_scale:
            begin = keras.initializers.Constant(self.layer_scale)
            self.scale = self.add_weight(name="scale", shape=(self.width,), initializer=begin)
        self.built = True

    def open(self, x: Any) -> Any:
        """What the part sees: [B, T, D]."""
        return self.norm(x) if self.pre else x

    def close(self, x: Any, out: Any, training: bool = False) -> Any:
        """The part's output joined with its input: [B, T, D]."""
        out = self.dropout(out, training=training)
        if self.scale is not None:
            out = out * ops.cast(self.scale, out.dtype)
        x = x + self.drop_path(out, training=training)
        return x if self.pre else self.norm(x)


class Block(keras.layers.Layer):
    """A block of an encoder, or with `cross=True` of a decoder over a memory.

    Args:
        config: sizes, norm placement and rates.
        seed_generator: the model's generator.
        cross: attend to a memory between self-attention and feed-forward.
    """

    def __init__(
        self, config: BlockConfig, seed_generator: keras.random.SeedGenerator, cross: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        policy = {"dtype": self.dtype_policy}
        norm = config.epsilon if config.qk_norm else None
        attention = (config.width, config.heads, config.attention_dropout, seed_generator, config.deviation, norm)
        self.attention = Attention(*attention, name="attention", **policy)
        self.around_attention = Residual(config, seed_generator, name="around_attention", **policy)
        self.cross = Attention(*attention, name="cross", **policy) if cross else None
        self.around_cross = Residual(config, seed_generator, name="around_cross", **policy) if cross else None
        self.feedforward = FeedForward(
            config.width,
            config.feedforward,
            config.activation,
            config.activation_dropout,
            seed_generator,
            config.deviation,
            name="feedforward",
            **policy,
        )
        self.around_feedforward = Residual(config, seed_generator, name="around_feedforward", **policy)

    def build(self, input_shape: Any) -> None:
        parts = (self.attention, self.around_attention, self.cross, self.around_cross)
        for layer in (*parts, self.feedforward, self.around_feedforward):
            if layer is not None:
                layer.build(input_shape)
        self.built = True

    def call(
        self,
        x: Any,
        mask: Any = None,
        memory: Any = None,
        memory_mask: Any = None,
        training: bool = False,
        weights: bool = False,
    ) -> Any:
        """x [B, T, D] -> [B, T, D].

        Args:
            mask: bool, broadcastable to [B, H, T, T], of the self-attention; None: everything sees everything.
            memory: [B, S, D], for a block with cross-attention.
            memory_mask: bool [B, 1, 1, S].
            weights: return (x, weights) instead: of the cross-attention [B, H, T, S] where there is one, else of the
                self-attention [B, H, T, T].
        """
        shown = None
        frame = self.around_attention
        own = weights and self.cross is None
        out = self.attention(frame.open(x), *given(mask), training=training, weights=own)
        if own:
            out, shown = out
        x = frame.close(x, out, training)
        if self.cross is not None:
            frame = self.around_cross
            out = self.cross(frame.open(x), memory_mask, memory=memory, training=training, weights=weights)
            if weights:
                out, shown = out
            x = frame.close(x, out, training)
        frame = self.around_feedforward
        x = frame.close(x, self.feedforward(frame.open(x), training=training), training)
        return (x, shown) if weights else x

    def step(self, x: Any, position: Any, cache: tuple[Any, Any], memory: tuple[Any, Any, Any] | None = None) -> Any:
        """K new tokens a row, x [R, K, D] at `position` int32 [R], over the caches.

        Args:
            cache: keys and values [R, T, H, D / H] of the self-attention.
            memory: keys, values [B, S, H, D / H] and mask bool [B, S] of the cross-attention.

        Returns:
            x [R, K, D] and the new (keys, values).
        """
        frame = self.around_attention
        out, keys, values = self.attention.step(frame.open(x), position, *cache)
        x = frame.close(x, out)
        if memory is not None:
            x = self.around_cross.close(x, self.cross.step_memory(self.around_cross.open(x), *memory))
        frame = self.around_feedforward
        return frame.close(x, self.feedforward(frame.open(x))), (keys, values)
