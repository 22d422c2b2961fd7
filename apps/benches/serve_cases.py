"""Wild requests by kind: a function of chance each, which makes one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from apps.benches.serve_process import TRIVIAL

PATH = f"/v1/models/{TRIVIAL}:predict"
GOOD = {"instances": [1.0, 2.0, 5.0]}


class Case(NamedTuple):
    """What a client does.

    Attributes:
        parts: bytes to send …
        pause: … with so many seconds after each.
        half_close: whether it says that no more will come.
        leaves: whether it goes without waiting for an answer.
    """

    parts: list[bytes]
    pause: float = 0.0
    half_close: bool = False
    leaves: bool = False


def post(body: bytes, path: str = PATH, headers: str = "", length: int | None = None) -> bytes:
    """A POST as bytes; `length` is what it says of itself."""
    size = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


def _json(value: object) -> Case:
    return Case([post(json.dumps(value).encode())])


def truncated(chance: Random) -> Case:
    """JSON cut anywhere."""
    body = json.dumps({**GOOD, "signature_name": "serving_default"}).encode()
    return Case([post(body[: chance.randrange(len(body))])])


def deep(chance: Random) -> Case:
    """JSON within JSON, up to a hundred thousand levels, closed or not."""
    levels = 10 ** chance.randint(1, 5)
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}"), ('[{"b64":', "}]")])
    body = opening * levels + "1" + (closing * levels if chance.random() < 0.5 else "")
    return Case([post(f'{{"instances": {body}}}'.encode())])


def wrong_type(chance: Random) -> Case:
    """Values and keys of other types than the signature's."""
    values = [None, True, "x", {}, {"b64": "AA=="}, [], [[]], {"x": "y"}, {"z": 1}, -1, 0.5, "𝄞", {"x": {"b64": 3}}]
    value = [chance.choice(values) for _ in range(chance.randint(0, 4))]
    key = chance.choice(["instances", "inputs", "x", "signature_name", ""])
    return _json(chance.choice([{key: value}, {key: chance.choice(values)}, value, {"inputs": {"x": value, "q": 1}}]))


def wrong_shape(chance: Random) -> Case:
    """Nested lists, uneven, empty, or with rows that are none."""

    def nested(depth: int) -> object:
        if depth == 0 or chance.random() < 0.2:
            return chance.random()
        return [nested(depth - 1) for _ in range(chance.randint(0, 3))]

    return _json({chance.choice(["instances", "inputs"]): nested(chance.randint(0, 8))})


def huge_number(chance: Random) -> Case:
    """Numbers of thousands of digits, and exponents."""
    digits = "9" * chance.choice([20, 400, 5_000, 50_000])
    number = chance.choice(
        [digits, f"-{digits}", f"1e{digits[:9]}", f"0.{digits}", f"1E-{digits[:12]}", "NaN", "-Infinity"]
    )
    return Case([post(f'{{"instances": [{number}]}}'.encode())])


def bad_base64(chance: Random) -> Case:
    """Base64 that is none."""
    text = "".join(chance.choice("AZaz09+/=-_ \u00e9") for _ in range(chance.randint(0, 40)))
    return _json({"instances": [{"b64": text}]})


def bad_utf8(chance: Random) -> Case:
    """Random bytes within JSON, and lone surrogates."""
    junk = chance.choice([chance.randbytes(chance.randint(1, 40)), b"\\ud800", b"\xed\xa0\x80", b"\xff\xfe", b"\x00"])
    where = chance.choice(
        [b'{"instances": ["%s"]}', b'{"%s": 1}', b'{"signature_name": "%s", "instances": [1]}', b"%s"]
    )
    return Case([post(where % junk)])


def half_closed(chance: Random) -> Case:
    """A request that ends before its end: the client says so, or goes."""
    whole = post(json.dumps(GOOD).encode())
    part = whole[: chance.randrange(1, len(whole))]
    leaves = chance.random() < 0.5
    return Case([part], half_close=not leaves, leaves=leaves)


def slow(chance: Random) -> Case:
    """A body in drops; sometimes the last ones come too late, or the headers never end."""
    whole = post(json.dumps(GOOD).encode())
    head, body = whole.split(b"\r\n\r\n")
    if chance.random() < 0.3:
        return Case([whole[: chance.randrange(1, len(head))]], pause=0.3, half_close=True)
    cut = sorted(chance.randrange(len(body)) for _ in range(3))
    drops = [body[a:b] for a, b in zip([0, *cut], [*cut, len(body)], strict=True)]
    late = chance.random() < 0.2  # than the server waits
    return Case([head + b"\r\n\r\n", *drops[: 2 if late else None]], pause=0.05)


def wrong_content_type(chance: Random) -> Case:
    """Headers that do not fit the body, or nothing."""
    kind = chance.choice(
        ["text/plain", "multipart/form-data; boundary=x", "application/x-protobuf", "", "\u00ff/\u00ff"]
    )
    more = chance.choice(["", "Content-Encoding: br\r\n", "Content-Encoding: deflate\r\n", "Accept: image/png\r\n"])
    return Case([post(json.dumps(GOOD).encode(), headers=f"Content-Type: {kind}\r\n{more}")])


def gzip_bomb(chance: Random) -> Case:
    """Gzip that grows a thousandfold, is cut, or is none."""
    bomb = _BOMBS.setdefault(size := chance.choice([1, 20, 110]), gzip.compress(b" " * (size * 2**20), mtime=0))
    body = chance.choice(
        [bomb, bomb[: chance.randrange(len(bomb))], chance.randbytes(100), gzip.compress(bomb, mtime=0)]
    )
    return Case([post(body, headers="Content-Encoding: gzip\r\n")])


_BOMBS: dict[int, bytes] = {}


def oversized(chance: Random) -> Case:
    """A body over the server's limit, whole, in chunks, or only announced."""
    size = chance.choice([2**20 + 1, 2 * 2**20])
    way = chance.randrange(3)
    if way == 0:
        return Case([post(b"[" + b"1," * (size // 2))])
    if way == 1:
        chunks = [b"10000\r\n" + b"1" * 65536 + b"\r\n"] * 20
        return Case(
            [f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), *chunks, b"0\r\n\r\n"]
        )
    return Case([post(b"{", length=10 ** chance.randint(9, 30))], half_close=True)


def wild_http(chance: Random) -> Case:
    """Methods, paths and headers that are none, or not the API's."""
    method = chance.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW", "get"])
    pieces = [
        "/v1/models/",
        TRIVIAL,
        "/versions/",
        "/labels/",
        "9" * 30,
        ":predict",
        ":classify",
        "%00",
        "%ff",
        "..",
        "//",
        "?a=b",
    ]
    path = "/" + "".join(chance.choice(pieces) for _ in range(chance.randint(0, 6))).lstrip("/")
    headers = chance.choice(
        ["", f"X: {'a' * 100_000}\r\n", "Content-Length: -1\r\n", "Content-Length: x\r\n", "\x01: 2\r\n"]
    )
    line = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
    return Case([chance.choice([line.encode("latin-1"), chance.randbytes(60) + b"\r\n\r\n"])], half_close=True)


KINDS: dict[str, Callable[[Random], Case]] = {
    each.__name__: each
    for each in (
        truncated,
        deep,
        wrong_type,
        wrong_shape,
        huge_number,
        bad_base64,
        bad_utf8,
        half_closed,
        slow,
        wrong_content_type,
        gzip_bomb,
        oversized,
        wild_http,
    )
}  # fmt: skip
