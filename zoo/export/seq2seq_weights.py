"""The weights of Seq2Seq as its exported graph holds them.

Blocks stand as `zoo.export.block_weights` says. The keys and values that all decoder blocks make of the memory are one
matrix, which the closing normalisation of a pre-norm encoder is folded into; the matrix of the output stands as [D, V],
since a product with its transpose, in each step, costs more than the rest of the step.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.export.block_weights import Arrays, Given, Undone, fold_norm, fused, named
from zoo.layers.positions import sinusoidal_table
from zoo.models.seq2seq import Config


def layout(weights: Mapping[str, np.ndarray], config: Config) -> Arrays:
    """The arrays of the graph by name, float32.

    Args:
        weights: of a Seq2Seq by variable path, its seed generator left out or not.
        config: of that model.
    Raises: ValueError where a weight is missing or left over.
    """
    given = Given(weights, config)
    arrays: Arrays = {}
    for index in range(config.encoder_layers):
        arrays |= given.block(f"encoder/block_{index}", f"encoder_{index}")
    for index in range(config.decoder_layers):
        arrays |= given.block(f"decoder/block_{index}", f"decoder_{index}", cross=True)
    arrays |= named("memory", fused([given.dense(path) for path in _of_memory(config)]))
    if config.norm == "pre":
        for side in ("encoder", "decoder"):
            arrays |= given.norm(f"{side}/norm", side)
        fold_norm(arrays, "encoder", "memory")
    arrays |= _embeddings(given, config)
    given.check_all_used()
    return arrays


def undo_layout(arrays: Mapping[str, np.ndarray], config: Config) -> Arrays:
    """The weights of a Seq2Seq by variable path, without the model's name, from the arrays of a graph; float32.

    The way back of `layout`, to a model that computes the same.
    """
    undone = Undone(arrays, config)
    given, weights = undone.arrays, undone.weights
    for index in range(config.encoder_layers):
        undone.block(f"encoder_{index}", f"encoder/block_{index}")
    for index in range(config.decoder_layers):
        undone.block(f"decoder_{index}", f"decoder/block_{index}", cross=True)
    undone.dense("memory", *_of_memory(config))
    if config.norm == "pre":
        for side in ("encoder", "decoder"):
            undone.norm(side, f"{side}/norm")
    output = given["output_kernel"].T
    weights["output_embedding/table" if config.tied == "none" else "target_embedding/table"] = output
    for side in ("source", "target"):
        if f"{side}_table" in given:
            weights[f"{side}_embedding/table"] = given[f"{side}_table"]
        if f"{side}_positions" in given:
            weights[f"{side}_positions/table"] = given[f"{side}_positions"]
    return weights


def _of_memory(config: Config) -> list[str]:
    return [
        f"decoder/block_{index}/cross/{part}" for index in range(config.decoder_layers) for part in ("key", "value")
    ]


def _embeddings(given: Given, config: Config) -> Arrays:
    arrays = {}
    target = given.take("target_embedding/table")
    if config.tied != "all":
        arrays["source_table"] = given.take("source_embedding/table")
    if config.tied == "none":
        arrays["target_table"] = target
        target = given.take("output_embedding/table")
    arrays["output_kernel"] = np.ascontiguousarray(target.T)
    if config.positions == "learned":
        return arrays | {f"{side}_positions": given.take(f"{side}_positions/table") for side in ("source", "target")}
    return arrays | {"positions": sinusoidal_table(config.max_length, config.width)}
