"""The search: reads tokens, filters what may follow, chooses, until every row is done.

Everything here is keras.ops on tensors: it runs inside tf.function (with an unknown number of rows), inside jax.jit and
in eager PyTorch, and is the same on all three. `zoo.decoding.generate` wraps it for a model.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zoo.decoding import filters
from zoo.decoding.choices import Hypotheses, Prefix, SearchChoices
from zoo.decoding.choosers import Beam, Chooser, Ends, Independent, Track
from zoo.decoding.scorers import Scorer, State, weighted
from zoo.decoding.tensors import Tensor
from zoo.errors import UserError


def search(
    scorers: Sequence[tuple[Scorer, float]],
    rows: Any,
    choices: SearchChoices,
    *,
    start_id: int,
    end_id: int,
    pad_id: int,
    length: int,
    limits: Tensor | None = None,
    prefix: Prefix | None = None,
    draws: Tensor | None = None,
) -> Hypotheses:
    """Looks for the best outputs of each row. No row's result depends on the other rows.

    Args:
        scorers: each with its weight; log-probabilities are multiplied by the weights and added.
        rows: B, an int or a scalar tensor.
        start_id: read first, never chosen. (Where it is end_id too, it is.)
        end_id: ends an output.
        pad_id: fills up behind the end, never chosen. (Where it is end_id too, it is.)
        length: T, the most tokens of any output, end_id and prefix counted.
        limits: int32 [B], the most tokens of each row, from 1 to `length`; `length` for all where not given.
        prefix: tokens with which each row's outputs begin; all of them are read in one step.
        draws: float32 [B, N, T], random, even in [0, 1): needed where temperature > 0, and the only chance there is.
    Raises: UserError where the prefix is longer than `length`, or draws and temperature do not go together.
    """
    if (draws is not None) != (choices.temperature > 0):
        raise UserError("random numbers are needed where temperature is above 0, and only there.", where="draws")
    limits = ops.minimum(length if limits is None else limits, ops.full((rows,), length, "int32"))
    track, states = _begin(scorers, rows, prefix, start_id, pad_id, length)
    track = track._replace(done=track.count >= limits[:, None])
    if choices.width > 1:
        track = keras.tree.map_structure(lambda leaf: ops.repeat(leaf, choices.width, axis=1), track)
        states = keras.tree.map_structure(lambda leaf: ops.repeat(leaf, choices.width, axis=0), states)
    chooser = _chooser(scorers, choices, Ends(end_id, pad_id, limits), draws)
    changes = filters.build(choices, {start_id, pad_id} - {end_id})

    def step(track: Track, found: Any, states: list[State]) -> tuple[Track, Any, list[State]]:
        count = ops.reshape(track.count, (-1,))
        position = ops.minimum(count, length - 1)  # rows that are done may stand one further
        log_probs, states = weighted(scorers, ops.reshape(track.last, (-1, 1)), position, states)
        log_probs = log_probs[:, 0]
        for change in changes:
            log_probs = change(log_probs, ops.reshape(track.ids, (-1, length)), count)
        track, found, parents = chooser.advance(track, found, log_probs)
        if parents is not None:
            states = keras.tree.map_structure(lambda leaf: ops.take(leaf, parents, axis=0), states)
        return track, found, states

    track, found = chooser.begin(track)
    track, found, _ = ops.while_loop(
        lambda track, *_: ops.logical_not(ops.all(track.done)), step, (track, found, states)
    )
    return chooser.result(track, found)


def limits_of(source_lengths: Tensor, choices: SearchChoices, length: int) -> Tensor:
    """The most tokens of each row's output, by the length of its input: int32 [B], at most `length`.

    Args:
        source_lengths: int32 [B], real tokens.
    """
    limits = ops.cast(source_lengths, "float32") * choices.length_factor + choices.length_extra
    return ops.cast(ops.minimum(limits, length), "int32")


def _chooser(
    scorers: Sequence[tuple[Scorer, float]], choices: SearchChoices, ends: Ends, draws: Tensor | None
) -> Chooser:
    if choices.temperature > 0 or choices.beam == 1:
        return Independent(choices, ends, draws)
    return Beam(choices, ends, falling=all(weight >= 0 for _, weight in scorers))


def _begin(
    scorers: Sequence[tuple[Scorer, float]], rows: Any, prefix: Prefix | None, start_id: int, pad_id: int, length: int
) -> tuple[Track, list[State]]:
    """One hypothesis for each row, its prefix read."""
    states = [scorer.start(rows, length) for scorer, _ in scorers]
    track = Track(
        ids=ops.full((rows, 1, length), pad_id, "int32"),
        sums=ops.zeros((rows, 1), "float32"),
        count=ops.zeros((rows, 1), "int32"),
        last=ops.full((rows, 1), start_id, "int32"),
        done=ops.zeros((rows, 1), "bool"),
    )
    size = 0 if prefix is None else prefix.ids.shape[1]
    if prefix is None or size == 0:
        return track, states
    if size > length:
        remedy = "Shorten it, or allow longer outputs."
        raise UserError(f"a prefix of {size} tokens, and outputs of at most {length}.", where="prefix", remedy=remedy)
    within = ops.arange(size, dtype="int32") < prefix.lengths[:, None]  # [B, P]
    ids = ops.where(within, prefix.ids, pad_id)
    # The last token of the prefix is read by the first step of the search, like any other last token.
    read = ops.concatenate([track.last, ids[:, :-1]], axis=1)
    log_probs, states = weighted(scorers, read, track.count[:, 0], states)  # [B, P, V]
    gains = ops.take_along_axis(log_probs, ids[..., None], axis=-1)[..., 0]
    final = ops.sum(ops.where(ops.arange(size, dtype="int32") == prefix.lengths[:, None] - 1, ids, 0), axis=1)
    track = track._replace(
        ids=ops.concatenate([ids[:, None], track.ids[:, :, size:]], axis=2),
        sums=ops.sum(ops.where(within, gains, 0.0), axis=1, keepdims=True),
        count=prefix.lengths[:, None],
        last=ops.where(prefix.lengths[:, None] > 0, final[:, None], track.last),
    )
    return track, states
