"""The values of recipes: checked against type annotations, written as TOML."""

import json
import re
import types
import typing
from functools import cache
from typing import Any


class Mismatch(Exception):
    """A value is not of the annotated type."""


@cache
def types_of(kind: type) -> dict[str, Any]:
    """The annotations of a dataclass, with those given as strings resolved."""
    return typing.get_type_hints(kind)


def convert(value: Any, kind: Any) -> Any:
    """Returns a TOML value as the annotated type.

    Known types: bool, int, float (an int will do), str, None, list[X], tuple[X, ...], dict[str, X], Any, and unions.

    Raises: Mismatch.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _convert_to_one_of(value, arguments)
    if origin is dict and isinstance(value, dict):
        return {key: convert(item, arguments[1]) for key, item in value.items()}
    if origin is list and isinstance(value, list):
        return [convert(item, arguments[0]) for item in value]
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(convert(item, arguments[0]) for item in value)
    if kind is float and type(value) is int:
        return float(value)
    if kind is Any or (isinstance(kind, type) and origin is None and type(value) is kind):  # a bool is no int here
        return value
    raise Mismatch


def _convert_to_one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    for kind in sorted(kinds, key=lambda kind: kind is not type(value)):  # int before float for 3 in int | float
        try:
            return convert(value, kind)
        except Mismatch:
            continue
    raise Mismatch


def name_of(kind: Any) -> str:
    """The type as the user reads it: "int", "text or table"."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(name_of(each) for each in arguments if each is not types.NoneType)
    if origin in (list, tuple):
        return f"list of {name_of(arguments[0])}"
    if origin is dict:
        return "table"
    return {str: "text", bool: "true or false", int: "int", float: "number"}.get(kind, "value")


def to_toml(value: Any) -> str:
    """A value written as TOML on one line; None, which TOML does not have, as "none"."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, dict):
        pairs = [f"{_key(key)} = {to_toml(item)}" for key, item in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return str(value)  # numbers, and the dates that TOML knows


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else to_toml(key)
