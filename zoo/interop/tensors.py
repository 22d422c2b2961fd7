"""The tensors of a checkpoint folder: safetensors or pickled, in one file or several with an index.

Files are mapped: a tensor is read when it is used, and its bytes are not copied.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from zoo.errors import UserError
from zoo.interop import pickled

NAMES = ("model.safetensors", "pytorch_model.bin")  # the first that is there is taken
INDEX = ".index.json"
DTYPES: dict[str, Any] = {  # of safetensors
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16, "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1",
}  # fmt: skip
OTHERS = ("tf_model.h5", "flax_model.msgpack", "model.ckpt.index", "model.onnx", "openvino_model.xml")
FETCH = "Fetch the file again."


class Tensors:
    """The tensors of a folder by name.

    Args:
        folder: holds model.safetensors or pytorch_model.bin, or either's index and the files that it lists.

    Raises: UserError where there are no weights, or a file is missing, torn, or of another kind.
    """

    def __init__(self, folder: Path) -> None:
        self.files, listed = _find(folder)
        self._sources = {path: _open(path) for path in self.files}
        self.where: dict[str, Path] = {}
        for path, source in self._sources.items():
            for name in source:
                if name in self.where:
                    raise UserError(f"{name} is in {self.where[name].name} too", where=str(path))
                self.where[name] = path
        for name, file in listed.items():
            if self.where.get(name) != folder / file:
                raise UserError(f"{name} is not in it, as the index says", where=str(folder / file), remedy=FETCH)

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __contains__(self, name: str) -> bool:
        return name in self.where

    def __getitem__(self, name: str) -> np.ndarray:
        """The array as stored, a read-only view of the mapped file."""
        return self._sources[self.where[name]][name]

    def hashes(self) -> dict[str, str]:
        """SHA-256, in hex, of each file by its name."""
        return {path.name: digest(path) for path in self.files}


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, remedy: str = FETCH) -> dict[str, Any]:
    """A JSON object from a file of a checkpoint.

    Raises: UserError where it is missing or none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("this file is missing", where=str(path), remedy=remedy) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as JSON ({error})", where=str(path), remedy=remedy) from error
    if not isinstance(found, dict):
        raise UserError("not a JSON object", where=str(path), remedy=remedy)
    return found


def _find(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The files of weights, and what their index says of each tensor where there is one."""
    for name in NAMES:
        index = folder / (name + INDEX)
        if (folder / name).is_file():
            return [folder / name], {}
        if index.is_file():
            listed = _weight_map(index)
            files = sorted(set(listed.values()))
            strange = [file for file in files if Path(file).name != file or not (folder / file).is_file()]
            if strange:
                problem = f"it lists {', '.join(strange)}, not in this folder"
                raise UserError(problem, where=str(index), remedy="Fetch the whole checkpoint.")
            return [folder / file for file in files], listed
    there = [name for name in OTHERS if (folder / name).exists()]
    if there:
        remedy = "Load it with transformers where that format is installed; save_pretrained() writes safetensors."
        raise UserError(f"only {there[0]} is here, which is not read", where=str(folder), remedy=remedy)
    raise UserError(f"no weights are here: neither {' nor '.join(NAMES)}", where=str(folder))


def _weight_map(index: Path) -> dict[str, str]:
    found = read_json(index).get("weight_map")
    if not isinstance(found, dict) or not found or not all(isinstance(value, str) for value in found.values()):
        raise UserError('it has no "weight_map" of tensors to files', where=str(index), remedy=FETCH)
    return found


def _open(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".bin":
        return pickled.read(path)
    try:
        # The library holds the header against the length of the file; but what it hands out are copies.
        with safe_open(path, framework="np"), path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (SafetensorError, OSError) as error:
        raise UserError(f"not a whole safetensors file ({error})", where=str(path), remedy=FETCH) from error
    start = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for name, about in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        if about["dtype"] not in DTYPES:
            remedy = f"Read are {', '.join(DTYPES)}: have transformers write it anew in one of them."
            raise UserError(f"{name} is stored as {about['dtype']}", where=str(path), remedy=remedy)
        dtype = np.dtype(DTYPES[about["dtype"]])
        arrays[name] = np.ndarray(about["shape"], dtype, data, start + about["data_offsets"][0])
    return arrays
