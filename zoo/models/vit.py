"""Vit: images cut into patches and read as words (Dosovitskiy et al., 2020; arXiv 2010.11929).

Also the plain baselines (Beyer et al., 2022; arXiv 2205.01580: sine positions, the mean as pooling), registers (Darcet
et al., 2023), DeiT with its distillation token (Touvron et al., 2020; arXiv 2012.12877: the first register, where the
pooling is "distilled"), the stabilisers of later work, and the compact variant for small images (Hassani et al., 2021:
a convolutional stem, sequence pooling) by options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.layers.block import BlockConfig
from zoo.layers.dropout import Dropout
from zoo.layers.heads import OutputHead
from zoo.layers.patches import ConvolutionalStem, LeadingTokens, Patches, keep_patches, random_patches
from zoo.layers.pooling import AttentionPooling, SequencePooling
from zoo.layers.positions_2d import GridPositions, resample_positions
from zoo.layers.stack import Stack
from zoo.models.vit_config import PRESETS, Config

__all__ = ["PRESETS", "Config", "Vit", "at_size", "example_inputs"]

DEVIATION = 0.02  # of the initial matrices
TABLE = "vit/positions/table"


@keras.saving.register_keras_serializable(package="zoo")
class Vit(keras.Model):
    """Images of one size in, hidden states or the answers of the head out.

    Args:
        config: sizes and rates; the classes must be set where the head has them.
        seed: decides the initial weights and the sequence of dropout.
    """

    built: bool  # Keras sets it

    def __init__(self, config: Config, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "vit")
        super().__init__(**kwargs)
        if config.head == "classify" and not config.classes:
            raise ValueError(f'classes must be set before a model with the head "{config.head}" is built.')
        self.config, self.seed = config, seed
        generator = self.dropout_seed = keras.random.SeedGenerator(seed, name="dropout_seed")
        policy = {"dtype": self.dtype_policy}
        self.stem = self._make_stem()
        self.positions = GridPositions(
            config.positions, config.grid, config.width, generator, name="positions", **policy
        )
        self.leading_tokens = None
        if config.leading:
            self.leading_tokens = LeadingTokens(
                config.leading, config.width, generator, DEVIATION, name="leading_tokens", **policy
            )
        self.dropout = Dropout(config.dropout, generator, name="dropout", **policy)
        block = replace(BlockConfig.of(config), norm="pre", deviation=DEVIATION)
        self.encoder = Stack(config.layers, block, generator, name="encoder", **policy)
        self.pooler = self.head = None
        if config.head == "classify":
            self.pooler = self._make_pooler()
            self.head = OutputHead(
                config.classes, config.pooled_width, "none", config.dropout, generator, DEVIATION, name="head", **policy
            )
        self.build()

    def _make_stem(self) -> Patches | ConvolutionalStem:
        config, generator = self.config, self.dropout_seed
        size = (config.image_height, config.image_width, config.channels)
        policy = {"name": "stem", "dtype": self.dtype_policy}
        if config.stem == "patch":
            return Patches(size, config.patch, config.width, generator, **policy)
        layers = (config.stem_layers, config.stem_kernel, config.stem_stride, config.stem_width)
        return ConvolutionalStem(size, *layers, config.width, generator, **policy)

    def _make_pooler(self) -> AttentionPooling | SequencePooling | None:
        config, generator = self.config, self.dropout_seed
        policy = {"name": "pooler", "dtype": self.dtype_policy}
        if config.pooling == "attention":
            sizes = (config.width, config.feedforward, config.heads, config.activation, config.epsilon)
            return AttentionPooling(*sizes, generator, DEVIATION, **policy)
        if config.pooling == "sequence":
            return SequencePooling(config.width, generator, DEVIATION, **policy)
        return None

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables at once: their shapes follow from the config alone."""
        if self.built:
            return
        for layer in (self.stem, self.leading_tokens, self.positions, self.encoder, self.pooler, self.head):
            if layer is not None:
                layer.build((None, None, self.config.width))
        self.built = True

    def _embed(self, inputs: dict[str, Any], training: bool, kept: Any = None) -> Any:
        """Tokens [B, T, D] as the encoder takes them; of the patches those that are kept, int32 [B, K], or all."""
        config = self.config
        size = (config.image_height, config.image_width, config.channels)
        # A step compiled for any shape knows none; the sizes are needed to tell rows of patches apart.
        images = ops.reshape(ops.cast(inputs["images"], self.compute_dtype), (-1, *size))
        x = self.positions(self.stem(images))
        if kept is not None:
            x = keep_patches(x, kept)
        if self.leading_tokens is not None:
            x = self.leading_tokens(x)
        return self.dropout(x, training=training)

    def hidden(self, inputs: dict[str, Any], training: bool = False, kept: Any = None) -> Any:
        """The last hidden states [B, T, D] for the inputs of `call`: class token, registers, patches row by row.

        Args:
            kept: int32 [B, K], the numbers of the patches that are seen, as in masked-autoencoder pre-training (He et
                al., 2021; arXiv 2111.06377); None: all.
        """
        return self.encoder(self._embed(inputs, training, kept), training=training)

    def features(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """The last hidden states of the patches in their places, [B, Y / patch, X / patch, D], for dense tasks.

        Raises: ValueError in training with patch_dropout, which would leave holes.
        """
        if training and self.config.patch_dropout:
            raise ValueError("Features of all places need all patches: train with patch_dropout = 0.")
        x = self.hidden(inputs, training)[:, self.config.leading :]
        return ops.reshape(x, (-1, *self.config.grid, self.config.width))

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Hidden states [B, T, D] without a head; with the head classify one logit for each class.

        In training only some patches are seen, others each time, where the config has patch_dropout (Liu et al., 2022;
        arXiv 2208.07220).

        Args:
            inputs: images float32 [B, Y, X, C], normalised.
        """
        kept = None
        if training and self.patches_seen < self.config.patches:
            rows = ops.shape(inputs["images"])[0]
            kept = random_patches(rows, self.config.patches, self.patches_seen, self.dropout_seed)
        x = self.hidden(inputs, training, kept)
        return x if self.head is None else self.head(self._pooled(x), training=training)

    @property
    def patches_seen(self) -> int:
        """Patches of an image that `call` sees in training, at least one."""
        return max(1, round(self.config.patches * (1 - self.config.patch_dropout)))

    def _pooled(self, x: Any) -> Any:
        if self.config.pooling == "class":
            return x[:, 0]
        if self.config.pooling == "distilled":
            return ops.reshape(x[:, :2], (-1, 2 * self.config.width))
        x = x[:, self.config.leading :]  # registers are the model's own
        if self.pooler is not None:
            return self.pooler(x)
        return ops.cast(ops.mean(ops.cast(x, "float32"), axis=1), x.dtype)  # half precision cannot count far

    def compute_output_spec(self, inputs: dict[str, Any], training: bool = False) -> keras.KerasTensor:
        """Said, not traced."""
        config, rows = self.config, inputs["images"].shape[0]
        seen = self.patches_seen if training else config.patches
        shape = (rows, config.leading + seen, config.width) if self.head is None else (rows, config.classes)
        return keras.KerasTensor(shape, self.compute_dtype)

    def attention(self, inputs: dict[str, Any]) -> Any:
        """Attention weights [layers, B, H, T, T] (queries, keys) for the inputs of `call`."""
        return self.encoder.attention(self._embed(inputs, training=False))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": asdict(self.config), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Vit:
        return cls(**{**config, "config": Config(**config["config"])})


def at_size(arrays: Mapping[str, np.ndarray], old: Config, new: Config) -> dict[str, np.ndarray]:
    """Weights of a model for images of another size: learned positions are resampled, all else stays as it is.

    Args:
        arrays: by path, or by any name that ends like it, as in a checkpoint.
        old, new: what the arrays are of, and what they shall be of.
    """
    return {
        name: resample_positions(array, old.grid, new.grid) if name.endswith(TABLE) else array
        for name, array in arrays.items()
    }


def example_inputs(config: Config, rows: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs of `call`, for tests and measurements."""
    shape = (rows, config.image_height, config.image_width, config.channels)
    return {"images": np.random.default_rng(seed).normal(size=shape).astype("float32")}
