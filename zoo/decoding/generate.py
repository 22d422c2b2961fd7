"""Generation with a model: from inputs to outputs in one compiled call, on any backend."""

import importlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.decoding.choices import Hypotheses, Prefix, SearchChoices
from zoo.decoding.scorers import ModelScorer
from zoo.decoding.search import search
from zoo.errors import UserError

# What was compiled for each model; goes when the model goes.
_COMPILED: weakref.WeakKeyDictionary[keras.Model, dict[Any, Callable[..., Any]]] = weakref.WeakKeyDictionary()


def generate(
    model: Any,
    inputs: Mapping[str, Any],
    choices: SearchChoices,
    *,
    length: int,
    limits: Any = None,
    prefix: Prefix | None = None,
    seed: int = 0,
) -> Hypotheses:
    """Encodes the inputs once and searches for the best outputs.

    Compiled once for each shape of the inputs, choices and `length`; weights may change between calls.

    Args:
        model: of a generating family: `config` with pad_id, start_id, end_id and max_length, `encode`, `start`, `step`.
        inputs: what `encode` takes; arrays with the rows on the first axis.
        choices: how to search.
        length: T, the most tokens of any output, end_id and prefix counted; at most the config's max_length.
        limits: int [B], the most tokens of each row, from 1 to `length`; `zoo.decoding.search.limits_of` makes it from
            the lengths of the inputs.
        prefix: tokens with which the outputs begin.
        seed: decides what is drawn where temperature > 0. Same seed, `length` and n_best: the same random numbers for
            the same row, on every backend and whatever the number of rows.
    Returns: Hypotheses of numpy arrays, ids [B, n_best, T].
    Raises: UserError before any work for a `length`, prefix or limits that cannot be.
    """
    rows = len(next(iter(inputs.values())))
    limits = np.full(rows, length, "int32") if limits is None else np.asarray(limits, "int32")
    _check(model.config, rows, length, limits, prefix)
    draws = None
    if choices.temperature > 0:
        draws = np.random.default_rng(seed).random((rows, choices.width, length), "float32")
    run = _compiled(model, choices, length)
    arguments = keras.tree.map_structure(
        lambda leaf: leaf if leaf is None else ops.convert_to_tensor(leaf), (dict(inputs), limits, prefix, draws)
    )
    return Hypotheses(*map(ops.convert_to_numpy, run(*arguments)))


def _compiled(model: Any, choices: SearchChoices, length: int) -> Callable[..., Hypotheses]:
    known = _COMPILED.setdefault(model, {})
    if (choices, length) not in known:
        config = model.config
        ids = {"start_id": config.start_id, "end_id": config.end_id, "pad_id": config.pad_id}
        reference = weakref.ref(model)  # the model itself would keep its own entry, and so itself, alive

        def run(inputs: dict[str, Any], limits: Any, prefix: Prefix | None, draws: Any) -> Hypotheses:
            alive = reference()
            scorer = ModelScorer(alive, alive.encode(inputs))
            wanted = {**ids, "length": length, "limits": limits, "prefix": prefix, "draws": draws}
            return search([(scorer, 1.0)], ops.shape(limits)[0], choices, **wanted)

        module = importlib.import_module(f"zoo.decoding.compile_{keras.config.backend()}")
        known[choices, length] = module.compiled(run, model.variables)
    return known[choices, length]


def _check(config: Any, rows: int, length: int, limits: np.ndarray, prefix: Prefix | None) -> None:
    if not 1 <= length <= config.max_length:
        problem = f"outputs of {length} tokens, and the model has positions for 1 to {config.max_length}."
        raise UserError(problem, where="length", remedy="A longer max_length of the model needs a training of its own.")
    if limits.shape != (rows,) or limits.min(initial=length) < 1 or limits.max(initial=1) > length:
        raise UserError(f"expected {rows} numbers from 1 to {length}.", where="limits")
    if prefix is None:
        return
    ids, lengths = map(np.asarray, prefix)
    if ids.ndim != 2 or lengths.shape != (rows,) or len(ids) != rows:
        raise UserError(
            f"expected one for each of {rows} rows.", where="prefix", remedy="Prefix.of packs lists of ids."
        )
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > ids.shape[1]:
        raise UserError(f"lengths must be from 0 to {ids.shape[1]}.", where="prefix")
    inside = ids[np.arange(ids.shape[1]) < lengths[:, None]]
    special = sorted(set(inside.tolist()) & {config.pad_id, config.end_id})
    if special:
        raise UserError(f"may not contain the ids {special} of padding and end.", where="prefix")
