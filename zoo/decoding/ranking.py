"""Ranking: the score of a hypothesis and the order of the answers."""

from keras import ops

from zoo.decoding.choices import Hypotheses
from zoo.decoding.tensors import IMPOSSIBLE, LOWEST, Tensor, pick, top_k


def normalised(sums: Tensor, length: Tensor, alpha: float) -> Tensor:
    """Scores: sums of log-probabilities / length**alpha; LOWEST for what may not be.

    Args:
        sums, length: [B, N]; length counts end_id.
        alpha: the length penalty.
    """
    scores = sums / ops.power(ops.cast(length, "float32"), alpha) if alpha else sums
    return ops.where(sums > IMPOSSIBLE, scores, LOWEST)


def rank(ids: Tensor, lengths: Tensor, scores: Tensor, finished: Tensor, n_best: int, pad_id: int) -> Hypotheses:
    """The n_best of M hypotheses: the finished ones before the others, the best first, equal ones in their order.

    Args:
        ids: int32 [B, M, T].
        lengths, scores, finished: int32, float32, bool [B, M].
    """
    many = ids.shape[1]
    by_score = top_k(scores, many)[1]
    by_finished = top_k(ops.cast(pick(finished, by_score), "int32"), many)[1]
    order = pick(by_score, by_finished)[:, :n_best]
    ids, lengths, scores = pick(ids, order), pick(lengths, order), pick(scores, order)
    possible = scores > LOWEST
    return Hypotheses(ops.where(possible[..., None], ids, pad_id), ops.where(possible, lengths, 0), scores)
