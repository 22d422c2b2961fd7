"""A stack of blocks, with the closing normalisation that pre-norm needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
from keras import ops

from zoo.layers.attention import given
from zoo.layers.block import Block, BlockConfig


class Stack(keras.layers.Layer):
    """`depth` blocks, one after another; drop-path grows linearly with depth (Huang et al., 2016).

    Args:
        depth: number of blocks.
        config: of each block; its drop_path is the rate of the last one.
        seed_generator: the model's generator.
        cross: blocks with cross-attention to a memory.
    """

    def __init__(
        self,
        depth: int,
        config: BlockConfig,
        seed_generator: keras.random.SeedGenerator,
        cross: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = config.width
        self.blocks = [
            Block(
                replace(config, drop_path=config.drop_path * (index + 1) / depth),
                seed_generator,
                cross,
                name=f"block_{index}",
                dtype=self.dtype_policy,
            )
            for index in range(depth)
        ]
        self.norm = None
        if config.norm == "pre":
            self.norm = keras.layers.LayerNormalization(epsilon=config.epsilon, name="norm", dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        for layer in (*self.blocks, self.norm):
            if layer is not None:
                layer.build((None, None, self.width))
        self.built = True

    def close(self, x: Any) -> Any:
        """The closing normalisation of a pre-norm stack: [B, T, D]."""
        return x if self.norm is None else self.norm(x)

    def call(
        self, x: Any, mask: Any = None, memory: Any = None, memory_mask: Any = None, training: bool = False
    ) -> Any:
        """x [B, T, D] -> [B, T, D]; masks as in `Block.call`."""
        for block in self.blocks:
            x = block(x, *given(mask), memory=memory, memory_mask=memory_mask, training=training)
        return self.close(x)

    def attention(self, x: Any, mask: Any = None, memory: Any = None, memory_mask: Any = None) -> Any:
        """The attention weights of every block: [layers, B, H, T, S], without dropout."""
        shown = []
        for block in self.blocks:
            x, weights = block(x, *given(mask), memory=memory, memory_mask=memory_mask, weights=True)
            shown.append(weights)
        return ops.stack(shown)
