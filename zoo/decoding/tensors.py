"""Small operations that all parts of the search share, the same on every backend."""

from typing import Any

import keras
from keras import ops

Tensor = Any  # a tensor of the active backend

LOWEST = -1e9  # log-probability of what may not be: finite, so that no sum or softmax becomes NaN
IMPOSSIBLE = -1e6  # a sum of log-probabilities below this has something in it that may not be, whatever its weight


def top_k(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k greatest values of each row in falling order; equal values in the order of their indices.

    Args:
        x: [B, M].
        k: at most M.
    Returns: values [B, k] and indices int32 [B, k].
    """
    values, indices = ops.top_k(x, k)
    if keras.config.backend() == "torch":  # torch.topk promises nothing about equal values
        least = values[:, -1:]
        above, level = x > least, x == least
        room = k - ops.sum(ops.cast(above, "int32"), axis=-1, keepdims=True)
        kept = above | (level & (ops.cumsum(ops.cast(level, "int32"), axis=-1) <= room))
        width = ops.shape(x)[-1]
        places = ops.where(kept, width - ops.arange(width, dtype="int32"), 0)  # all different: topk is sure of them
        indices = ops.clip(width - ops.top_k(places, k)[0], 0, width - 1)  # ascending
        found = ops.take_along_axis(x, indices, axis=-1)
        order = ops.argsort(-found, axis=-1)  # stable
        values, indices = (ops.take_along_axis(each, order, axis=-1) for each in (found, indices))
    return values, ops.cast(indices, "int32")


def pick(x: Tensor, index: Tensor) -> Tensor:
    """Elements of each row by their index: x [B, M, ...], index int32 [B, K] -> [B, K, ...]."""
    rows, size = ops.shape(x)[:2]
    flat = ops.reshape(x, (-1, *ops.shape(x)[2:]))
    return ops.take(flat, index + ops.arange(rows, dtype="int32")[:, None] * size, axis=0)
