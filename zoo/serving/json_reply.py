"""Tensors to the JSON of a predict reply, as TensorFlow Serving's util/json_tensor.cc writes it, layout included."""

import struct
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from math import prod

import numpy as np

from zoo.serving.json_text import utf8
from zoo.serving.status import invalid

_INTEGERS = tuple(map(np.dtype, ("int8", "uint8", "int16", "int32", "int64", "uint32", "uint64")))
FEW = 12  # numbers
_SINGLE = struct.Struct("f")
_MOST_SINGLE = float(np.finfo(np.float32).max)
_NO_NUMBER = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

Bracket = Callable[[Sequence[str], int], str]  # (elements, axis) -> the list of them


def encode(outputs: Mapping[str, np.ndarray], in_rows: bool) -> bytes:
    """The body of a predict reply.

    Args:
        outputs: name -> array, at least one; strings are arrays of bytes.
        in_rows: the request came in rows, so the answer is `predictions`, an entry a row; else `outputs`.
    Raises: RequestError where an output has no batch dimension, another batch, or a type that JSON has not.
    """
    text = _predictions(outputs) if in_rows else _outputs(outputs)
    return utf8(f"{{\n    {text}\n}}")


def _predictions(outputs: Mapping[str, np.ndarray]) -> str:
    names = sorted(outputs)
    if not _batch_size(outputs):
        return '"predictions": []'
    columns = [_fold(_leaves(name, outputs[name]), outputs[name].shape, 1, _one_line) for name in names]
    if len(names) == 1:  # a single output goes without its name
        return f'"predictions": [{", ".join(columns[0])}\n    ]'
    rows = (_object(names, row, 8) for row in zip(*columns, strict=True))
    return '"predictions": [\n        ' + ",\n        ".join(rows) + "\n    ]"


def _outputs(outputs: Mapping[str, np.ndarray]) -> str:
    names = sorted(outputs)
    indent = 4 if len(names) == 1 else 8
    values = [_fold(_leaves(name, outputs[name]), outputs[name].shape, 0, _lines(indent))[0] for name in names]
    return '"outputs": ' + (values[0] if len(names) == 1 else _object(names, values, 4))


def _batch_size(outputs: Mapping[str, np.ndarray]) -> int:
    size = -1
    for name in sorted(outputs):
        shape = outputs[name].shape
        if not shape:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size >= 0 and shape[0] != size:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {shape[0]} expecting: {size}")
        size = shape[0]
    return size


def _object(names: Sequence[str], values: Sequence[str], indent: int) -> str:
    fields = (f"{encode_basestring(name)}: {value}" for name, value in zip(names, values, strict=True))
    blank = "\n" + " " * indent
    return "{" + blank + "    " + f",{blank}    ".join(fields) + blank + "}"


def _fold(leaves: list[str], shape: tuple[int, ...], first_axis: int, bracket: Bracket) -> list[str]:
    """Brackets values, last axis first, until the elements along `first_axis` stand alone (or, at 0, the whole)."""
    for axis in reversed(range(first_axis, len(shape))):
        size = shape[axis]
        leaves = [bracket(leaves[i * size : (i + 1) * size], axis) for i in range(prod(shape[:axis]))]
    return leaves


def _one_line(elements: Sequence[str], axis: int) -> str:
    return f"[{', '.join(elements)}]"


def _lines(indent: int) -> Bracket:
    """Brackets with an element a line, the closing one of the first axis at `indent`."""

    def bracket(elements: Sequence[str], axis: int) -> str:
        blank = "\n" + " " * (indent + 4 * axis)
        return f"[{blank}    " + f",{blank}    ".join(elements) + f"{blank}]" if elements else "[]"

    return bracket


def _leaves(name: str, array: np.ndarray) -> list[str]:
    """Each value of an array as JSON, in order."""
    flat = array.reshape(-1)
    if array.dtype == object:
        if name.endswith("_bytes"):
            return [f'{{"b64": "{b64encode(value).decode()}"}}' for value in flat]
        return [encode_basestring(value.decode("utf-8", "surrogateescape")) for value in flat]
    if array.dtype in (np.float32, np.float64):
        return decimals(flat)
    if array.dtype == np.bool_:
        return ["true" if value else "false" for value in flat.tolist()]
    if array.dtype in _INTEGERS:
        return list(map(str, flat.tolist()))
    dtype = "half" if array.dtype == np.float16 else array.dtype.name
    raise invalid(f"Failed to write JSON value for tensor type: {dtype}")


def decimals(flat: np.ndarray) -> list[str]:
    """Numbers as Serving writes them: with six digits, or with as many as it takes to read the same number back."""
    values = flat.tolist()
    single = flat.dtype == np.float32
    digits = "%.9g" if single else "%.17g"
    if len(values) <= FEW:  # numpy's arrays cost more than they spare
        texts = [_printed_one(value, digits, single) for value in values]
    else:
        texts = _printed("%g", values)
        longer = np.flatnonzero(np.array(texts, np.float64).astype(flat.dtype) != flat).tolist()
        for index, text in zip(longer, _printed(digits, [values[index] for index in longer]), strict=True):
            texts[index] = text
    return [_NO_NUMBER.get(text) or (text if "." in text or "e" in text else text + ".0") for text in texts]


def _printed_one(value: float, digits: str, single: bool) -> str:
    text = f"{value:g}"
    read = float(text)
    if single and abs(read) <= _MOST_SINGLE:
        (read,) = _SINGLE.unpack(_SINGLE.pack(read))
    return text if read == value else digits % value


def _printed(pattern: str, values: list[float]) -> list[str]:
    """All values by a single % operation, which takes a quarter of the time of one for each."""
    return (f"{pattern} " * len(values) % tuple(values)).split()
