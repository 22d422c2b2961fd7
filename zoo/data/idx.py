"""Images and labels in idx files, as MNIST and its family come (http://yann.lecun.com/exdb/mnist), plain or compressed.

An idx file is a header, big-endian, and values without gaps: two zeros, the type (8: unsigned byte), the number of
dimensions, and each of them as 32 bits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, repeat
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.images import IMAGE, LABEL, encode_png
from zoo.data.tables import Example, Table, known_column
from zoo.data.textfiles import chunks, open_bytes
from zoo.errors import UserError

NAME = re.compile(r"[-._]idx\d-ubyte(\.gz|\.bz2|\.xz)?$", re.IGNORECASE)
UNSIGNED_BYTE = 8
WANTED = {3: "images have 3: number, height, width", 1: "labels have 1"}


def is_idx(path: str | Path) -> bool:
    """Is it an idx file, by its name, such as train-images-idx3-ubyte.gz?"""
    return NAME.search(Path(path).name) is not None


class Idx(Table):
    """Grey images of an idx file as PNG bytes, and their labels of another. A row's place is ``images:row``, from 1.

    Args:
        images: the file of images, 3 dimensions.
        labels: the file of labels, 1 dimension; None where no column wants them.
        columns: for each column of the task, "image" or "label".
        names: of the labels; without them, a label is its number as text.
        first, end: the rows to give, from 0; end None: to the last.

    Raises: UserError, after one look through both, for what is not idx, is cut off or too long, for counts that differ,
        and for a label without a name.
    """

    def __init__(
        self,
        images: Path,
        labels: Path | None,
        columns: Mapping[str, str],
        names: Sequence[str] = (),
        first: int = 0,
        end: int | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self._wanted = {column: known_column(name, (IMAGE, LABEL), str(images)) for column, name in columns.items()}
        labelled = LABEL in self._wanted.values()
        if labelled and labels is None:
            raise UserError(
                "labels are wanted, and this file has none",
                where=str(images),
                remedy='Name both files: train = { image = "…-images-idx3-ubyte", label = "…-labels-idx1-ubyte" }.',
            )
        self.files = (images, labels) if labelled else (images,)
        count, *self._shape = _survey(images, 3)
        if labelled:
            (labels_count,) = _survey(labels, 1)
            if labels_count != count:
                raise UserError(f"{labels_count:,} labels for {count:,} images", where=f"{labels} and {images}")
        self._first, self._end, self._label_names = first, count if end is None else end, tuple(names)
        self.rows = self._end - self._first
        if labelled and names:
            self._check_labels()

    def __iter__(self) -> Iterator[Example]:
        images: Iterator[bytes] = repeat(b"")
        labels: Iterator[bytes] = repeat(b"")
        if IMAGE in self._wanted.values():
            images = _values(self.files[0], 3, prod(self._shape), self._first, self._end)
        if LABEL in self._wanted.values():
            labels = _values(self.files[1], 1, 1, self._first, self._end)
        for number, image, label in zip(range(self._first, self._end), images, labels, strict=False):
            found: dict[str, Any] = {}
            for column, wanted in self._wanted.items():
                found[column] = self._png(image) if wanted == IMAGE else self._name(label[0])
            yield Example(found, f"{self.files[0]}:{number + 1}")

    def _png(self, image: bytes) -> bytes:
        return encode_png(np.frombuffer(image, np.uint8).reshape(self._shape))

    def _name(self, label: int) -> str:
        return self._label_names[label] if self._label_names else str(label)

    def _check_labels(self) -> None:
        for row, label in enumerate(_values(self.files[1], 1, 1, 0, None), 1):
            if label[0] >= len(self._label_names):
                raise UserError(
                    f"label {label[0]}, and there are names for {len(self._label_names)}",
                    where=f"{self.files[1]}:{row}",
                )


def open_idx(files: Mapping[str, Path]) -> Idx:
    """The idx files that are given for the columns "image" and "label", or for the first alone."""
    for column in files:
        known_column(column, (IMAGE, LABEL), "idx files")
    if IMAGE not in files:
        raise UserError("idx files of images are needed", where=str(files[LABEL]))
    return Idx(files[IMAGE], files.get(LABEL), {column: column for column in files})


def _survey(path: Path, dimensions: int) -> tuple[int, ...]:
    """The dimensions of an idx file, after one look through it. UserError where it is not what is wanted."""
    length, start = 0, b""
    for chunk in chunks(path):
        length += len(chunk)
        start = start if len(start) >= _header(dimensions) else start + chunk[: _header(dimensions)]
    if not length:
        raise UserError("the file is empty", where=str(path))
    if start[:3] != bytes((0, 0, UNSIGNED_BYTE)):
        packed = " (this is gzip: its name should end in .gz)" if start[:2] == b"\x1f\x8b" else ""
        raise UserError(f"not an idx file of bytes: it begins with {start[:4].hex(' ')}{packed}", where=str(path))
    if start[3:4] != bytes((dimensions,)):
        raise UserError(f"{start[3] if len(start) > 3 else 0} dimensions; {WANTED[dimensions]}", where=str(path))
    if length < _header(dimensions):
        raise UserError("the file ends within its header", where=str(path))
    shape = struct.unpack_from(f">{dimensions}I", start, 4)
    if not prod(shape):
        raise UserError(f"there is nothing in it: {' x '.join(map(str, shape))}", where=str(path))
    expected = _header(dimensions) + prod(shape)
    if length != expected:
        raise UserError(
            f"{length:,} bytes where {expected:,} are expected for {' x '.join(map(str, shape))}", where=str(path)
        )
    return shape


def _header(dimensions: int) -> int:
    return 4 + 4 * dimensions


def _values(path: Path, dimensions: int, size: int, first: int, end: int | None) -> Iterator[bytes]:
    """Pieces of `size` bytes each, from the first to before the end."""
    with open_bytes(path) as file:
        file.seek(_header(dimensions) + first * size)
        yield from islice(iter(lambda: file.read(size), b""), None if end is None else end - first)
