"""The weights of Seq2Seq as its exported graph holds them: fused, scaled and turned once, and not in each call.

What differs from the model: queries, keys and values of a self-attention are one matrix; queries are scaled by
1 / sqrt(D / H); the keys and values that all decoder blocks make of the memory are one matrix; the matrix of the
output stands as [D, V], since a product with its transpose, in each step, costs more than the rest of the step.

Where normalisation comes first (pre-norm), scale and shift of each are part of the matrix and bias that follow, and
what is added to the hidden states has mean 0: then so have they, and a normalisation is five operations, not nine. A
small model spends its time on the number of operations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.layers.positions import sinusoidal_table
from zoo.models.seq2seq import Config

Arrays = dict[str, np.ndarray]


def layout(weights: Mapping[str, np.ndarray], config: Config) -> Arrays:
    """The arrays of the graph by name, float32.

    Args:
        weights: of a Seq2Seq by variable path, its seed generator left out or not.
        config: of that model.
    Raises: ValueError where a weight is missing or left over.
    """
    given = _Given(weights)
    arrays: Arrays = {}
    for index in range(config.encoder_layers):
        arrays |= _block(given, f"encoder/block_{index}", f"encoder_{index}", config)
    memory = []
    for index in range(config.decoder_layers):
        arrays |= _block(given, f"decoder/block_{index}", f"decoder_{index}", config, cross=True)
        memory += [given.dense(f"decoder/block_{index}/cross/{part}") for part in ("key", "value")]
    arrays |= _named("memory", _fused(memory))
    for side in ("encoder", "decoder") if config.norm == "pre" else ():
        arrays |= _norm(given, side, side)
    arrays |= _embeddings(given, config)
    given.check_all_used()
    return _folded(arrays) if config.norm == "pre" else arrays


def undo_layout(arrays: Mapping[str, np.ndarray], config: Config) -> Arrays:
    """The weights of a Seq2Seq by variable path, without the model's name, from the arrays of a graph; float32.

    The way back of `layout`: a model that computes the same. With pre-norm its normalisations scale by 1 and shift by
    0, since their weights have become part of others.
    """
    given = {name: np.asarray(value, "float32") for name, value in arrays.items()}
    weights: Arrays = {}

    def dense(name: str, *paths: str) -> None:
        for path, kernel, bias in zip(
            paths,
            np.split(given[f"{name}_kernel"], len(paths), axis=1),
            np.split(given[f"{name}_bias"], len(paths)),
            strict=True,
        ):
            scale = scale_of(f"{path}/", config)
            weights[f"{path}/kernel"], weights[f"{path}/bias"] = kernel / scale, bias / scale

    def norm(name: str, path: str) -> None:
        none = {"gamma": np.ones(config.width, "float32"), "beta": np.zeros(config.width, "float32")}
        weights.update({f"{path}/norm/{part}": given.get(f"{name}_{part}", none[part]) for part in none})

    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for index in range(layers):
            name, path = f"{side}_{index}", f"{side}/block_{index}"
            dense(f"{name}_qkv", *(f"{path}/attention/{part}" for part in ("query", "key", "value")))
            dense(f"{name}_mix", f"{path}/attention/output")
            norm(f"{name}_mix", f"{path}/around_attention")
            if side == "decoder":
                dense(f"{name}_query", f"{path}/cross/query")
                dense(f"{name}_cross", f"{path}/cross/output")
                norm(f"{name}_cross", f"{path}/around_cross")
            for part in ("inner", "outer"):
                dense(f"{name}_{part}", f"{path}/feedforward/{part}")
            norm(f"{name}_outer", f"{path}/around_feedforward")
        if config.norm == "pre":
            norm(side, side)
    dense("memory", *(f"decoder/block_{i}/cross/{p}" for i in range(config.decoder_layers) for p in ("key", "value")))
    output = given["output_kernel"].T
    weights["output_embedding/table" if config.tied == "none" else "target_embedding/table"] = output
    for side in ("source", "target"):
        if f"{side}_table" in given:
            weights[f"{side}_embedding/table"] = given[f"{side}_table"]
        if f"{side}_positions" in given:
            weights[f"{side}_positions/table"] = given[f"{side}_positions"]
    return weights


def scale_of(path: str, config: Config) -> np.float32:
    """What `layout` multiplies the weight of a path by."""
    return np.float32((config.width // config.heads) ** -0.5 if "/query/" in path else 1.0)


class _Given:
    """Weights by path, each to be taken exactly once."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        # The first part of a path is the model's name, which is the user's choice.
        self.weights = {path.partition("/")[2]: value for path, value in weights.items() if not is_state(path)}

    def take(self, path: str) -> np.ndarray:
        if path not in self.weights:
            raise ValueError(f"no weight {path} is given (or it is asked for twice).")
        return np.asarray(self.weights.pop(path), "float32")

    def dense(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        return self.take(f"{path}/kernel"), self.take(f"{path}/bias")

    def check_all_used(self) -> None:
        if self.weights:
            raise ValueError(f"weights without a place in the graph: {', '.join(self.weights)}.")


def is_state(path: str) -> bool:
    """Whether a variable is the state of a seed generator, which is no weight."""
    return path.endswith("seed_generator_state")


def _fused(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    kernels, biases = zip(*parts, strict=True)
    return np.concatenate(kernels, axis=1), np.concatenate(biases)


def _named(name: str, dense: tuple[np.ndarray, np.ndarray]) -> Arrays:
    return {f"{name}_kernel": dense[0], f"{name}_bias": dense[1]}


def _norm(given: _Given, path: str, name: str) -> Arrays:
    return {f"{name}_{part}": given.take(f"{path}/norm/{part}") for part in ("gamma", "beta")}


def _block(given: _Given, path: str, name: str, config: Config, cross: bool = False) -> Arrays:
    def query(of: str) -> tuple[np.ndarray, np.ndarray]:
        scale = scale_of(f"{of}/query/", config)
        kernel, bias = given.dense(f"{path}/{of}/query")
        return kernel * scale, bias * scale

    parts = [query("attention"), *(given.dense(f"{path}/attention/{part}") for part in ("key", "value"))]
    arrays = _named(f"{name}_qkv", _fused(parts)) | _named(f"{name}_mix", given.dense(f"{path}/attention/output"))
    arrays |= _norm(given, f"{path}/around_attention", f"{name}_mix")
    if cross:
        arrays |= _named(f"{name}_query", query("cross")) | _named(f"{name}_cross", given.dense(f"{path}/cross/output"))
        arrays |= _norm(given, f"{path}/around_cross", f"{name}_cross")
    for part in ("inner", "outer"):
        arrays |= _named(f"{name}_{part}", given.dense(f"{path}/feedforward/{part}"))
    return arrays | _norm(given, f"{path}/around_feedforward", f"{name}_outer")


def _folded(arrays: Arrays) -> Arrays:
    """Scale, shift and mean of the normalisations of pre-norm as part of the matrices around them."""
    followers = {"mix": "qkv", "cross": "query", "outer": "inner"}
    folded = dict(arrays)
    for gamma in [name for name in arrays if name.endswith("_gamma") and name != "decoder_gamma"]:
        name = gamma.removesuffix("_gamma")
        block, _, part = name.rpartition("_")
        dense = f"{block}_{followers[part]}" if block else "memory"  # what the encoder closes with goes there
        kernel, scale, shift = arrays[f"{dense}_kernel"], folded.pop(gamma), folded.pop(f"{name}_beta")
        folded[f"{dense}_bias"] = arrays[f"{dense}_bias"] + shift @ kernel
        folded[f"{dense}_kernel"] = kernel * scale[:, None]
        if block:
            for what in (f"{name}_kernel", f"{name}_bias"):
                folded[what] = arrays[what] - arrays[what].mean(axis=-1, keepdims=True)
    return folded


def _embeddings(given: _Given, config: Config) -> Arrays:
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
