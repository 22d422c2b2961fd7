"""Small worlds in which every output can be counted: a table says how probable each token is after each history."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from zoo.decoding.choices import Hypotheses, Prefix, SearchChoices
from zoo.decoding.search import search

PAD, START, END = 0, 1, 2
CONTENT = (3, 4, 5)
VOCABULARY = 6
HISTORIES = 7  # histories are told apart by the sum of token * place, modulo this
IDS = {"start_id": START, "end_id": END, "pad_id": PAD}


class TableScorer:
    """table: float32 [B, HISTORIES, V] of log-probabilities. The state is nested, as a family's may be."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def start(self, batch: Any, length: int) -> dict[str, Any]:
        return {"row": ops.arange(batch, dtype="int32"), "read": {"trail": ops.zeros((batch, length), "int32")}}

    def score(self, tokens: Any, position: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        trail, size = state["read"]["trail"], tokens.shape[1]
        places = ops.arange(trail.shape[1], dtype="int32")
        found = []
        for index in range(size):
            here = places == position[:, None] + index
            trail = ops.where(here, tokens[:, index : index + 1] * places, trail)  # start_id stands at place 0
            before = places <= position[:, None] + index
            history = ops.sum(ops.where(before, trail, 0), axis=1) % HISTORIES
            flat = ops.reshape(self.table, (-1, VOCABULARY))
            found.append(ops.take(flat, state["row"] * HISTORIES + history, axis=0))
        outside = ops.any(position + size > trail.shape[1])  # a position that was never promised: nobody gets an answer
        log_probs = ops.where(outside, -float("inf"), ops.stack(found, axis=1))
        return log_probs, {"row": state["row"], "read": {"trail": trail}}


def random_table(seed: int, rows: int = 1, spread: float = 2.0) -> np.ndarray:
    """Log-probabilities [rows, HISTORIES, V]; all ids are probable, those of padding and start too."""
    logits = np.random.default_rng(seed).normal(size=(rows, HISTORIES, VOCABULARY)) * spread
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype("float32")


def after(table: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """Log-probabilities [V] of what follows the tokens, of one row's table [HISTORIES, V]."""
    return table[sum(place * token for place, token in enumerate(tokens, 1)) % HISTORIES]


def total(table: np.ndarray, tokens: Sequence[int]) -> float:
    """The sum of log-probabilities of the tokens."""
    return sum(float(after(table, tokens[:place])[token]) for place, token in enumerate(tokens))


class Answer(NamedTuple):
    """One output, as it comes back from a search and as it is counted by hand."""

    tokens: tuple[int, ...]  # without end_id
    finished: bool
    score: float


def every_output(
    table: np.ndarray,
    length: int,
    alpha: float,
    prefix: Sequence[int] = (),
    change: Callable[[np.ndarray, Sequence[int]], np.ndarray] = lambda log_probs, tokens: log_probs,
) -> list[Answer]:
    """All outputs of one row that begin with the prefix, as a search should rank them."""
    answers = []
    frontier = [(tuple(prefix), total(table, prefix))]
    while frontier:
        tokens, so_far = frontier.pop()
        if len(tokens) == length:
            answers.append(Answer(tokens, False, so_far / length**alpha))
            continue
        log_probs = change(after(table, tokens), tokens)
        answers.append(Answer(tokens, True, (so_far + float(log_probs[END])) / (len(tokens) + 1) ** alpha))
        frontier += [((*tokens, token), so_far + float(log_probs[token])) for token in CONTENT]
    return sorted((a for a in answers if a.score > -1e6), key=lambda a: (not a.finished, -a.score))


def answers(found: Hypotheses, row: int) -> list[Answer]:
    """A row of what a search returned; checks that the arrays hold together."""
    result = []
    for ids, length, score in zip(found.ids[row], found.lengths[row], found.scores[row]):
        finished = bool(length < len(ids) and ids[length] == END)
        assert (ids[length + finished :] == PAD).all()
        result.append(Answer(tuple(map(int, ids[:length])), finished, float(score)))
    return result


def assert_same(found: Sequence[Answer], expected: Sequence[Answer], tolerance: float = 1e-4) -> None:
    assert [answer[:2] for answer in found] == [answer[:2] for answer in expected]
    np.testing.assert_allclose([answer.score for answer in found], [answer.score for answer in expected], tolerance)


def decode(
    tables: np.ndarray | Sequence[np.ndarray],
    choices: SearchChoices,
    length: int,
    *,
    weights: tuple[float, ...] = (1.0,),
    ids: dict[str, int] = IDS,
    **arrays: Any,
) -> Hypotheses:
    """A search over tables, one for each weight, compiled once for each kind; limits, prefix, draws as in `search`."""
    tables = [tables] if isinstance(tables, np.ndarray) else list(tables)
    run = _compiled(choices, length, weights, tuple(ids.items()), tuple(arrays))
    tensors = [keras.tree.map_structure(ops.convert_to_tensor, each) for each in (tables, *arrays.values())]
    return Hypotheses(*map(ops.convert_to_numpy, run(*tensors)))


@cache
def _compiled(choices: SearchChoices, length: int, weights: Any, ids: Any, names: tuple[str, ...]) -> Any:
    def run(tables: Any, *arrays: Any) -> Hypotheses:
        scorers = [(TableScorer(table), weight) for table, weight in zip(tables, weights)]
        wanted = {**dict(ids), "length": length, **dict(zip(names, arrays))}
        return search(scorers, ops.shape(tables[0])[0], choices, **wanted)

    return import_module(f"zoo.decoding.compile_{keras.config.backend()}").compiled(run, [])


def prefixes(*sequences: Sequence[int], width: int = 0) -> Prefix:
    """Packed, and filled up to `width` with ids that must not be read."""
    packed = Prefix.of(sequences)
    ids = np.full((len(sequences), max(width, packed.ids.shape[1])), 5, "int32")
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    return Prefix(ids, packed.lengths)
