"""Scorers: what says how probable the next token is."""

from collections.abc import Sequence
from typing import Any, Protocol

from keras import ops

from zoo.decoding.tensors import Tensor

State = dict[str, Any]  # of tensors; hypotheses on the first axis of every leaf; dicts may hold dicts


class Scorer(Protocol):
    """One voice of a search: a model, a language model, a CTC prefix.

    What a state holds must belong to positions: a later call may go back to a position that was read before, and must
    then find what stood in front of it, and nothing of what was read there or behind. So may prefixes of different
    lengths be read at once, and drafts be taken back.
    """

    def start(self, batch: Any, length: int) -> State:
        """The state before anything was read, for `batch` rows (an int, or a scalar tensor) of `length` positions."""
        ...

    def score(self, tokens: Tensor, position: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads K tokens of each of R hypotheses; R may be N times `batch`, row r belongs to the batch's row r // N.

        Args:
            tokens: int32 [R, K].
            position: int32 [R]: where the first of them stands; start_id stands at 0.
            state: as `start` or `score` gave it, its rows repeated or reordered by the search.
        Returns: log-probabilities float32 [R, K, V] of what follows each token, and the state.
        """
        ...


class ModelScorer:
    """A generating family as a scorer.

    Args:
        model: has `start` and `step`.
        memory: what `model.encode` gave, one row for each row of the search.
    """

    def __init__(self, model: Any, memory: Any) -> None:
        self.model = model
        self.memory = memory

    def start(self, batch: Any, length: int) -> State:
        return self.model.start(self.memory, batch, length)

    def score(self, tokens: Tensor, position: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self.model.step(tokens, position, self.memory, state)
        # In bfloat16 neighbouring log-probabilities around -8 are 0.06 apart: the order of hypotheses would be chance.
        return ops.log_softmax(ops.cast(logits, "float32"), axis=-1), state


def weighted(
    scorers: Sequence[tuple[Scorer, float]], tokens: Tensor, position: Tensor, states: Sequence[State]
) -> tuple[Tensor, list[State]]:
    """The scorers' log-probabilities, each times its weight, added: float32 [R, K, V], and their states."""
    total, after = None, []
    for (scorer, weight), state in zip(scorers, states):
        log_probs, state = scorer.score(tokens, position, state)
        part = log_probs if weight == 1 else log_probs * weight
        total = part if total is None else total + part
        after.append(state)
    return total, after
