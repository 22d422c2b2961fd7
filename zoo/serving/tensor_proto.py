"""TensorProtos to numpy arrays and back, without TensorFlow: by the rules of its Tensor::FromProto and AsProtoField.

Works on messages of TensorFlow's own classes and on those of `zoo.serving.messages` alike. A tensor's numbers are
either raw bytes (`tensor_content`) or a repeated field for their type, of which the last value counts for all that
are left out. Replies are written as fields, as TensorFlow Serving writes them, since clients read `float_val` itself.
"""

from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

_MOST_DIMENSIONS = 64  # numpy's limit
_MOST_REPEATED_BYTES = (
    2**28
)  # of a tensor whose values are mostly left out: a request of bytes must not ask for gigabytes


class _Kind(NamedTuple):
    """A data type: its number and name in TensorFlow, the field of its values, and the array type of that field."""

    number: int
    name: str
    field: str
    read_as: Any


_KINDS = (
    _Kind(1, "float32", "float_val", np.float32),
    _Kind(2, "float64", "double_val", np.float64),
    _Kind(3, "int32", "int_val", np.int32),
    _Kind(4, "uint8", "int_val", np.int32),
    _Kind(5, "int16", "int_val", np.int32),
    _Kind(6, "int8", "int_val", np.int32),
    _Kind(7, "object", "string_val", np.object_),
    _Kind(8, "complex64", "scomplex_val", np.float32),
    _Kind(9, "int64", "int64_val", np.int64),
    _Kind(10, "bool", "bool_val", np.bool_),
    _Kind(14, "bfloat16", "half_val", np.int32),
    _Kind(17, "uint16", "int_val", np.int32),
    _Kind(18, "complex128", "dcomplex_val", np.float64),
    _Kind(19, "float16", "half_val", np.int32),
    _Kind(22, "uint32", "uint32_val", np.uint32),
    _Kind(23, "uint64", "uint64_val", np.uint64),
)
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
_BY_NAME = {kind.name: kind for kind in _KINDS}
_BY_TYPE = {
    np.dtype(kind.name): kind for kind in _KINDS if kind.name != "bfloat16"
}  # a dtype's name is slow to ask for
# What a packed repeated field looks like on the wire is, for these, what the array looks like in memory: tag, length,
# little-endian values. So a megabyte is copied once, instead of passing through a list of Python numbers.
_TAGS = {"float_val": b"\x2a", "double_val": b"\x32", "bool_val": b"\x5a"}

_NAMES = {"float32": "float", "float64": "double", "float16": "half", "object": "string"}
# Numbers of DataType -> names as TensorFlow has them in errors: "float", "string", "int64".
NAMES = {kind.number: _NAMES.get(kind.name, kind.name) for kind in _KINDS}
_ARRAY_TYPES = {name: _BY_NUMBER[number].name for number, name in NAMES.items()}


def array_type(name: str) -> np.dtype:
    """The type of the arrays of a data type: "float" -> float32; object for "string".

    Raises: KeyError for a data type that arrays do not have.
    """
    return _dtype(_ARRAY_TYPES[name])


def data_type(array: np.ndarray) -> str:
    """The data type of an array's values by its name in TensorFlow: "float" for float32, "string" for bytes."""
    return _NAMES.get(array.dtype.name, array.dtype.name)


def to_array(proto: Any) -> np.ndarray:
    """The array that a TensorProto holds; strings as an array of bytes (dtype object). May be read-only.

    Raises: ValueError where the shape, the data type and the values do not make a tensor.
    """
    kind = _BY_NUMBER.get(proto.dtype)
    shape = [each.size for each in proto.tensor_shape.dim]
    if kind is None or proto.tensor_shape.unknown_rank or len(shape) > _MOST_DIMENSIONS or min(shape, default=0) < 0:
        raise ValueError("no dense tensor of a known data type and shape")
    count, content = prod(shape), proto.tensor_content
    if not count or not content:
        return _values(proto, kind, count).reshape(shape)
    if kind.field == "string_val":
        return _object_array(_split(content, count)).reshape(shape)
    dtype = _dtype(kind.name)
    if len(content) != count * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes for {count} values of {dtype.itemsize} bytes each")
    return np.frombuffer(content, dtype).reshape(shape)


def fill(proto: Any, array: np.ndarray) -> None:
    """Writes an array into an empty TensorProto.

    Args:
        array: of numbers, or of bytes (dtype object).
    Raises: ValueError for a data type that TensorProto has not.
    """
    kind = _BY_TYPE.get(array.dtype) or _BY_NAME.get(array.dtype.name)
    if kind is None:
        raise ValueError(f"no tensor holds values of type {array.dtype}")
    proto.dtype = kind.number
    proto.tensor_shape.SetInParent()  # a scalar has a shape too
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if kind.field in _TAGS:
        raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        if raw:
            proto.MergeFromString(_TAGS[kind.field] + _varint(len(raw)) + raw)
        return
    flat = array.reshape(-1)
    if kind.field == "half_val":
        flat = flat.view(np.uint16)
    elif kind.field.endswith("complex_val"):
        flat = flat.view(kind.read_as)
    getattr(proto, kind.field).extend(flat.tolist())


def _values(proto: Any, kind: _Kind, count: int) -> np.ndarray:
    """The values of a tensor's field: as many as there should be, the last one repeated, zeros where there is none."""
    field = getattr(proto, kind.field)
    if kind.field == "string_val":
        return _object_array(_completed(list(field), count, b""))
    dtype = _dtype(kind.name)
    parts = 2 if kind.name.startswith("complex") else 1
    found = np.fromiter(field, kind.read_as, len(field))
    if kind.field == "half_val":
        found = found.astype(np.uint16).view(dtype)
    elif parts == 2:
        found = found[: found.size // 2 * 2].view(dtype)
    else:
        found = found.astype(dtype, copy=False)  # as in C++, 300 in an int8 is 44
    if found.size == count:
        return found
    if count * dtype.itemsize > _MOST_REPEATED_BYTES and found.size < count:
        raise ValueError(f"{found.size} values for a tensor of {count}")
    last = found[-1] if found.size else dtype.type(0)
    return np.concatenate([found[:count], np.full(max(0, count - found.size), last, dtype)])


def _completed(values: list[bytes], count: int, default: bytes) -> list[bytes]:
    if len(values) == count:
        return values
    if len(values) < count and count > _MOST_REPEATED_BYTES // 8:  # a pointer each
        raise ValueError(f"{len(values)} values for a tensor of {count}")
    return values[:count] + [values[-1] if values else default] * (count - len(values))


def _object_array(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _split(content: bytes, count: int) -> list[bytes]:
    """The strings of a `tensor_content`: all their lengths as varints, then their bytes."""
    lengths, place = [], 0
    for _ in range(count):
        length, shift = 0, 0
        while True:
            if place == len(content) or shift > 28:
                raise ValueError("the lengths of the strings are cut off")
            byte = content[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(length)
    if place + sum(lengths) != len(content):
        raise ValueError("the strings are not as long as their lengths say")
    values = []
    for length in lengths:
        values.append(content[place : place + length])
        place += length
    return values


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


@cache
def _dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes  # comes with TensorFlow

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
