"""The weights of Bert as its exported graph holds them; blocks stand as `zoo.export.block_weights` says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.export.block_weights import Arrays, Given, Undone, named
from zoo.models.bert import Config


def layout(weights: Mapping[str, np.ndarray], config: Config) -> Arrays:
    """The arrays of the graph by name, float32.

    Args:
        weights: of a Bert by variable path, its seed generator left out or not.
        config: of that model.
    Raises: ValueError where a weight is missing or left over.
    """
    given = Given(weights, config)
    arrays = {name: given.take(path) for name, path in _tables(config).items()}
    for name, path in _norms(config).items():
        arrays |= given.norm(path, name)
    for index in range(config.layers):
        arrays |= given.block(f"encoder/block_{index}", f"encoder_{index}")
    for name, path in _dense(config).items():
        arrays |= named(name, given.dense(path))
    given.check_all_used()
    return arrays


def undo_layout(arrays: Mapping[str, np.ndarray], config: Config) -> Arrays:
    """The weights of a Bert by variable path, without the model's name, from the arrays of a graph; float32."""
    undone = Undone(arrays, config)
    for name, path in _tables(config).items():
        undone.weights[path] = undone.arrays[name]
    for name, path in _norms(config).items():
        undone.norm(name, path)
    for index in range(config.layers):
        undone.block(f"encoder_{index}", f"encoder/block_{index}")
    for name, path in _dense(config).items():
        undone.dense(name, path)
    return undone.weights


def _tables(config: Config) -> dict[str, str]:
    """Name in the graph -> variable path."""
    found = {"token_table": "token_embedding/table", "positions": "positions/table"}
    if config.segments:
        found["segments"] = "segment_embedding/table"
    if config.head == "masked_words":
        found["head_bias"] = "head/bias"
    return found


def _norms(config: Config) -> dict[str, str]:
    found = {"embedding": "embedding_norm"} if config.embedding_norm else {}
    if config.norm == "pre":
        found["encoder"] = "encoder/norm"
    if config.head == "masked_words":
        found["head"] = "head/norm"
    return found


def _dense(config: Config) -> dict[str, str]:
    found = {}
    if config.pools and config.pooler == "cls_dense":
        found["pooler"] = "pooler/dense"
    if config.head == "masked_words" or (config.head == "classify" and config.head_hidden != "none"):
        found["head_hidden"] = "head/hidden"
    if config.order:
        found["head_order"] = "head/order"
    if config.head in ("classify", "tokens", "span"):
        found["head_output"] = "head/output"
    return found
