"""PyTorch's pickled weights (`pytorch_model.bin`), read without PyTorch and without running what they contain.

A pickle is a program: it may name any function there is and call it. The reader here knows an OrderedDict, the
function that makes a tensor of a storage, and the names of the storages, all of them inert; a file that names
anything else is refused before that is looked up, whatever it is. Bytes stay where they are: every array is a view of
the mapped file.

Both formats of `torch.save` are read: the zip archive (PyTorch 1.6 and later) and the older row of pickles.
"""

from __future__ import annotations

import io
import mmap
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from zoo.errors import UserError

DTYPES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # what the older format begins with
LOCAL_HEADER = 30  # bytes before the name of a file in a zip archive
SAFE = "Use the checkpoint's model.safetensors, or have transformers write one (save_pretrained) where you trust it."


@dataclass(frozen=True, slots=True)
class _Kind:
    """Stands for a storage class of PyTorch; it cannot be called, and nothing can be set on it."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: np.dtype[Any]
    key: str
    elements: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild:
    """Stands for `torch._utils._rebuild_tensor_v2`. An instance without slots: a pickle may set attributes of what it
    names, and a function has some that change what it does."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *about_gradients: Any) -> _Tensor:
        numbers = (offset, *shape, *strides)
        whole = all(isinstance(number, int) and number >= 0 for number in numbers)
        if not (isinstance(storage, _Storage) and whole and len(shape) == len(strides)):
            raise ValueError("not the arguments of a tensor")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Any, path: Path) -> None:
        super().__init__(stream)
        self.path = path

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if module == "torch" and name in DTYPES:
            return _Kind(name)
        raise UserError(
            f"refused: the file asks for {module}.{name}, which weights have no use for; nothing of it was run",
            where=str(self.path),
            remedy=SAFE,
        )

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _Kind(name=name), str(key), str(), int(elements), *view) if not any(view):
                return _Storage(DTYPES[name], key, elements)
        raise ValueError(f"an unknown kind of storage: {pid!r:.80}")


def read(path: Path | str) -> dict[str, np.ndarray]:
    """The tensors of a state dict by name, in the file's order.

    Args:
        path: a file that `torch.save` wrote of a state dict.

    Returns: read-only views of the mapped file; dtypes as stored (bfloat16 is ml_dtypes').

    Raises: UserError where the file is torn, is no state dict, or asks for anything but tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise UserError(f"cannot be read ({error})", where=str(path)) from error
    try:
        tensors, storages = (_from_zip if data[:2] == b"PK" else _from_row)(data, path)
        return {name: _array(name, each, storages[each.storage.key], path) for name, each in tensors.items()}
    except (UserError, MemoryError):
        raise
    # A torn or hostile pickle fails in as many ways as a program does.
    except Exception as error:
        raise UserError(f"not a whole file of PyTorch weights ({error})", where=str(path), remedy=SAFE) from error


def _from_zip(data: mmap.mmap, path: Path) -> tuple[dict[str, _Tensor], dict[str, memoryview]]:
    entries: dict[str, memoryview] = {}
    whole = memoryview(data)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{info.filename} is compressed, which torch.save does not do")
            start = info.header_offset + LOCAL_HEADER
            start += sum(struct.unpack_from("<HH", data, start - 4))
            entries[info.filename.partition("/")[2]] = whole[start : start + info.file_size]
    if "constants.pkl" in entries:
        raise UserError("a TorchScript program, not a state dict", where=str(path), remedy=SAFE)
    if bytes(entries.get("byteorder", b"little")) != b"little":
        raise UserError("written on a big-endian machine", where=str(path), remedy=SAFE)
    tensors = _state_dict(_Unpickler(io.BytesIO(entries["data.pkl"]), path).load(), path)
    return tensors, {name.removeprefix("data/"): part for name, part in entries.items() if name.startswith("data/")}


def _from_row(data: mmap.mmap, path: Path) -> tuple[dict[str, _Tensor], dict[str, memoryview]]:
    """The older format: pickles of magic, protocol, machine, state dict and keys, then each storage with its length."""
    if _Unpickler(data, path).load() != MAGIC or _Unpickler(data, path).load() != PROTOCOL:
        raise ValueError("it does not begin as torch.save begins")
    if not _Unpickler(data, path).load().get("little_endian", True):
        raise UserError("written on a big-endian machine", where=str(path), remedy=SAFE)
    tensors = _state_dict(_Unpickler(data, path).load(), path)
    keys = _Unpickler(data, path).load()
    sizes = {tensor.storage.key: tensor.storage.dtype.itemsize for tensor in tensors.values()}
    storages, at, whole = {}, data.tell(), memoryview(data)
    for key in keys:
        (elements,) = struct.unpack_from("<q", data, at)
        end = at + 8 + elements * sizes[key]
        storages[key] = whole[at + 8 : end]
        at = end
    return tensors, storages


def _state_dict(found: Any, path: Path) -> dict[str, _Tensor]:
    strange = [type(found).__name__]
    if isinstance(found, dict):
        strange = [str(key) for key, value in found.items() if not isinstance(value, _Tensor)]
    if strange:
        raise UserError(f'not a plain state dict: it holds "{strange[0]}"', where=str(path), remedy=SAFE)
    return {str(name): tensor for name, tensor in found.items()}


def _array(name: str, tensor: _Tensor, buffer: memoryview, path: Path) -> np.ndarray:
    size = tensor.storage.dtype.itemsize
    if len(buffer) != tensor.storage.elements * size:
        raise UserError(
            f"{name}: {len(buffer):,} bytes are there of {tensor.storage.elements * size:,}; the file is torn",
            where=str(path),
            remedy="Fetch it again.",
        )
    # numpy itself refuses a shape and strides that lead out of the buffer.
    strides = tuple(stride * size for stride in tensor.strides)
    return np.ndarray(tensor.shape, tensor.storage.dtype, buffer, tensor.offset * size, strides)
