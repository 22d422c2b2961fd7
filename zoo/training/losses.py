"""Losses: sums over what is counted; the step divides by the count of the whole update."""

from __future__ import annotations

from typing import Any

from keras import ops

from zoo.training import devices
from zoo.training.cross_entropy import cross_entropy


def smoothed_cross_entropy(logits: Any, labels: Any, mask: Any, smoothing: float = 0.0) -> Any:
    """Label-smoothed cross-entropy, summed over the real positions (Szegedy et al., 2016; arXiv 1512.00567).

    The target distribution gives 1 - smoothing to the label and smoothing / V to every class, the label included.

    Args:
        logits: [B, T, V], any float dtype; computed in float32. Also [B, C], of rows; the others are [B] then.
        labels: int32 [B, T].
        mask: bool [B, T], True = counted.
        smoothing: in [0, 1).

    Returns:
        float32 scalar, a sum in nats.
    """
    each = cross_entropy(ops.cast(logits, "float32"), labels, smoothing)
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


def soft_cross_entropy(logits: Any, targets: Any, mask: Any, smoothing: float = 0.0, weights: Any = 1.0) -> Any:
    """Cross-entropy with a distribution over the classes for each row, summed over the real rows.

    Args:
        logits: [B, C], any float dtype; computed in float32.
        targets: float32 [B, C], adding up to 1: a label, or what a teacher says (Hinton et al., 2015).
        mask: bool [B], True = counted.
        smoothing: share of every target that is spread over all classes.
        weights: float32 [B], how often each row counts.

    Returns:
        float32 scalar, a sum in nats.
    """
    targets = targets * (1.0 - smoothing) + smoothing / logits.shape[-1]
    each = ops.categorical_crossentropy(targets, ops.cast(logits, "float32"), from_logits=True)
    return ops.sum(ops.where(mask, each * weights, 0.0))


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
    logits, targets, positive_weights = (ops.cast(each, "float32") for each in (logits, targets, positive_weights))
    # -log sigmoid(x) = softplus(-x): finite for every logit.
    each = positive_weights * targets * ops.softplus(-logits) + (1.0 - targets) * ops.softplus(logits)
    return ops.sum(ops.where(mask[:, None], each, 0.0))


def squared_error(predictions: Any, targets: Any, mask: Any) -> Any:
    """(prediction - target) squared, summed over the real rows: all [B]; float32 scalar."""
    each = ops.square(ops.cast(predictions, "float32") - targets)
    return ops.sum(ops.where(mask, each, 0.0))


def unit(x: Any) -> Any:
    """Vectors [B, D] made as long as 1, float32; those of length 0, as of padding, stay and have a gradient of 0."""
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))


def in_batch_negatives(a: Any, b: Any, mask: Any, temperature: float) -> Any:
    """Each text is to find its partner among those of its batch, and the partner it, summed over the real pairs.

    InfoNCE over cosines (van den Oord et al., 2018, arXiv 1807.03748) in both directions (Radford et al., 2021).
    A loss across rows: a larger batch has more negatives and is harder. The devices that share an update see each
    other's rows, so n of them with B rows are one batch of n * B; batches that are accumulated do not.

    Args:
        a, b: [B, D], the vectors of the two texts of each pair.
        mask: bool [B], True = a pair.
        temperature: the cosines are divided by it.

    Returns:
        float32 scalar, a sum in nats: the mean of the two directions for each pair.
    """
    a, b = unit(a), unit(b)
    everyone, first = devices.gather(ops.concatenate([a, b, ops.cast(mask, "float32")[:, None]], axis=-1))
    all_a, all_b, all_real = ops.split(everyone, [a.shape[-1], 2 * a.shape[-1]], axis=-1)
    seen = ops.logical_and(mask[:, None], ops.transpose(all_real) > 0.5)
    labels = first + ops.arange(ops.shape(a)[0], dtype="int32")
    both = []
    for own, others in ((a, all_b), (b, all_a)):
        scores = ops.where(seen, ops.matmul(own, ops.transpose(others)) / temperature, -1e9)
        both.append(smoothed_cross_entropy(scores, labels, mask))
    return (both[0] + both[1]) / 2.0
