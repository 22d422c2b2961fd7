"""The weights of transformer blocks as exported graphs hold them: fused, scaled and turned once, and not in each call.

What differs from the model: queries, keys and values of a self-attention are one matrix; queries are scaled by
1 / sqrt(D / H).

Where normalisation comes first (pre-norm), scale and shift of each are part of the matrix and bias that follow, and
what is added to the hidden states has mean 0: then so have they, and a normalisation is five operations, not nine. A
small model spends its time on the number of operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Dense = tuple[np.ndarray, np.ndarray]  # kernel and bias


class Given:
    """Weights by path, each to be taken exactly once, as float32.

    Args:
        weights: by variable path, which begins with the model's name; states of seed generators are left out.
        config: of the model.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], config: Any) -> None:
        # The first part of a path is the model's name, which is the user's choice.
        self.weights = {path.partition("/")[2]: value for path, value in weights.items() if not is_state(path)}
        self.config = config

    def take(self, path: str) -> np.ndarray:
        """The weight of a path.

        Raises: ValueError where it is missing, or taken already.
        """
        if path not in self.weights:
            raise ValueError(f"no weight {path} is given (or it is asked for twice).")
        return np.asarray(self.weights.pop(path), "float32")

    def dense(self, path: str) -> Dense:
        """Kernel and bias, scaled where they make queries."""
        scale = scale_of(path, self.config)
        return self.take(f"{path}/kernel") * scale, self.take(f"{path}/bias") * scale

    def norm(self, path: str, name: str) -> Arrays:
        """Scale and shift of a normalisation, by the name that the graph has for it."""
        return {f"{name}_{part}": self.take(f"{path}/{part}") for part in ("gamma", "beta")}

    def block(self, path: str, name: str, cross: bool = False) -> Arrays:
        """All of a block, by its name in the graph."""
        arrays = named(f"{name}_qkv", fused([self.dense(f"{path}/attention/{part}") for part in PROJECTIONS]))
        arrays |= named(f"{name}_mix", self.dense(f"{path}/attention/output"))
        arrays |= self.norm(f"{path}/around_attention/norm", f"{name}_mix")
        if cross:
            arrays |= named(f"{name}_query", self.dense(f"{path}/cross/query"))
            arrays |= named(f"{name}_cross", self.dense(f"{path}/cross/output"))
            arrays |= self.norm(f"{path}/around_cross/norm", f"{name}_cross")
        for part in ("inner", "outer"):
            arrays |= named(f"{name}_{part}", self.dense(f"{path}/feedforward/{part}"))
        arrays |= self.norm(f"{path}/around_feedforward/norm", f"{name}_outer")
        return _folded(arrays, name) if self.config.norm == "pre" else arrays

    def check_all_used(self) -> None:
        """Raises: ValueError where a weight was not taken."""
        if self.weights:
            raise ValueError(f"weights without a place in the graph: {', '.join(self.weights)}.")


PROJECTIONS = ("query", "key", "value")


class Undone:
    """The way back: weights by variable path, without the model's name, for a model that computes the same.

    With pre-norm its normalisations scale by 1 and shift by 0, since their weights have become part of others.

    Args:
        arrays: of a graph.
        config: of the model.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: Any) -> None:
        self.arrays = {name: np.asarray(value, "float32") for name, value in arrays.items()}
        self.config = config
        self.weights: Arrays = {}

    def dense(self, name: str, *paths: str) -> None:
        """Kernel and bias, of as many layers as there are paths."""
        kernels = np.split(self.arrays[f"{name}_kernel"], len(paths), axis=1)
        biases = np.split(self.arrays[f"{name}_bias"], len(paths))
        for path, kernel, bias in zip(paths, kernels, biases, strict=True):
            scale = scale_of(path, self.config)
            self.weights[f"{path}/kernel"], self.weights[f"{path}/bias"] = kernel / scale, bias / scale

    def norm(self, name: str, path: str) -> None:
        """Scale and shift of a normalisation."""
        width = self.config.width
        none = {"gamma": np.ones(width, "float32"), "beta": np.zeros(width, "float32")}
        self.weights |= {f"{path}/{part}": self.arrays.get(f"{name}_{part}", none[part]) for part in none}

    def block(self, name: str, path: str, cross: bool = False) -> None:
        """All of a block."""
        self.dense(f"{name}_qkv", *(f"{path}/attention/{part}" for part in PROJECTIONS))
        self.dense(f"{name}_mix", f"{path}/attention/output")
        self.norm(f"{name}_mix", f"{path}/around_attention/norm")
        if cross:
            self.dense(f"{name}_query", f"{path}/cross/query")
            self.dense(f"{name}_cross", f"{path}/cross/output")
            self.norm(f"{name}_cross", f"{path}/around_cross/norm")
        for part in ("inner", "outer"):
            self.dense(f"{name}_{part}", f"{path}/feedforward/{part}")
        self.norm(f"{name}_outer", f"{path}/around_feedforward/norm")


def scale_of(path: str, config: Any) -> np.float32:
    """What the weights of a dense layer are multiplied by: those of queries by 1 / sqrt(D / H)."""
    return np.float32((config.width // config.heads) ** -0.5 if path.endswith("/query") else 1.0)


def is_state(path: str) -> bool:
    """Whether a variable is the state of a seed generator, which is no weight."""
    return path.endswith("seed_generator_state")


def fused(parts: list[Dense]) -> Dense:
    """Several dense layers with one input as one."""
    kernels, biases = zip(*parts, strict=True)
    return np.concatenate(kernels, axis=1), np.concatenate(biases)


def named(name: str, dense: Dense) -> Arrays:
    """Kernel and bias by the name that the graph has for them."""
    return {f"{name}_kernel": dense[0], f"{name}_bias": dense[1]}


def fold_norm(arrays: Arrays, norm: str, dense: str) -> None:
    """Makes scale and shift of a normalisation part of the dense layer that follows it, in place."""
    kernel, scale, shift = arrays[f"{dense}_kernel"], arrays.pop(f"{norm}_gamma"), arrays.pop(f"{norm}_beta")
    arrays[f"{dense}_bias"] = arrays[f"{dense}_bias"] + shift @ kernel
    arrays[f"{dense}_kernel"] = kernel * scale[:, None]


def _folded(arrays: Arrays, block: str) -> Arrays:
    """A block of pre-norm: its normalisations folded, and what it adds to the hidden states with mean 0."""
    folded = dict(arrays)
    for out, into in {"mix": "qkv", "cross": "query", "outer": "inner"}.items():
        if f"{block}_{out}_gamma" in arrays:
            fold_norm(folded, f"{block}_{out}", f"{block}_{into}")
            for what in (f"{block}_{out}_kernel", f"{block}_{out}_bias"):
                folded[what] = arrays[what] - arrays[what].mean(axis=-1, keepdims=True)
    return folded
