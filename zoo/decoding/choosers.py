"""Choosers: which tokens the hypotheses take next, given the log-probabilities of all."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from keras import ops

from zoo.decoding.choices import Hypotheses, SearchChoices
from zoo.decoding.ranking import normalised, rank
from zoo.decoding.tensors import IMPOSSIBLE, LOWEST, Tensor, pick, top_k


class Track(NamedTuple):
    """Hypotheses that grow, N for each row.

    ids: int32 [B, N, T], pad_id where nothing is written.
    sums: float32 [B, N], of log-probabilities.
    count: int32 [B, N], tokens written.
    last: int32 [B, N], the token to be read next.
    done: bool [B, N], True: this hypothesis does not change any more, whatever its neighbours do.
    """

    ids: Tensor
    sums: Tensor
    count: Tensor
    last: Tensor
    done: Tensor


class Chooser(Protocol):
    """`found` is what a chooser remembers beside the track, any structure of tensors."""

    def begin(self, track: Track) -> tuple[Track, Any]:
        """Prepares N hypotheses that are all the same."""
        ...

    def advance(self, track: Track, found: Any, log_probs: Tensor) -> tuple[Track, Any, Tensor | None]:
        """Takes a step.

        Args:
            log_probs: float32 [R, V], R = B * N.
        Returns: track, found, and which row in 0 ... R-1 each hypothesis goes on from, int32 [R], None for its own.
        """
        ...

    def result(self, track: Track, found: Any) -> Hypotheses:
        """The answers, best first."""
        ...


@dataclass(frozen=True)
class Ends:
    """Where hypotheses end, and what marks it. limits: int32 [B], most tokens of each row."""

    end_id: int
    pad_id: int
    limits: Tensor


@dataclass(frozen=True)
class Independent:
    """N hypotheses that do not know each other: greedy search, or outputs drawn at random.

    Args:
        draws: float32 [B, N, T], even in [0, 1), one number for each token; None for the most probable token.
    """

    choices: SearchChoices
    ends: Ends
    draws: Tensor | None = None

    def begin(self, track: Track) -> tuple[Track, Any]:
        return track, ()

    def advance(self, track: Track, found: Any, log_probs: Tensor) -> tuple[Track, Any, None]:
        growing = ops.logical_not(track.done)
        here = (ops.arange(track.ids.shape[-1], dtype="int32") == track.count[..., None]) & growing[..., None]
        if self.draws is None:
            gains, tokens = top_k(log_probs, 1)
        else:
            draw = ops.sum(ops.where(here, self.draws, 0.0), axis=-1)
            gains, tokens = sample(log_probs, ops.reshape(draw, (-1, 1)), self.choices)
        shape = ops.shape(track.sums)
        last = ops.where(growing, ops.reshape(tokens, shape), track.last)
        sums = ops.where(growing, track.sums + ops.reshape(gains, shape), track.sums)
        count = track.count + ops.cast(growing, "int32")
        stop = (last == self.ends.end_id) | (count >= self.ends.limits[:, None]) | (sums <= IMPOSSIBLE)
        ids = ops.where(here, last[..., None], track.ids)
        return Track(ids, sums, count, last, track.done | stop), found, None

    def result(self, track: Track, found: Any) -> Hypotheses:
        finished = track.last == self.ends.end_id
        scores = normalised(track.sums, ops.maximum(track.count, 1), self.choices.length_penalty)
        lengths = track.count - ops.cast(finished, "int32")
        return rank(track.ids, lengths, scores, finished, self.choices.n_best, self.ends.pad_id)


def sample(log_probs: Tensor, draw: Tensor, choices: SearchChoices) -> tuple[Tensor, Tensor]:
    """Draws a token by inverting the distribution function.

    Args:
        log_probs: float32 [R, V].
        draw: float32 [R, 1], even in [0, 1).
        choices: temperature first, then top_k, then top_p (Holtzman et al., 2019, arXiv:1904.09751).
    Returns: the tokens' log-probabilities as they came in and the tokens, [R, 1] both.
    """
    vocabulary = log_probs.shape[-1]
    values, tokens = top_k(log_probs, min(choices.top_k or vocabulary, vocabulary))
    values = ops.maximum(values, LOWEST)
    weights = ops.exp((values - values[:, :1]) / choices.temperature)  # probabilities times a number that drops out
    below = ops.cumsum(weights, axis=-1)
    allowed = (values > IMPOSSIBLE) & (below - weights < choices.top_p * ops.sum(weights, axis=-1, keepdims=True))
    # Sorted, what is allowed stands in front: so no rounding of sums can ever draw what is not.
    kept = ops.sum(ops.cast(allowed, "int32"), axis=-1, keepdims=True)
    mass = ops.sum(ops.where(allowed, weights, 0.0), axis=-1, keepdims=True)
    drawn = ops.sum(ops.cast(below <= draw * mass, "int32"), axis=-1, keepdims=True)
    drawn = ops.clip(drawn, 0, ops.maximum(kept - 1, 0))
    return pick(values, drawn), pick(tokens, drawn)


class Found(NamedTuple):
    """The N best finished hypotheses of each row. ids: int32 [B, N, T]; scores: float32 [B, N], falling."""

    ids: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Beam:
    """Beam search.

    At each step the 2N best continuations of a row's N hypotheses are looked at. Those among the first N that end leave
    the beam and keep their score; the N best that do not end go on. A row is done when N hypotheses have ended, when
    nothing that goes on can come among the n_best, or when its longest length is reached.

    Args:
        falling: sums can only fall, which the bound on what goes on needs: no scorer has a negative weight.
    """

    choices: SearchChoices
    ends: Ends
    falling: bool = True

    def begin(self, track: Track) -> tuple[Track, Found]:
        first = ops.arange(track.sums.shape[1]) == 0  # the others would be the same hypothesis again
        found = Found(ops.full_like(track.ids, self.ends.pad_id), ops.full_like(track.sums, LOWEST))
        return track._replace(sums=ops.where(first, track.sums, LOWEST)), found

    def advance(self, track: Track, found: Found, log_probs: Tensor) -> tuple[Track, Found, Tensor]:
        width, vocabulary = track.sums.shape[1], log_probs.shape[-1]
        growing = ops.logical_not(track.done)
        totals = ops.reshape(track.sums, (-1, 1)) + log_probs
        sums, places = top_k(ops.reshape(totals, (-1, width * vocabulary)), min(2, vocabulary) * width)
        parents = places // vocabulary
        tokens = places - parents * vocabulary  # [B, 2N], as all that belongs to the candidates
        ended = tokens == self.ends.end_id
        here = ops.arange(track.ids.shape[-1], dtype="int32") == track.count[:, :1, None]
        ids = ops.where(here, tokens[..., None], pick(track.ids, parents))

        fresh = normalised(sums[:, :width], track.count + 1, self.choices.length_penalty)
        fresh = ops.where(ended[:, :width] & growing, fresh, LOWEST)
        # Where scores are equal the earlier one stays, since it comes first.
        scores, best = top_k(ops.concatenate([found.scores, fresh], axis=1), width)
        sums, kept = top_k(ops.where(ended, -float("inf"), sums), width)
        chosen = pick(ops.concatenate([found.ids, ids], axis=1), ops.concatenate([best, kept + width], axis=1))
        found = Found(chosen[:, :width], scores)

        count = track.count + ops.cast(growing, "int32")
        track = Track(
            ids=ops.where(growing[..., None], chosen[:, width:], track.ids),
            sums=ops.where(growing, sums, track.sums),
            count=count,
            last=pick(tokens, kept),
            done=track.done | self._done(sums, count, scores)[:, None],
        )
        rows = ops.arange(ops.shape(sums)[0], dtype="int32")[:, None] * width
        return track, found, ops.reshape(pick(parents, kept) + rows, (-1,))

    def _done(self, sums: Tensor, count: Tensor, scores: Tensor) -> Tensor:
        """bool [B]: nothing is left to be done for a row, with `sums` of what goes on and `scores` of what ended."""
        done = (count[:, 0] >= self.ends.limits) | (sums[:, 0] <= IMPOSSIBLE) | (scores[:, -1] > LOWEST)
        if self.falling:
            longest = ops.cast(self.ends.limits, "float32") ** self.choices.length_penalty
            done |= scores[:, self.choices.n_best - 1] >= sums[:, 0] / longest
        return done

    def result(self, track: Track, found: Found) -> Hypotheses:
        ids = ops.concatenate([found.ids, track.ids], axis=1)
        finished = found.scores > LOWEST
        finished = ops.concatenate([finished, ops.zeros_like(finished)], axis=1)
        ends = ops.argmax(ops.cast(found.ids == self.ends.end_id, "int32"), axis=-1)
        lengths = ops.concatenate([ends, track.count], axis=1)
        unfinished = normalised(track.sums, ops.maximum(track.count, 1), self.choices.length_penalty)
        scores = ops.concatenate([found.scores, unfinished], axis=1)
        return rank(ids, lengths, scores, finished, self.choices.n_best, self.ends.pad_id)
