"""Softmax cross-entropy over a large vocabulary, with a gradient of its own.

With it an update of a small translator took a fifth less processor time on one thread of a CPU, on TensorFlow; on two
threads it is no faster.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def cross_entropy(logits: Any, labels: Any, smoothing: float = 0.0) -> Any:
    """Cross-entropy of each position against a label-smoothed target, in nats.

    The target gives 1 - smoothing to the label and smoothing / V to every class, the label included.

    Args:
        logits: float32 [..., V].
        labels: int32 [...].
        smoothing: in [0, 1).

    Returns:
        float32 [...].
    """
    label = labels[..., None]
    spread_over = ops.cast(ops.shape(logits)[-1], "float32")  # V, which may be open: positions, rows of a batch

    @ops.custom_gradient
    def of(logits: Any) -> Any:
        highest = ops.max(logits, axis=-1, keepdims=True)
        exponentials = ops.exp(logits - highest)
        total = ops.sum(exponentials, axis=-1, keepdims=True)
        normalizer = ops.log(total) + highest
        chosen = ops.take_along_axis(logits, label, axis=-1)
        loss = normalizer - (1.0 - smoothing) * chosen
        if smoothing:
            loss = loss - smoothing * ops.mean(logits, axis=-1, keepdims=True)

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            """softmax - target, times the gradient of the loss."""
            of_loss = (arguments[0] if upstream is None else upstream)[..., None]
            spread = exponentials * (of_loss / total)
            if smoothing:
                spread = spread - of_loss * (smoothing / spread_over)
            at_label = (ops.exp(chosen - normalizer) - smoothing / spread_over - (1.0 - smoothing)) * of_loss
            return _put(spread, label, at_label)

        return loss[..., 0], gradient

    return of(logits)


def _put(values: Any, places: Any, new: Any) -> Any:
    """`values` [..., V] with new [..., 1] at places [..., 1] of the last axis."""
    classes = ops.shape(values)[-1]
    flat = ops.reshape(values, (-1,))
    rows = ops.reshape(places, (-1,))
    index = ops.arange(ops.shape(rows)[0], dtype="int32") * classes + ops.cast(rows, "int32")
    flat = ops.scatter_update(flat, index[:, None], ops.reshape(new, (-1,)))
    return ops.reshape(flat, ops.shape(values))
