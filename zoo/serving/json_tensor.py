"""The tensors of a predict request in TensorFlow Serving's JSON: `instances` and `inputs` become numpy arrays.

The rules and every text are those of Serving's util/json_tensor.cc. Reading takes two ways: a request in order is
flattened level by level with calls that loop in C; anything else is walked once more, value by value in Serving's
order, only to say what is wrong with it. Data types are named as TensorFlow names them in errors: "float", "int64".
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from zoo.serving.json_text import number_too_big, quote, utf8
from zoo.serving.status import Code, RequestError, invalid

Arrays = dict[str, np.ndarray]

_MOST_DIMENSIONS = 64  # numpy's limit


class _Kind(NamedTuple):
    """How a data type is read: the JSON types that it takes, and the range of an integer.

    Serving reads the small integers as int32 and lets C++ cut them to size: 300 as uint8 is 44, for us too.
    """

    types: frozenset[type]
    read_as: Any
    low: int = 0
    high: int = 0


_INT = frozenset({int})
_NUMBER = frozenset({int, float})
_INT32 = _Kind(_INT, np.int32, -(2**31), 2**31 - 1)
_KINDS = {
    "float": _Kind(_NUMBER, np.float64),
    "double": _Kind(_NUMBER, np.float64),
    "int8": _INT32,
    "uint8": _INT32,
    "int16": _INT32,
    "int32": _INT32,
    "int64": _Kind(_INT, np.int64, -(2**63), 2**63 - 1),
    "uint32": _Kind(_INT, np.uint32, 0, 2**32 - 1),
    "uint64": _Kind(_INT, np.uint64, 0, 2**64 - 1),
    "bool": _Kind(frozenset({bool}), np.bool_),
    "string": _Kind(frozenset({str, dict}), np.object_),
}
_STORED_AS = {"float": np.float32, "int8": np.int8, "uint8": np.uint8, "int16": np.int16}
_TYPE_NAMES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}


def signature_name(request: Mapping[str, Any]) -> str:
    """The signature that a request asks for; "serving_default" where it names none."""
    name = request.get("signature_name", "")
    if type(name) is not str:
        raise invalid(
            f"JSON Value: {quote(request)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name or "serving_default"


def decode(request: Mapping[str, Any], dtypes: Mapping[str, str]) -> tuple[Arrays, bool]:
    """The tensors of a predict request.

    Args:
        request: the parsed body.
        dtypes: name -> data type of each input of the signature, at least one.
    Returns: name -> array, strings as arrays of bytes; and whether it came in row format (`instances`).
    Raises: RequestError with Serving's code and text.
    """
    if "instances" not in request:
        if "inputs" not in request:
            raise invalid("Missing 'inputs' or 'instances' key")
        return _columns(request["inputs"], dtypes), False
    rows = request["instances"]
    if "inputs" in request:
        problem = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
    elif type(rows) is not list:
        problem = "Expecting 'instances' to be an list/array"
    elif not rows:
        problem = "No values in 'instances' array"
    else:
        return _rows(rows, dtypes), True
    raise invalid(f"JSON Value: {quote(request)} {problem}")


def _columns(inputs: Any, dtypes: Mapping[str, str]) -> Arrays:
    if type(inputs) is not dict or is_base64(inputs):
        if len(dtypes) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        inputs = {next(iter(dtypes)): inputs}
    arrays = {}
    for name in sorted(dtypes):
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        array = _array(inputs[name], dtypes[name])
        if array is None:
            _count(inputs[name], dtypes[name], _shape(inputs[name]), 0)
            raise invalid(f"tensor parsing error: {name}")
        arrays[name] = array
    return arrays


def _rows(rows: list[Any], dtypes: Mapping[str, str]) -> Arrays:
    names = dtypes.keys()
    if type(rows[0]) is dict and not is_base64(rows[0]):
        if all(type(row) is dict and row.keys() == names for row in rows):
            columns = {name: [row[name] for row in rows] for name in names}
        else:
            raise _bad_row(rows, dtypes)
    elif type(rows[0]) is not dict and len(names) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    else:
        columns = {min(names): rows}
    arrays = {name: _array(column, dtypes[name]) for name, column in columns.items()}
    if any(array is None for array in arrays.values()):
        raise _bad_row(rows, dtypes)
    return arrays


# ---- the fast way: all at once


def _array(value: Any, dtype: str) -> np.ndarray | None:
    """A value as a tensor, or None where something in it is not as it should be."""
    shape, level = [], [value]
    while type(level[0]) is list:
        if set(map(type, level)) != {list} or len(set(map(len, level))) != 1:
            return None
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))
        if not level:
            break
    kind = _KINDS.get(dtype)
    if kind is None or not kind.types.issuperset(map(type, level)) or len(shape) > _MOST_DIMENSIONS:
        return None
    if dtype == "string":
        return _strings(level, shape)
    if kind.high and level and not (kind.low <= min(level) and max(level) <= kind.high):
        return None
    try:
        array = np.array(level, kind.read_as)
    except OverflowError:
        raise number_too_big() from None
    with np.errstate(over="ignore"):  # a double beyond float's range is infinity, as in C++
        return array.astype(_STORED_AS.get(dtype, kind.read_as), copy=False).reshape(shape)


def _strings(values: Sequence[Any], shape: Sequence[int]) -> np.ndarray | None:
    array = np.empty(len(values), object)
    try:
        array[:] = [utf8(value) if type(value) is str else base64_bytes(value) for value in values]
    except RequestError:
        return None
    return array.reshape(shape)


def is_base64(value: Mapping[str, Any]) -> bool:
    """Whether an object is {"b64": "…"}, bytes, and not a value by name."""
    return value.keys() == {"b64"} and type(value["b64"]) is str


def base64_bytes(value: Mapping[str, Any]) -> bytes:
    """What {"b64": "…"} holds, by the rules of absl: blanks are skipped, padding may be left out, '.' is '='."""
    if not is_base64(value):
        raise invalid(f"JSON Value: {quote(value)} not formatted correctly for base64 data")
    text = re.sub(r"\s+", "", value["b64"]).replace(".", "=")
    if "=" not in text:
        text += "=" * (-len(text) % 4)
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


# ---- the slow way: what is wrong, in Serving's order


def _bad_row(rows: list[Any], dtypes: Mapping[str, str]) -> RequestError:
    """What is wrong with `instances`."""
    sizes: dict[str, tuple[int, list[int]]] = {}
    as_objects = _is_object(rows[0])
    for index, row in enumerate(rows):
        if _is_object(row) != as_objects:
            wanted, got = ("object", "list") if as_objects else ("value/list", "object")
            return invalid(f"Expecting {wanted} but got {got} at item {index} of input list")
        for name, value in row.items() if as_objects else [(min(dtypes), row)]:
            try:
                _add(value, name, dtypes, sizes)
            except RequestError as error:
                key = f" key: {name}" if as_objects else ""
                return invalid(f"Failed to process element: {index}{key} of 'instances' list. Error: {error}")
        if as_objects and row.keys() != dtypes.keys():
            return invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {quote(row)} "
                f"keys must be equal to: {','.join(sorted(dtypes))}"
            )
    return invalid(f"tensor parsing error: {','.join(sorted(dtypes))}")


def _is_object(value: Any) -> bool:
    return type(value) is dict and not is_base64(value)


def _add(value: Any, name: str, dtypes: Mapping[str, str], sizes: dict[str, tuple[int, list[int]]]) -> None:
    """Checks a row's value against the signature and against the first row."""
    if name not in dtypes:
        raise invalid(f"JSON object: does not have named input: {name}")
    shape = _shape(value)
    size = _count(value, dtypes[name], shape, 0)
    first_size, first_shape = sizes.setdefault(name, (size, shape))
    if size != first_size:
        raise invalid(f"Expecting tensor size: {first_size} but got: {size}")
    if shape != first_shape:
        wanted, got = (f"[{','.join(map(str, each))}]" for each in (first_shape, shape))
        raise invalid(f"Expecting shape {wanted} but got: {got}")


def _shape(value: Any) -> list[int]:
    """The shape that the first element of each level promises."""
    shape = []
    while type(value) is list:
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _count(value: Any, dtype: str, shape: list[int], level: int) -> int:
    """Counts the values of a tensor; raises for the first that does not fit."""
    if type(value) is not list:
        if level != len(shape):
            raise invalid(
                f"JSON Value: {quote(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        _check(value, dtype)
        return 1
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    return sum(_count(each, dtype, shape, level + 1) for each in value)


def _check(value: Any, dtype: str) -> None:
    """Raises where a single value cannot be of the data type."""
    kind = _KINDS.get(dtype)
    if kind is None and type(value) is not dict:
        raise RequestError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {quote(value)} to type: {dtype}")
    if kind is not None and type(value) in kind.types and (not kind.high or kind.low <= value <= kind.high):
        if type(value) is dict:
            base64_bytes(value)
        return
    raise invalid(f"JSON Value: {quote(value)} Type: {type_name(value)} is not of expected type: {dtype}")


def type_name(value: Any) -> str:
    """The type of a JSON value as Serving names it in errors: True and False are types of their own in RapidJSON."""
    return _TYPE_NAMES.get(type(value), str(value))
