"""Filters: what may not, or should rather not, come next.

A filter takes log-probabilities float32 [R, V], the tokens so far int32 [R, T] and how many they are int32 [R], and
returns the log-probabilities changed. They are not normalised again: the score of an output stays comparable with a
score without filters.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from keras import ops

from zoo.decoding.choices import SearchChoices
from zoo.decoding.tensors import LOWEST, Tensor

Filter = Callable[[Tensor, Tensor, Tensor], Tensor]


def build(choices: SearchChoices, banned: Collection[int]) -> Sequence[Filter]:
    """The filters that the choices ask for, in order; `banned` ids never come."""
    filters = []
    if choices.repetition_penalty != 1:
        filters.append(penalise_repetition(choices.repetition_penalty))
    if choices.no_repeat_ngram:
        filters.append(no_repeat_ngram(choices.no_repeat_ngram))
    if banned:
        filters.append(ban(banned))
    return filters


def ban(ids: Collection[int]) -> Filter:
    """Makes some ids impossible."""

    def apply(log_probs: Tensor, tokens: Tensor, count: Tensor) -> Tensor:
        floor = np.zeros(log_probs.shape[-1], "float32")
        floor[list(ids)] = LOWEST
        return ops.add(log_probs, floor)

    return apply


def penalise_repetition(penalty: float) -> Filter:
    """Multiplies the log-probability of each token that is there already, however often, by `penalty`.

    Keskar et al. (2019), arXiv:1909.05858, divide the logits, which has another effect on positive ones; on
    log-probabilities, never positive, the penalty does not hang on the arbitrary zero point of logits.
    """

    def apply(log_probs: Tensor, tokens: Tensor, count: Tensor) -> Tensor:
        places, flat = _places(log_probs, tokens), ops.reshape(log_probs, (-1,))
        there = ops.arange(tokens.shape[-1], dtype="int32") < count[:, None]  # [R, T]
        now = ops.take(flat, places[:, 0], axis=0)
        changed = ops.where(ops.reshape(there, (-1,)), now * penalty, now)
        # The same token twice writes the same value twice, unless pad_id is a token of its own right (== end_id),
        # and that one is not in outputs that still grow.
        return ops.reshape(ops.scatter_update(flat, places, changed), ops.shape(log_probs))

    return apply


def no_repeat_ngram(size: int) -> Filter:
    """Makes each token impossible that would repeat a sequence of `size` tokens (Paulus et al., 2017, section 2.5)."""

    def apply(log_probs: Tensor, tokens: Tensor, count: Tensor) -> Tensor:
        length = tokens.shape[-1]
        if length < size:
            return log_probs
        starts = length - size + 1
        index = ops.arange(length, dtype="int32")
        repeated = index[:starts] + (size - 1) < count[:, None]  # [R, starts]: the sequence lies within the tokens
        for offset in range(size - 1):
            place = ops.where(index == count[:, None] - (size - 1) + offset, tokens, 0)  # of the last tokens
            repeated &= tokens[:, offset : offset + starts] == ops.sum(place, axis=-1, keepdims=True)
        places = _places(log_probs, tokens[:, size - 1 :])
        floor = ops.reshape(ops.where(repeated, LOWEST, 0.0), (-1,))
        flat = ops.reshape(log_probs, (-1,))
        # Added, since the same place may come from a sequence that repeats and from one that does not.
        return ops.reshape(ops.scatter_update(flat, places, floor, reduction="add"), ops.shape(log_probs))

    return apply


def _places(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """Where the log-probabilities of tokens [R, T] stand in the flattened [R, V]: int32 [R * T, 1]."""
    rows, vocabulary = ops.shape(log_probs)
    return ops.reshape(tokens + ops.arange(rows, dtype="int32")[:, None] * vocabulary, (-1, 1))
