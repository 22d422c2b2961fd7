"""Checkpoints: one safetensors file each, with everything that a training needs to go on as if never stopped.

Tensors are named "model/…", "optimizer/…" and "average/…" by the paths of their variables, which are the same in every
process and on every backend. The header holds a JSON text beside them: step, epoch, score, history, format.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors_numpy

from zoo.errors import UserError
from zoo.files import whole
from zoo.layers.adapters import blank, merge
from zoo.progress import say

FORMAT = 1
HEADER = "zoo"  # key of our JSON text in the header of a safetensors file

Arrays = dict[str, np.ndarray]
Meta = dict[str, Any]

# Names that Keras counts up in each process, so that they say nothing in another one.
AUTOMATIC = re.compile(r"(^|/)(seed_generator|variable)(_\d+)?(/|$)")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Stepping(Protocol):
    """What a checkpoint has to know of a step."""

    averages: list[keras.Variable] | None

    def sync(self) -> None:
        """Writes the truth into the variables of model and optimizer."""


def capture(model: keras.Model, optimizer: keras.optimizers.Optimizer, step: Stepping) -> Arrays:
    """Copies of every variable of model and optimizer, seed generators among them, and of the step's averages.

    Raises: ValueError where a variable has no name of its own that holds in another process too.
    """
    step.sync()
    return {name: _to_numpy(variable) for name, variable in _named(model, optimizer, step).items()}


def restore(model: keras.Model, optimizer: keras.optimizers.Optimizer, step: Stepping, arrays: Arrays) -> None:
    """Sets every variable that `capture` reads; the optimizer must be built.

    Raises: UserError where a tensor is missing, left over or of another shape; nothing is changed then.
    """
    step.sync()
    _assign(_named(model, optimizer, step), arrays)


def restore_weights(model: keras.Model, arrays: Arrays) -> None:
    """Sets the weights of the model alone, for a model that goes its own way from here: no seeds, no optimizer.

    Args:
        arrays: of a checkpoint or of `Checkpoints.average`; see `weights` for which of them are taken.
    Raises: UserError as `restore`.
    """
    wanted = _weights_of(model)
    seeds = _named(model).keys() - wanted.keys()
    _assign(wanted, {name: array for name, array in weights(arrays).items() if name not in seeds})


def restore_part(model: keras.Model, arrays: Arrays, optional: Callable[[str], bool]) -> list[str]:
    """Sets the weights of a model that shares its lower part with the one that the arrays are of.

    Args:
        arrays: as in `restore_weights`.
        optional: tells by name ("model/…") what either model may have for itself.
    Returns: the names of what stays as it is: optional, and not there or of another shape there.
    Raises: UserError as `restore`, for what is not optional.
    """
    wanted, given = _weights_of(model), weights(arrays)
    shapes = {name: array.shape for name, array in given.items()}
    kept = [name for name, v in wanted.items() if optional(name) and shapes.get(name) != tuple(v.shape)]
    taken = {name: variable for name, variable in wanted.items() if name not in kept}
    seeds = _named(model).keys() - wanted.keys()
    needed = {name: array for name, array in given.items() if name in taken or not (optional(name) or name in seeds)}
    _assign(taken, needed)
    return kept


def _weights_of(model: keras.Model) -> dict[str, keras.Variable]:
    """The variables of the model by name, without the states of seed generators."""
    counted = {id(v) for v in model.weights}
    return {name: variable for name, variable in _named(model).items() if id(variable) in counted}


def _named(model: keras.Model, optimizer: Any = None, step: Any = None) -> dict[str, keras.Variable]:
    variables = [("model", v.path, v) for v in model.variables]
    if optimizer is not None:
        variables += [("optimizer", v.path, v) for v in optimizer.variables]
    if step is not None and step.averages is not None:
        paths = (v.path for v in model.trainable_variables)
        variables += [("average", path, v) for path, v in zip(paths, step.averages, strict=True)]
    named: dict[str, keras.Variable] = {}
    for room, path, variable in variables:
        name = f"{room}/{path}"
        if AUTOMATIC.search(path):
            raise ValueError(f"{name}: an automatic name, which differs between processes; name the variable.")
        # A shared seed generator is listed by every layer that draws from it.
        if named.setdefault(name, variable) is not variable:
            raise ValueError(f"{name}: the name of two variables; name their layers.")
    return named


def _to_numpy(variable: keras.Variable) -> np.ndarray:
    # A copy: on JAX and TensorFlow the array may be a view of memory that the next update writes to.
    return np.array(variable.numpy(), order="C")


def _assign(variables: Mapping[str, keras.Variable], arrays: Arrays) -> None:
    problem = _first_difference(variables, arrays)
    if problem:
        raise UserError(f"the checkpoint is of another model: {problem}", remedy="Use the recipe it was made with.")
    for name, variable in variables.items():
        array = arrays[name]
        # PyTorch cannot take numpy's bfloat16; float32 holds it exactly, and assign() rounds to the variable's type.
        variable.assign(array.astype("float32") if array.dtype.name == "bfloat16" else array)


def _first_difference(variables: Mapping[str, keras.Variable], arrays: Arrays) -> str:
    for name, variable in variables.items():
        if name not in arrays:
            return f"it has no {name}."
        array, shape = arrays[name], tuple(variable.shape)
        if array.shape != shape:
            return f"{name} has the shape {array.shape} there, {shape} here."
        whole = "int" in variable.dtype
        if whole != (array.dtype.kind in "iu") or (whole and not (array.astype(variable.dtype) == array).all()):
            return f"{name} holds {array.dtype} values that do not fit into {variable.dtype}."
    return next((f"nothing here takes its {name}." for name in arrays if name not in variables), "")


def read(path: Path) -> tuple[Arrays, Meta]:
    """The tensors of one checkpoint and what its header says of it.

    Raises: UserError where it is torn, no checkpoint, or of a newer format.
    """
    meta = read_meta(path)
    return safetensors_numpy.load_file(path), meta


def read_meta(path: Path) -> Meta:
    """What the header of a checkpoint says; its length is checked, its tensors are not read.

    Raises: as `read`.
    """
    try:
        with safe_open(path, framework="np") as file:
            meta = json.loads((file.metadata() or {})[HEADER])
    except (SafetensorError, OSError) as error:
        raise UserError(f"not a whole safetensors file ({error})", where=str(path)) from error
    except (KeyError, ValueError) as error:
        raise UserError("not a checkpoint of zoo", where=str(path)) from error
    if meta["format"] > FORMAT:
        raise UserError(
            f"a checkpoint of format {meta['format']}; this version reads up to {FORMAT}",
            where=str(path),
            remedy="Use the version of zoo that made it, or a newer one.",
        )
    return meta


class Checkpoints:
    """The checkpoints of one run: the last `keep`, and the best.

    A file appears under its name only when it is whole and on the disk, and an old one goes only after that: whenever
    the power fails, a whole checkpoint is there.

    Args:
        folder: made when the first checkpoint is saved.
        keep: checkpoints kept besides the best.
    """

    def __init__(self, folder: Path | str, keep: int = 5) -> None:
        self.folder = Path(folder)
        self.keep = keep
        self._cleaned = False

    def save(self, arrays: Arrays, meta: Meta, score: float | None = None) -> Path:
        """Writes a checkpoint and removes those that are no longer kept.

        Args:
            arrays: as `capture` gave them.
            meta: JSON values; "step", the number of updates done, must be one of them.
            score: higher is better; None or NaN: cannot become the best.
        Raises: UserError where the disk is full; the older checkpoints are left as they were.
        """
        self._clean()
        usable = score is not None and not math.isnan(score)
        header = {**meta, "format": FORMAT, "score": float(score) if usable else None}
        path = self.folder / f"step-{meta['step']:09d}.safetensors"
        # The library writes the memory of an array as it lies there, whatever its strides say.
        arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        try:
            with whole(path) as file:
                file.write(safetensors_numpy.save(arrays, {HEADER: json.dumps(header)}))
        except OSError as error:
            if error.errno not in FULL:
                raise
            remedy = "Free some space and start the same command again: it goes on from the last checkpoint."
            raise UserError("no space left for a checkpoint", where=str(path), remedy=remedy) from error
        self._prune()
        return path

    def latest(self) -> tuple[Arrays, Meta] | None:
        """The newest whole checkpoint; files that are none are named and left alone."""
        path = next((path for path, _ in self._whole()), None)
        return read(path) if path else None

    def best(self) -> tuple[Arrays, Meta] | None:
        """The checkpoint with the highest score, the earliest of equals; None where none has a score."""
        path = self._best(list(self._whole()))
        return read(path) if path else None

    def average(self, n: int) -> Arrays:
        """The mean of the model's weights ("model/…") over the last `n` checkpoints, or all where there are fewer.

        Where the step kept exponential averages, these are the weights that are meant. Whole numbers (the states of
        seed generators) are those of the last one. Of low-rank additions the products are averaged, since the mean of
        A · B is not that of A times that of B; the kernels hold it, and the additions that come back add nothing.

        Raises: UserError where there is no checkpoint.
        """
        paths = [path for path, _ in self._whole()][:n]
        if not paths:
            raise UserError("no checkpoint is here", where=str(self.folder), remedy="Train first.")
        newest = weights(read(paths[0])[0])
        merged = merge(newest)
        sums = {name: array.astype("float64") for name, array in merged.items()}
        for path in paths[1:]:
            for name, array in merge(weights(read(path)[0])).items():
                sums[name] += array
        means = {
            name: array if array.dtype.kind in "iu" else (sums[name] / len(paths)).astype(array.dtype)
            for name, array in merged.items()
        }
        return {**means, **blank(newest)}

    def _whole(self) -> Iterator[tuple[Path, Meta]]:
        """The checkpoints that can be read, newest first."""
        for path in sorted(self.folder.glob("step-*.safetensors"), reverse=True):
            try:
                yield path, read_meta(path)
            except UserError as error:
                if error.remedy:  # made by a newer version: to go back to an older checkpoint would lose its work
                    raise
                say(f"skipped {error}")

    @staticmethod
    def _best(whole: list[tuple[Path, Meta]]) -> Path | None:
        scored = [(meta["score"], path) for path, meta in reversed(whole) if meta["score"] is not None]
        return max(scored, key=lambda pair: pair[0])[1] if scored else None

    def _prune(self) -> None:
        whole = list(self._whole())
        kept = {path for path, _ in whole[: self.keep]} | {self._best(whole)}
        for path, _ in whole:
            if path not in kept:
                path.unlink()

    def _clean(self) -> None:
        """Makes the folder, and removes what a killed process left half written; only the one that writes does so."""
        if not self._cleaned:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.glob("*.tmp"):
                path.unlink()
            self._cleaned = True


def weights(arrays: Arrays) -> Arrays:
    """The weights that are meant to be used, "model/…": exponential averages where the step kept them."""
    start = "average/"
    averages = {f"model/{name[len(start) :]}": array for name, array in arrays.items() if name.startswith(start)}
    return {name: averages.get(name, array) for name, array in arrays.items() if name.startswith("model/")}


def digest(arrays: Arrays) -> str:
    """Hex digest of names, types, shapes and values."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()
