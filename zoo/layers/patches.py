"""From images to tokens: patches cut and projected, the convolutional stem of small images, tokens without a place."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from zoo.layers.initial import matrices

Size = tuple[int, int, int]  # Y, X, C


def check_size(images: Any, size: Size) -> None:
    """Raises: ValueError where images are known to have another height, width or number of channels."""
    if any(found not in (None, expected) for found, expected in zip(images.shape[1:], size, strict=True)):
        raise ValueError(f"Images of {list(images.shape[1:])} for a model of {list(size)} (height, width, channels).")


class Patches(keras.layers.Layer):
    """Cuts images into squares and projects each: one token a patch (Dosovitskiy et al., 2020; arXiv 2010.11929).

    It is one matrix product, equal to a convolution whose stride is its kernel; with its gradients it took 0.75 of the
    processor time of that on TensorFlow (8 images of 224 × 224, p = 16, D = 192, one thread). The kernel [p * p * C, D]
    takes the values of a patch row by row, channels last.

    Args:
        size: Y, X, C of the images; the patch must divide Y and X.
        patch: p, pixels on each side of a patch.
        width: D.
        seed_generator: the model's generator, for initial weights (LeCun's, as in the paper's code).
    """

    def __init__(
        self,
        size: Size,
        patch: int,
        width: int,
        seed_generator: keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.patch = size, patch
        begin = keras.initializers.LecunNormal(seed=seed_generator)
        self.projection = keras.layers.Dense(
            width, kernel_initializer=begin, name="projection", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.projection.build((None, None, self.patch**2 * self.size[2]))
        self.built = True

    def cut(self, images: Any) -> Any:
        """images [B, Y, X, C] -> the values of each patch [B, P, p * p * C]."""
        check_size(images, self.size)
        (height, width, channels), p = self.size, self.patch
        x = ops.reshape(images, (-1, height // p, p, width // p, p * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        return ops.reshape(x, (-1, (height // p) * (width // p), p * p * channels))

    def call(self, images: Any) -> Any:
        """images [B, Y, X, C] -> tokens [B, P, D], row by row."""
        return self.projection(self.cut(images))


class ConvolutionalStem(keras.layers.Layer):
    """Convolutions with pooling in place of patches: neighbours are seen from the start, which few images need.

    Each layer is a convolution without bias, a relu and a 3 × 3 maximum of stride 2 (Hassani et al., 2021; arXiv
    2104.05704, CCT), padded as PyTorch pads.

    Args:
        size: Y, X, C of the images; (2 * stride) ** layers must divide Y and X.
        layers: how many.
        kernel: pixels on each side of a convolution; odd.
        stride: of each convolution.
        filters: outputs of each layer but the last, which has D.
        width: D.
        seed_generator: the model's generator, for initial weights (He's).
    """

    def __init__(
        self,
        size: Size,
        layers: int,
        kernel: int,
        stride: int,
        filters: int,
        width: int,
        seed_generator: keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.width, self.margin = size, width, kernel // 2
        self.convolutions = [
            keras.layers.Conv2D(
                width if index == layers - 1 else filters,
                kernel,
                strides=stride,
                use_bias=False,
                data_format="channels_last",
                kernel_initializer=keras.initializers.HeNormal(seed=seed_generator),
                name=f"convolution_{index}",
                dtype=self.dtype_policy,
            )
            for index in range(layers)
        ]

    def build(self, input_shape: Any = None) -> None:
        channels = self.size[2]
        for layer in self.convolutions:
            layer.build((None, None, None, channels))
            channels = layer.filters
        self.built = True

    def call(self, images: Any) -> Any:
        """images [B, Y, X, C] -> tokens [B, P, D], row by row."""
        check_size(images, self.size)
        x = images
        for layer in self.convolutions:
            x = ops.relu(layer(_padded(x, self.margin)))
            # No value is below the 0 of the padding after a relu.
            x = ops.max_pool(_padded(x, 1), 3, strides=2, data_format="channels_last")
        return ops.reshape(x, (-1, x.shape[1] * x.shape[2], self.width))


def _padded(x: Any, margin: int) -> Any:
    return ops.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


class LeadingTokens(keras.layers.Layer):
    """Learned tokens before those of the patches: a class token, registers (Darcet et al., 2023; arXiv 2309.16588).

    They have no position: a vector that is the same in every image would only be added to another one.

    Args:
        count: K, at least 1.
        width: D.
        seed_generator: the model's generator, for initial weights.
        deviation: of the initial vectors.
    """

    def __init__(
        self,
        count: int,
        width: int,
        seed_generator: keras.random.SeedGenerator | None = None,
        deviation: float = 0.02,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.count, self.width, self.initializer = count, width, matrices(seed_generator, deviation)

    def build(self, input_shape: Any = None) -> None:
        self.table = self.add_weight(name="table", shape=(self.count, self.width), initializer=self.initializer)
        self.built = True

    def call(self, x: Any) -> Any:
        """x [B, P, D] -> [B, K + P, D]."""
        shape = (ops.shape(x)[0], self.count, self.width)
        return ops.concatenate([ops.broadcast_to(ops.cast(self.table, x.dtype), shape), x], axis=1)


def keep_patches(x: Any, kept: Any) -> Any:
    """Some of the tokens of each image, in the order asked for.

    Args:
        x: [B, P, D].
        kept: int32 [B, K], numbers of patches.

    Returns:
        [B, K, D].
    """
    return ops.take_along_axis(x, kept[:, :, None], axis=1)


def random_patches(rows: Any, patches: int, kept: int, seed_generator: keras.random.SeedGenerator) -> Any:
    """int32 [B, K]: for each of B images K numbers of patches, all different, each as likely, in their order.

    Args:
        rows: B.
        patches: P.
        kept: K, at most P.
        seed_generator: the model's generator.
    """
    order = ops.argsort(keras.random.uniform((rows, patches), seed=seed_generator), axis=1)
    return ops.sort(ops.cast(order[:, :kept], "int32"), axis=1)
