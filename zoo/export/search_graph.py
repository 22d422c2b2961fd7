"""The search of the exported graph: `zoo.decoding.search` for one model and no prefix, made to be fast on a CPU.

Every hypothesis stands at the same position, so the cache simply grows, and lengths are one number. Results are those
of `zoo.decoding` by tests, so its docstrings say what is searched for; here stands only what makes it fast.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf

from zoo.decoding import filters
from zoo.decoding.choices import Hypotheses, SearchChoices
from zoo.decoding.choosers import sample
from zoo.decoding.ranking import normalised, rank
from zoo.decoding.tensors import IMPOSSIBLE, LOWEST
from zoo.export.loop_graph import advance_rows
from zoo.export.seq2seq_graph import Memory, Seq2SeqGraph, Weights

SMALL_VOCABULARY = 1024  # below it the best tokens are looked for among all at once


class Given(NamedTuple):
    """What belongs to a row and does not change.

    limits: int32 [B]. draws: float32 [B, T], or () where nothing is drawn. longest: float32 [B], the limits to the
    power of the length penalty.
    """

    memory: Memory
    limits: tf.Tensor
    draws: Any
    longest: tf.Tensor


class Line(NamedTuple):
    """One hypothesis for each row.

    step: int32 []. last, count: int32 [B]. sums: float32 [B]. done: bool [B]. ids: int32 [B, T].
    """

    step: tf.Tensor
    last: tf.Tensor
    count: tf.Tensor
    sums: tf.Tensor
    done: tf.Tensor
    ids: tf.Tensor
    cache: list[tf.Tensor]


class Beam(NamedTuple):
    """N hypotheses of each row that compete, and the N best that have ended.

    step: int32 []. last: int32 [R], R = B * N. count: int32 [B]. sums, found_scores: float32 [B, N], falling.
    done: bool [B]. ids, found_ids: int32 [B, N, T].
    """

    step: tf.Tensor
    last: tf.Tensor
    count: tf.Tensor
    sums: tf.Tensor
    done: tf.Tensor
    ids: tf.Tensor
    found_scores: tf.Tensor
    found_ids: tf.Tensor
    cache: list[tf.Tensor]


class Search:
    """A search with one model.

    Args:
        graph: the model.
        choices: how to search.
        length: most tokens of any output, end_id counted.
    """

    def __init__(self, graph: Seq2SeqGraph, choices: SearchChoices, length: int) -> None:
        config = graph.config
        self.graph, self.choices, self.length, self.many = graph, choices, length, choices.width
        self.start_id, self.end_id, self.pad_id = config.start_id, config.end_id, config.pad_id
        self.filters = filters.build(choices, {self.start_id, self.pad_id} - {self.end_id})
        self.filters_read_tokens = choices.repetition_penalty != 1 or choices.no_repeat_ngram > 0

    def __call__(
        self, weights: Weights, memory: Memory, limits: tf.Tensor, draws: tf.Tensor | None = None
    ) -> Hypotheses:
        """Looks for the outputs of each row.

        Args:
            weights: of the decoder.
            limits: int32 [B], most tokens of each row, from 1 to `length`.
            draws: float32 [B, N, length], even in [0, 1), where temperature > 0.
        Returns: ids int32 [B, n_best, T], lengths and scores [B, n_best], best first.
        """
        # Filters that look back need a width that is known beforehand; else the widest of the batch does.
        width = tf.constant(self.length) if self.filters_read_tokens else tf.maximum(tf.reduce_max(limits), 1)
        longest = tf.cast(limits, tf.float32) ** self.choices.length_penalty
        given = Given(memory, limits, () if draws is None else draws, longest)
        if self.choices.temperature > 0 or self.choices.beam == 1:
            return self._independent(weights, given, width)
        return self._beam(weights, given, width)

    def _log_probs(
        self, state: Line | Beam, memory: Memory, weights: Weights, many: int
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """What may follow each hypothesis, float32 [R, V], and the cache."""
        logits, cache = self.graph.step(weights, state.last, state.step, memory, state.cache, many)
        log_probs = tf.nn.log_softmax(logits)
        tokens = tf.reshape(state.ids, [-1, self.length]) if self.filters_read_tokens else None
        for change in self.filters:
            log_probs = change(log_probs, tokens, tf.fill(tf.shape(state.last), state.step))
        return log_probs, cache

    def _independent(self, weights: Weights, given: Given, width: tf.Tensor) -> Hypotheses:
        many = self.many
        if many > 1:  # hypotheses that do not know each other are rows of their own
            draws = tf.reshape(given.draws, [-1, self.length])
            given = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, many, axis=0), given._replace(draws=()))
            given = given._replace(draws=draws)
        elif self.choices.temperature > 0:
            given = given._replace(draws=given.draws[:, 0])
        rows = tf.shape(given.limits)[0]
        zeros = tf.zeros([rows], tf.int32)
        state = Line(
            step=tf.constant(0),
            last=zeros + self.start_id,
            count=zeros,
            sums=tf.zeros([rows]),
            done=zeros > 0,
            ids=tf.fill([rows, width], self.pad_id),
            cache=self.graph.start(rows),
        )
        found = advance_rows(self._advance_line, _pick, _result, state, given, weights, _specs(state, self.graph))
        ids = tf.reshape(found.ids, [-1, many, width])
        sums, count = (tf.reshape(each, [-1, many]) for each in (found.sums, found.count))
        scores = normalised(sums, tf.maximum(count, 1), self.choices.length_penalty)
        finished = tf.reduce_any(ids == self.end_id, axis=2)
        lengths = count - tf.cast(finished, tf.int32)
        return rank(ids, lengths, scores, finished, self.choices.n_best, self.pad_id)

    def _advance_line(self, state: Line, given: Given, weights: Weights) -> Line:
        log_probs, cache = self._log_probs(state, given.memory, weights, 1)
        if self.choices.temperature == 0:
            gains, tokens = tf.math.top_k(log_probs, 1)
        else:
            gains, tokens = sample(log_probs, given.draws[:, state.step, None], self.choices)
        growing = ~state.done
        last = tf.where(growing, tokens[:, 0], state.last)
        sums = tf.where(growing, state.sums + gains[:, 0], state.sums)
        here = tf.range(tf.shape(state.ids)[1]) == state.step
        ids = tf.where(here & growing[:, None], last[:, None], state.ids)
        done = state.done | (last == self.end_id) | (state.step + 1 >= given.limits) | (sums <= IMPOSSIBLE)
        return Line(state.step + 1, last, state.count + tf.cast(growing, tf.int32), sums, done, ids, cache)

    def _beam(self, weights: Weights, given: Given, width: tf.Tensor) -> Hypotheses:
        many, rows = self.many, tf.shape(given.limits)[0]
        ids = tf.fill([rows, many, width], self.pad_id)
        lowest = tf.fill([rows, many], LOWEST)
        first = tf.range(many) == 0  # the others would be the same hypothesis again
        state = Beam(
            step=tf.constant(0),
            last=tf.fill([rows * many], self.start_id),
            count=tf.zeros([rows], tf.int32),
            sums=tf.where(first, 0.0, lowest),
            done=tf.zeros([rows], tf.bool),
            ids=ids,
            found_scores=lowest,
            found_ids=ids,
            cache=self.graph.start(rows * many),
        )
        found = advance_rows(self._advance_beam, _pick, _result, state, given, weights, _specs(state, self.graph))
        count = tf.maximum(found.count, 1)[:, None]
        scores = tf.concat([found.found_scores, normalised(found.sums, count, self.choices.length_penalty)], axis=1)
        ends = tf.argmax(tf.cast(found.found_ids == self.end_id, tf.int32), axis=-1, output_type=tf.int32)
        lengths = tf.concat([ends, tf.repeat(found.count[:, None], many, axis=1)], axis=1)
        finished = tf.concat([found.found_scores > LOWEST, tf.zeros([rows, many], tf.bool)], axis=1)
        ids = tf.concat([found.found_ids, found.ids], axis=1)
        return rank(ids, lengths, scores, finished, self.choices.n_best, self.pad_id)

    def _advance_beam(self, state: Beam, given: Given, weights: Weights) -> Beam:
        many = self.many
        log_probs, cache = self._log_probs(state, given.memory, weights, many)
        first = tf.range(tf.shape(state.sums)[0])[:, None] * many
        sums, parents, tokens = best_continuations(log_probs, state.sums, first)
        here = tf.range(tf.shape(state.ids)[2]) == state.step
        ids = tf.where(here, tokens[..., None], tf.gather(state.ids, parents, batch_dims=1))  # [B, 2N, T]
        ended, length = tokens == self.end_id, tf.cast(state.step + 1, tf.float32)
        frozen = state.done[:, None]

        fresh = normalised(sums[:, :many], length, self.choices.length_penalty)
        fresh = tf.where(ended[:, :many] & ~frozen, fresh, LOWEST)
        found_scores, best = tf.math.top_k(tf.concat([state.found_scores, fresh], axis=1), many)
        found_ids = tf.gather(tf.concat([state.found_ids, ids[:, :many]], axis=1), best, batch_dims=1)

        sums, kept = tf.math.top_k(tf.where(ended, -math.inf, sums), many)
        sums = tf.where(frozen, state.sums, sums)
        ids = tf.where(frozen[..., None], state.ids, tf.gather(ids, kept, batch_dims=1))
        rows = tf.reshape(tf.gather(parents, kept, batch_dims=1) + first, [-1])
        return Beam(
            step=state.step + 1,
            last=tf.reshape(tf.gather(tokens, kept, batch_dims=1), [-1]),
            count=state.count + tf.cast(~state.done, tf.int32),
            sums=sums,
            done=state.done
            | (state.step + 1 >= given.limits)
            | (sums[:, 0] <= IMPOSSIBLE)
            | (found_scores[:, -1] > LOWEST)
            | (found_scores[:, self.choices.n_best - 1] >= sums[:, 0] / given.longest),
            ids=ids,
            found_scores=found_scores,
            found_ids=found_ids,
            cache=[tf.gather(each, rows) for each in cache],
        )


def best_continuations(
    log_probs: tf.Tensor, sums: tf.Tensor, first: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The 2N best ways to go on of each row.

    TopK over a whole vocabulary takes as long as the rest of a step of a small model. The best tokens lie in the
    blocks that have the highest maxima, so it is asked twice for few numbers: among blocks, then inside the best.

    Args:
        log_probs: float32 [R, V], V known.
        sums: float32 [B, N], N known.
        first: int32 [B, 1], the number of each row's first hypothesis.
    Returns: sums, parents (0 to N - 1) and tokens, each [B, 2N], best first.
    """
    many, vocabulary = sums.shape[1], log_probs.shape[1]
    block = _block_size(vocabulary)
    blocks = -(-vocabulary // block)
    if blocks * block > vocabulary:
        log_probs = tf.pad(log_probs, [[0, 0], [0, blocks * block - vocabulary]], constant_values=2 * LOWEST)
    log_probs = tf.reshape(log_probs, [-1, block])  # [B * N * blocks, block]
    highest = tf.reshape(tf.reduce_max(log_probs, axis=1), [-1, many, blocks]) + sums[:, :, None]
    _, chosen = tf.math.top_k(tf.reshape(highest, [-1, many * blocks]), min(2 * many, many * blocks))  # [B, 2N]
    inside = tf.gather(log_probs, chosen + first * blocks) + tf.gather(sums, chosen // blocks, batch_dims=1)[..., None]
    best, places = tf.math.top_k(tf.reshape(inside, [-1, chosen.shape[1] * block]), 2 * many)
    chosen = tf.gather(chosen, places // block, batch_dims=1)
    return best, chosen // blocks, chosen % blocks * block + places % block


def _block_size(vocabulary: int) -> int:
    """Near sqrt(V / 2), where the two TopK have the least to do; a divisor of V, so that nothing is copied to pad."""
    if vocabulary < SMALL_VOCABULARY:
        return vocabulary
    ideal = math.sqrt(vocabulary / 2)
    divisors = [size for size in range(int(ideal / 2), int(ideal * 2)) if vocabulary % size == 0]
    return min(divisors, key=lambda size: abs(size - ideal), default=round(ideal))


def _pick(state: Line | Beam, rows: tf.Tensor) -> Line | Beam:
    """The state of some rows."""
    many = state.sums.shape[1] if isinstance(state, Beam) else 1
    hypotheses = tf.reshape(rows[:, None] * many + tf.range(many), [-1])
    picked = {name: tf.gather(getattr(state, name), rows) for name in _result_names(state)}
    cache = [tf.gather(each, hypotheses) for each in state.cache]
    return state._replace(**picked, last=tf.gather(state.last, hypotheses), cache=cache)


def _result(state: Line | Beam) -> Line | Beam:
    """What remains of rows that are done."""
    return state._replace(step=(), last=(), cache=[])


def _result_names(state: Line | Beam) -> list[str]:
    return [name for name in state._fields if name not in ("step", "last", "cache")]


def _specs(state: Line | Beam, graph: Seq2SeqGraph) -> Line | Beam:
    return tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype), state)._replace(
        cache=graph.cache_specs()
    )
