"""Prepared data: every row encoded once, memory-mapped, under a fingerprint of what it was made from.

A prepared folder holds, for each field of the rows, one flat file of all values and one of offsets, the lengths of all
rows, and an index. It is written as the rows stream by, so a corpus may be larger than memory; it appears whole under
its name or not at all; the same fingerprint is loaded and not made again.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from zoo.data.encoding import Chunk, Encode, Encoder, Field, Keep, LengthOf, chunks_of, in_processes
from zoo.data.readers import Table
from zoo.errors import UserError
from zoo.progress import say, track

CODE_VERSION = 1  # raise it when the same input would be prepared differently: every fingerprint changes with it
INDEX = "index.json"
LENGTHS = "lengths"
FILES_SHOWN = 4  # in an error: a table of images may have as many files as rows
ROWS_BEFORE_WORKERS = 20_000  # starting processes costs a second or two: small tables end before that pays


def fingerprint_of(files: Iterable[str | Path], *parts: str) -> str:
    """Fingerprint of what prepared data depends on: content of the files, further parts, version of the code.

    Args:
        files: the files read; their content counts (size and SHA-256), not their names.
        parts: whatever else the result depends on, such as the preprocessor's hash and the choices of length.

    Returns: 16 hexadecimal digits.
    """
    whole = hashlib.sha256(f"prepared {CODE_VERSION}".encode())
    for path in files:
        with open(path, "rb") as file:
            whole.update(f"\0file {os.path.getsize(path)} ".encode() + hashlib.file_digest(file, "sha256").digest())
    for part in parts:
        whole.update(b"\0part " + hashlib.sha256(part.encode()).digest())
    return whole.hexdigest()[:16]


class Prepared:
    """Rows on disk, read by number without copying them into memory first.

    Attributes:
        lengths: int32 [rows, sides], an upper bound of each row's length on each side.
        dropped: how many rows were left out, by reason.
        examples: how many were read; one may have become several rows.
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self.folder = folder
        self.dropped: dict[str, int] = index["dropped"]
        self._rows: int = index["rows"]
        self.examples: int = index.get("examples", index["rows"])  # what an older zoo prepared does not tell them
        self._fields = [Field(*field) for field in index["fields"]]
        self._values = [_map(folder / _values_name(field), field.dtype) for field in self._fields]
        self._offsets = [
            None if field.kind == "scalar" else _map(folder / _offsets_name(field), "=i8") for field in self._fields
        ]
        self.lengths = _map(folder / LENGTHS, "=i4").reshape(self._rows, index["sides"])

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> dict[str, Any]:
        """The fields of a row: arrays are read-only views of the file; scalars, bytes and str are copies."""
        if not 0 <= row < self._rows:
            raise IndexError(f"row {row} of {self._rows}")
        out: dict[str, Any] = {}
        for field, values, offsets in zip(self._fields, self._values, self._offsets, strict=True):
            if offsets is None:
                out[field.name] = values[row]
                continue
            value = values[offsets[row] : offsets[row + 1]]
            if field.kind == "array":
                out[field.name] = value
            else:
                out[field.name] = value.tobytes() if field.kind == "bytes" else value.tobytes().decode()
        return out

    def __reduce__(self) -> tuple[type["Prepared"], tuple[Path]]:
        return Prepared, (self.folder,)  # another process maps the files itself


def prepare(
    table: Table,
    encode: Encode,
    length_of: LengthOf,
    folder: Path,
    fingerprint: str,
    *,
    keep: Keep | None = None,
    workers: int = 1,
    description: str = "preparing",
) -> Prepared:
    """Encode every row of a table into ``folder/fingerprint``, or load what is there already.

    Args:
        table: the rows.
        encode: values of a row -> fields: one-dimensional arrays, numbers, bytes or str; the same fields, of the same
            types, for each row. A list of such, where one example becomes several rows. It must be a pure function of
            the values.
        length_of: fields of a row -> upper bound of its length on each side (for the batch plan).
        folder: where prepared data are kept.
        fingerprint: of all that the result depends on; see `fingerprint_of`.
        keep: (values, fields) -> None, or the reason why the row is left out, which is then counted.
        workers: processes that encode, once a table proves large; the order of rows does not depend on it. With
            more than one, `encode`, `length_of` and `keep` must be picklable.
        description: what the progress bar says.

    UserError if no row is left, with the reasons; if the disk is full; if a row cannot be read or encoded.
    """
    target = folder / fingerprint
    if _is_whole(target):
        return Prepared(target)
    partial = folder / f"{fingerprint}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder / f"{fingerprint}.lock"):
            if not _is_whole(target):  # another process may have made it meanwhile
                shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
                shutil.rmtree(target, ignore_errors=True)
                partial.mkdir()
                try:
                    _write(partial, table, Encoder(encode, length_of, keep), workers, description)
                    partial.rename(target)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror})",
            where=str(folder),
            remedy="Free space there, or name another folder.",
        ) from error
    return Prepared(target)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """One process at a time: of several that train together, one prepares, the others wait. A killed one lets go."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that prepares {path.stem}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(folder: Path, table: Table, encoder: Encoder, workers: int, description: str) -> None:
    examples = iter(table)
    encoded = map(encoder, chunks_of(islice(examples, ROWS_BEFORE_WORKERS)))
    rest = in_processes(encoder, chunks_of(examples), workers) if workers > 1 else map(encoder, chunks_of(examples))
    with track(description, total=table.rows) as progress, _Writer(folder) as writer:
        for chunk in chain(encoded, rest):
            writer.append(chunk)
            progress.advance(chunk.examples)
    if not writer.rows:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in writer.dropped.most_common())
        raise UserError(
            f"no row is left ({left_out or 'the table has none'})",
            where=", ".join(map(str, table.files[:FILES_SHOWN])) or description,
            remedy="Loosen the limits of length, or look at the files: are the columns the right ones?",
        )


class _Writer:
    """Appends chunks to the files of a prepared folder, and writes the index when all went well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = 0
        self.examples = 0
        self.dropped: Counter[str] = Counter()
        self._fields: list[Field] = []
        self._ends: list[int] = []  # for each field, where its next row begins
        self._sides = 0
        self._files: dict[str, IO[bytes]] = {}

    def append(self, chunk: Chunk) -> None:
        self.examples += chunk.examples
        self.dropped.update(chunk.dropped)
        if not chunk.fields:
            return
        if not self._fields:
            self._begin(chunk)
        if (chunk.fields, chunk.lengths.shape[1]) != (self._fields, self._sides):
            raise TypeError(f"every row must have the same fields: {chunk.fields} after {self._fields}")
        for number, field in enumerate(self._fields):
            self._files[_values_name(field)].write(chunk.values[number].tobytes())
            if field.kind != "scalar":
                ends = self._ends[number] + np.cumsum(chunk.counts[number])
                self._files[_offsets_name(field)].write(ends.tobytes())
                self._ends[number] = int(ends[-1])
        self._files[LENGTHS].write(chunk.lengths.tobytes())
        self.rows += len(chunk.lengths)

    def _begin(self, chunk: Chunk) -> None:
        self._fields, self._sides = chunk.fields, chunk.lengths.shape[1]
        self._ends = [0] * len(chunk.fields)
        for name in _file_names(chunk.fields):
            self._files[name] = (self.folder / name).open("wb")
        for field in chunk.fields:
            if field.kind != "scalar":
                self._files[_offsets_name(field)].write(np.zeros(1, np.int64).tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for file in self._files.values():
            file.close()
        if kind is None:
            sizes = {name: (self.folder / name).stat().st_size for name in self._files}
            index = {
                "rows": self.rows,
                "examples": self.examples,
                "sides": self._sides,
                "fields": self._fields,
                "dropped": dict(self.dropped),
                "sizes": sizes,
            }
            (self.folder / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _values_name(field: Field) -> str:
    return f"{field.name}.values"


def _offsets_name(field: Field) -> str:
    return f"{field.name}.offsets"


def _file_names(fields: list[Field]) -> list[str]:
    """All files of a prepared folder but the index."""
    offsets = [_offsets_name(field) for field in fields if field.kind != "scalar"]
    return [*map(_values_name, fields), *offsets, LENGTHS]


def _is_whole(folder: Path) -> bool:
    """Is there a prepared folder with all that its index lists? (Power may fail before every byte is on the disk.)"""
    try:
        sizes = json.loads((folder / INDEX).read_text(encoding="utf-8"))["sizes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def _map(path: Path, dtype: str) -> np.ndarray:
    """The file as an array that is read as it is used. (A plain array: slicing np.memmap itself costs five times.)"""
    if not path.stat().st_size:
        return np.zeros(0, dtype)  # an empty file cannot be mapped
    return np.memmap(path, dtype, mode="r").view(np.ndarray)
