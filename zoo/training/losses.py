"""Losses: sums over what is counted; the step divides by the count of the whole update."""

from __future__ import annotations

from typing import Any

from keras import ops


def smoothed_cross_entropy(logits: Any, labels: Any, mask: Any, smoothing: float = 0.0, weights: Any = None) -> Any:
    """Label-smoothed cross-entropy, summed over the real positions (Szegedy et al., 2016; arXiv 1512.00567).

    The target distribution gives 1 - smoothing to the label and smoothing / V to every class, the label included.

    Args:
        logits: [B, T, V], any float dtype; computed in float32. Also [B, C], of rows; the others are [B] then.
        labels: int32 [B, T].
        mask: bool [B, T], True = counted.
        smoothing: in [0, 1).
        weights: float32 [B, T], how often each position counts; None: once.

    Returns:
        float32 scalar, a sum in nats.
    """
    logits = ops.cast(logits, "float32")
    classes = logits.shape[-1]
    if smoothing:
        # Dense targets: the frameworks' fused softmax cross-entropy makes one pass over [B, T, V]. Adding the
        # smoothing term to the sparse form costs several.
        targets = ops.one_hot(labels, classes, dtype="float32") * (1.0 - smoothing) + smoothing / classes
        each = ops.categorical_crossentropy(targets, logits, from_logits=True)
    else:
        each = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    if weights is not None:
        each = each * weights
    return ops.sum(ops.where(mask, each, 0.0))


def symmetric_divergence(logits_a: Any, logits_b: Any, mask: Any) -> Any:
    """(KL(a | b) + KL(b | a)) / 2, summed over the real positions; the second term of R-Drop (Liang et al., 2021).

    Args:
        logits_a, logits_b: [B, T, V], of two passes with different dropout.
        mask: bool [B, T].

    Returns:
        float32 scalar, a sum in nats.
    """
    log_a = ops.log_softmax(ops.cast(logits_a, "float32"))
    log_b = ops.log_softmax(ops.cast(logits_b, "float32"))
    each = ops.sum((ops.exp(log_a) - ops.exp(log_b)) * (log_a - log_b), axis=-1) / 2.0
    return ops.sum(ops.where(mask, each, 0.0))


def binary_cross_entropy(logits: Any, targets: Any, mask: Any, positive_weights: Any = 1.0) -> Any:
    """Cross-entropy of C yes-or-no decisions a row, summed over the decisions of the real rows.

    Args:
        logits: [B, C], any float dtype; computed in float32.
        targets: float32 [B, C], from 0 (no) to 1 (yes).
        mask: bool [B], True = counted.
        positive_weights: float32 [C], how often a yes counts, as PyTorch's pos_weight.

    Returns:
        float32 scalar, a sum in nats.
    """
    logits = ops.cast(logits, "float32")
    # -log sigmoid(x) = softplus(-x): finite for every logit.
    each = positive_weights * targets * ops.softplus(-logits) + (1.0 - targets) * ops.softplus(logits)
    return ops.sum(ops.where(mask[:, None], each, 0.0))


def squared_error(predictions: Any, targets: Any, mask: Any) -> Any:
    """(prediction - target) squared, summed over the real rows: all [B]; float32 scalar."""
    each = ops.square(ops.cast(predictions, "float32") - targets)
    return ops.sum(ops.where(mask, each, 0.0))
