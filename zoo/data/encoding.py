"""Encoding of rows in chunks, here or in worker processes, into flat arrays that are cheap to send and to append."""

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from zoo.data.readers import Example
from zoo.errors import UserError

ROWS_AT_ONCE = 256  # a few dozen milliseconds of tokenizing; for images, some dozen megabytes
CHUNKS_AHEAD = 3  # per worker: enough to keep it busy, few enough to hold little in memory

Row = Mapping[str, Any]
Encode = Callable[[dict[str, Any]], Row | Sequence[Row]]
LengthOf = Callable[[Mapping[str, Any]], tuple[int, ...]]
Keep = Callable[[Mapping[str, Any], Mapping[str, Any]], str | None]


class Field(NamedTuple):
    """A field of all rows. kind: array (any length), scalar, bytes or str; dtype: of the stored values."""

    name: str
    kind: str
    dtype: str


class Chunk(NamedTuple):
    """Some encoded rows.

    fields, values, counts: for each field its kind, all values one after the other, and how many of them belong to
        each row, int64 [rows] (scalars: one each). Empty where no row was kept.
    lengths: int32 [rows, sides].
    dropped: how many rows were left out, by reason.
    examples: how many the rows, kept or not, were made of.
    """

    fields: list[Field]
    values: list[np.ndarray]
    counts: list[np.ndarray]
    lengths: np.ndarray
    dropped: Counter[str]
    examples: int


class Encoder:
    """Makes a chunk of some examples; picklable if its functions are. See `zoo.data.prepared.prepare`."""

    def __init__(self, encode: Encode, length_of: LengthOf, keep: Keep | None) -> None:
        self.encode = encode
        self.length_of = length_of
        self.keep = keep

    def __call__(self, examples: Sequence[Example]) -> Chunk:
        rows: list[Row] = []
        lengths: list[tuple[int, ...]] = []
        dropped: Counter[str] = Counter()
        fields: list[Field] = []
        for values, place in examples:
            try:
                made = self.encode(values)
            except UserError as error:
                raise UserError(error.problem, where=error.where or place, remedy=error.remedy) from error
            for row in [made] if isinstance(made, Mapping) else made:
                reason = self.keep(values, row) if self.keep else None
                if reason is not None:
                    dropped[reason] += 1
                    continue
                described = [_describe(name, value) for name, value in row.items()]
                fields = fields or described
                if described != fields:
                    raise TypeError(f"{place}: every row must have the same fields: {described} after {fields}")
                rows.append(row)
                lengths.append(self.length_of(row))
        flat = [_flatten([row[field.name] for row in rows], field) for field in fields]
        sides = np.array(lengths, np.int32) if rows else np.zeros((0, 0), np.int32)
        stored, counts = [each for each, _ in flat], [each for _, each in flat]
        return Chunk(fields, stored, counts, sides, dropped, len(examples))


def _describe(name: str, value: Any) -> Field:
    if isinstance(value, bytes | str):
        return Field(name, type(value).__name__, "|u1")
    array = np.asarray(value)
    if array.ndim > 1 or array.dtype.hasobject:
        raise TypeError(f'field "{name}" must be a number, a one-dimensional array, bytes or str: {value!r:.80}')
    return Field(name, "array" if array.ndim else "scalar", array.dtype.str)


def _flatten(values: list[Any], field: Field) -> tuple[np.ndarray, np.ndarray]:
    if field.kind == "scalar":
        return np.array(values, field.dtype), np.ones(len(values), np.int64)
    if field.kind == "str":
        values = [value.encode() for value in values]
    counts = np.array([len(value) for value in values], np.int64)
    if field.kind == "array":
        return np.concatenate(values, dtype=field.dtype), counts
    return np.frombuffer(b"".join(values), np.uint8), counts


def chunks_of(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """The examples in lists of `ROWS_AT_ONCE`."""
    examples = iter(examples)
    while chunk := list(islice(examples, ROWS_AT_ONCE)):
        yield chunk


def in_processes(encoder: Encoder, chunks: Iterable[list[Example]], workers: int) -> Iterator[Chunk]:
    """``map(encoder, chunks)`` in worker processes: the same chunks in the same order, few of them in memory at once.

    The processes are started afresh (not forked: threads of TensorFlow or JAX do not survive a fork).
    """
    chunks = iter(chunks)
    first = next(chunks, None)
    if first is None:
        return  # nothing left to do is no reason to start processes
    pending: deque[Future[Chunk]] = deque()
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (encoder,)) as pool:
        try:
            pending.append(pool.submit(_encode, first))
            for chunk in chunks:
                pending.append(pool.submit(_encode, chunk))
                if len(pending) > workers * CHUNKS_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_encoder: Encoder  # of a worker process: sent once, since it may hold a whole vocabulary


def _begin(encoder: Encoder) -> None:
    """First thing in a worker process: keep the encoder, leave Ctrl-C to the parent, and end when the parent does."""
    global _encoder
    _encoder = encoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent_process().join()  # it returns only if the parent was killed: else the pool ends its workers itself
    os._exit(1)


def _encode(examples: list[Example]) -> Chunk:
    return _encoder(examples)
