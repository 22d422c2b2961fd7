"""What a table is: rows that stream, may be read again and again, and say of themselves where they came from."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import UserError, nearest


class Example(NamedTuple):
    """One row: its value in each column of the task, and the place it came from as ``file:line``.

    A value is what the file holds: text in tables of text, and in CoNLL, SQuAD and JSON lines also lists; bytes where
    it is an image.
    """

    values: dict[str, Any]
    place: str


class Table(ABC):
    """Rows that can be read more than once.

    Attributes:
        columns: names of the values in each example.
        files: what the rows are read from (for fingerprints); empty if they are made.
        layout: what else decides the rows, such as names of files where folders are labels (for fingerprints).
        rows: how many there are, as far as known before reading; None if not.
    """

    columns: tuple[str, ...]
    files: tuple[Path, ...] = ()
    layout: tuple[str, ...] = ()
    rows: int | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[Example]:
        """Read from the first row on. UserError names the place of what cannot be read."""


def known_column(name: str, known: Collection[str], where: str) -> str:
    """`name`, if it is among the known ones; else the UserError that lists what there is."""
    if name not in known:
        raise UserError(f'no column "{name}". There are: {", ".join(known)}.{nearest(name, known)}', where=where)
    return name
