"""What the graphs of exported transformers are made of: plain TensorFlow over weights in a dict, fast on a CPU.

Tensors are [R, D], one row a token: reshapes for heads are then free, and every projection is one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.layers.block import BlockConfig

ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "relu": tf.nn.relu,
    "gelu": tf.nn.gelu,
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "silu": tf.nn.silu,
    "tanh": tf.math.tanh,
    "none": tf.identity,
}
HIDDEN = -1e30  # added to the score of a key that may not be seen

Weights = dict[str, tf.Tensor]
Part = Callable[[tf.Tensor], tf.Tensor]


def stored(arrays: Mapping[str, np.ndarray], storage: str) -> dict[str, tf.Variable]:
    """The arrays of a layout as variables.

    Args:
        storage: dtype of the matrices; positions, biases and norms, which are small, stay in float32.
    """
    return {
        name: tf.Variable(tf.cast(value, storage_of(name, storage)), trainable=False, name=name)
        for name, value in arrays.items()
    }


def rounded(arrays: Mapping[str, np.ndarray], storage: str) -> dict[str, np.ndarray]:
    """The arrays, float32, as they come back from where `stored` put them."""
    return {
        name: tf.cast(tf.cast(value, storage_of(name, storage)), tf.float32).numpy() for name, value in arrays.items()
    }


def storage_of(name: str, storage: str) -> str:
    """The dtype in which an array of the layout is stored."""
    return storage if name.endswith(("_kernel", "_table")) else "float32"


def of_block(weights: Mapping[str, tf.Tensor], block: str) -> Weights:
    """The weights of one block, without its name before theirs."""
    return {name.removeprefix(f"{block}_"): value for name, value in weights.items() if name.startswith(f"{block}_")}


def dense(w: Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """x [R, D] times a kernel, plus its bias."""
    return tf.nn.bias_add(tf.matmul(x, w[f"{name}_kernel"]), w[f"{name}_bias"])


# Layer normalisation by its definition, which is faster on a CPU than the fused kernels.


def centred(x: tf.Tensor) -> tf.Tensor:
    """x [R, D] with mean 0."""
    return x - tf.reduce_mean(x, axis=-1, keepdims=True)


def scaled(w: Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """x [R, D] times the scale of a normalisation, plus its shift."""
    return x * w[f"{name}_gamma"] + w[f"{name}_beta"]


def weigh(
    queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, hidden: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Scaled queries [B, H, T, D / H] over keys and values [B, H, S, D / H]: mixed values, weights [B, H, T, S]."""
    scores = tf.matmul(queries, keys, transpose_b=True)
    weights = tf.nn.softmax(scores if hidden is None else scores + hidden)
    return tf.matmul(weights, values), weights


class Blocks:
    """Transformer blocks over [R, D], as `zoo.layers.block`; their weights stand as `zoo.export.block_weights` says.

    Args:
        config: of the family.
    """

    def __init__(self, config: Any) -> None:
        self.config = BlockConfig.of(config)
        self.head_width = self.config.width // self.config.heads

    def heads(self, x: tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
        """[B * T, D] -> [B, H, T, D / H]; nothing moves where T is known to be 1."""
        heads = self.config.heads
        if isinstance(length, int) and length == 1:
            return tf.reshape(x, [-1, heads, 1, self.head_width])
        return tf.transpose(tf.reshape(x, [-1, length, heads, self.head_width]), [0, 2, 1, 3])

    def qkv(self, w: Weights, x: tf.Tensor, length: int | tf.Tensor) -> list[tf.Tensor]:
        """Queries, keys and values [B, H, T, D / H] of x [B * T, D]."""
        return [self.heads(part, length) for part in tf.split(dense(w, "qkv", x), 3, axis=1)]

    def join(self, x: tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
        """[B, H, T, D / H] -> [B * T, D]."""
        if not (isinstance(length, int) and length == 1):
            x = tf.transpose(x, [0, 2, 1, 3])
        return tf.reshape(x, [-1, self.config.width])

    def block(
        self, w: Weights, x: tf.Tensor, attend: Callable[..., Any], cross: Callable[..., Any] | None = None
    ) -> tf.Tensor:
        """One block over x [R, D]; `attend` and `cross` give what their output projection takes."""
        activation = ACTIVATIONS[self.config.activation]
        x = self._around(w, "mix", x, lambda x: dense(w, "mix", attend(w, x)))
        if cross is not None:
            x = self._around(w, "cross", x, lambda x: dense(w, "cross", cross(w, x)))
        return self._around(w, "outer", x, lambda x: dense(w, "outer", activation(dense(w, "inner", x))))

    def unit(self, x: tf.Tensor) -> tf.Tensor:
        """x [R, D] of mean 0 with variance 1."""
        return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + self.config.epsilon)

    def normalised(self, w: Weights, name: str, x: tf.Tensor) -> tf.Tensor:
        """x [R, D] through the normalisation of a name."""
        return scaled(w, name, self.unit(centred(x)))

    def _around(self, w: Weights, name: str, x: tf.Tensor, part: Part) -> tf.Tensor:
        """Residual sum and layer normalisation around a part, as `zoo.layers.block.Residual`."""
        if self.config.norm == "pre":
            return x + part(self.unit(x))
        return self.normalised(w, name, x + part(x))
