"""JSON as TensorFlow Serving reads and quotes it: what RapidJSON accepts, and its words for what it does not.

Python's own parser does the work. It knows the bare NaN, Infinity and -Infinity that Serving takes too. What differs is
evened out here: bytes after the first value are ignored, bytes that are not UTF-8 pass through a string untouched
(Python calls that "surrogateescape"), and complaints are those of rapidjson/error/en.h with their offset in bytes.
"""

import json
import re
from typing import Any

from zoo.serving.status import RequestError, invalid

_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_DECODER = json.JSONDecoder()
_PRETTY = json.JSONEncoder(indent=4, ensure_ascii=False)
_QUOTED_BYTES = 256  # Serving cuts the values that it quotes in an error

# Python's complaint begins with … -> RapidJSON's; "Expecting ','" depends on the bracket around it.
_REASONS = {
    "Expecting value": "Invalid value.",
    "Expecting property name": "Missing a name for object member.",
    "Expecting ':'": "Missing a colon after a name of object member.",
    "Unterminated string": "Missing a closing quotation mark in string.",
    "Invalid \\u": "Incorrect hex digit after \\u escape in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid control": "Invalid encoding in string.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
}
_COMMA = {
    "[": "Missing a comma or ] after an array element.",
    "{": "Missing a comma or } after an object member.",
}


def parse(body: bytes) -> dict[str, Any]:
    """Reads a request's body, which must hold a JSON object.

    Strings keep bytes that are not UTF-8 as surrogate escapes; encode them by `utf8`.

    Raises: RequestError (INVALID_ARGUMENT) with Serving's text.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    body = body.removeprefix(_BOM)
    text = body.decode("utf-8", "surrogateescape")
    begin = _SPACE.match(text).end()
    if begin == len(text):
        raise _broken("The document is empty.", begin)
    try:
        value, _ = _DECODER.raw_decode(text, begin)
    except json.JSONDecodeError as error:
        raise _broken(_reason(error), len(utf8(text[: error.pos]))) from None
    except RecursionError:
        raise _broken("Terminate parsing due to Handler error.", 0) from None
    except ValueError:  # an integer of more digits than Python converts
        raise number_too_big() from None
    _check_surrogates(body, value)
    if type(value) is not dict:
        raise invalid(f"JSON Value: {quote(value)} Is not object")
    return value


def utf8(text: str) -> bytes:
    """The bytes of a string that `parse` read, those that are not UTF-8 included."""
    return text.encode("utf-8", "surrogateescape")


def number_too_big() -> RequestError:
    """A number that no double can hold. (RapidJSON knows where it stands; Python's parser does not say.)"""
    return _broken("Number too big to be stored in double.", 0)


def quote(value: Any) -> str:
    """A JSON value as Serving shows it in an error: pretty-printed, and cut."""
    parts, size = [], 0
    for part in _PRETTY.iterencode(value):  # lazily: a value of megabytes costs no more than what is shown
        parts.append(part)
        size += len(part)
        if size > _QUOTED_BYTES:
            break
    shown = "".join(parts).encode("utf-8", "replace")[:_QUOTED_BYTES]
    return shown.decode("utf-8", "ignore")


def _broken(reason: str, offset: int) -> RequestError:
    return invalid(f"JSON Parse error: {reason} at offset: {offset}")


def _reason(error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Expecting ','"):
        return _COMMA[_open_bracket(error.doc[: error.pos])]
    return next(ours for theirs, ours in _REASONS.items() if error.msg.startswith(theirs))


def _open_bracket(text: str) -> str:
    """The innermost bracket that is still open at the end of the text."""
    brackets = [found for found in _BRACKETS.findall(text) if not found.startswith('"')]
    depth = 0
    for bracket in reversed(brackets):
        if bracket in "]}":
            depth += 1
        elif depth:
            depth -= 1
        else:
            return bracket
    raise AssertionError("a comma is missed in brackets only")


def _check_surrogates(body: bytes, value: Any) -> None:
    """Refuses half a surrogate pair, such as "\\ud800" alone, which Python lets pass and no UTF-8 can hold."""
    escape = _SURROGATE.search(body)
    if escape is None:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _broken("The surrogate pair in string is invalid.", escape.start()) from None
