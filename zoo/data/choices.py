"""The [data] section that every task has, and the tables that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from zoo.data import registry
from zoo.data.readers import Example, Table, open_table
from zoo.errors import UserError
from zoo.recipe import option


@dataclass(frozen=True)
class DataChoices:
    """Where the examples come from. Either a known set and its splits, or the user's files.

    Attributes:
        kept_by: the column of the task that decides which rows are kept back for validation; empty: its first.
    """

    kept_by: ClassVar[str] = ""

    set: str = option("", "a known data set; train, validation and test are then names of its splits")
    train: str | dict[str, str] = option("", "training examples: a table, or a file for each column, or a split")
    validation: str | dict[str, str] = option("", "what choices are made on; empty: kept back from train")
    test: str | dict[str, str] = option("", "what is scored at the end; may be empty")
    columns: dict[str, str] = option({}, "for each column of the task, its name in the data (default: its own name)")
    validation_share: float = option(0.02, "share of train that is kept back for validation", low=0.0, high=0.5)
    workers: int = option(1, "processes that prepare the data", low=1)


def open_part(choices: DataChoices, part: str, columns: tuple[str, ...]) -> Table | None:
    """The table of "train", "validation" or "test", with the task's columns; None where there is none.

    Where no validation is given, every example of train belongs to one of the two by the hash of a column (see
    `DataChoices.kept_by`), so that equal inputs never stand on both sides.
    """
    named = {column: choices.columns.get(column, column) for column in columns}
    if part in ("train", "validation") and not choices.validation:
        whole, by = _open(choices, choices.train, named), choices.kept_by or columns[0]
        return Kept(whole, by, choices.validation_share, validation=part == "validation")
    value = getattr(choices, part)
    return _open(choices, value, named) if value else None


def _open(choices: DataChoices, value: str | dict[str, str], columns: dict[str, str]) -> Table:
    if not value:
        raise UserError("no training data is named", where="[data] train", remedy="Name a file, or a set and a split.")
    if not choices.set:
        return open_table(value, columns)
    if not isinstance(value, str):
        raise UserError("with a set, parts are names of its splits, not files", where="[data] set")
    return registry.load(choices.set, value, columns)


class Kept(Table):
    """The part of a table that is, or is not, kept back for validation."""

    def __init__(self, table: Table, by: str, share: float, validation: bool) -> None:
        self.table, self.by, self.share, self.validation = table, by, share, validation
        self.columns, self.files, self.layout = table.columns, table.files, table.layout

    def __iter__(self) -> Iterator[Example]:
        for example in self.table:
            digest = hashlib.sha256(str(example.values[self.by]).encode()).digest()
            if (int.from_bytes(digest[:8]) < self.share * 2**64) == self.validation:
                yield example
