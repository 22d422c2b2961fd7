"""Sets whose splits are one file each: what they share is written here, so that a set says only what is its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from zoo.data.readers import open_table
from zoo.data.registry import About
from zoo.data.sets.files import PublicFile, obtain
from zoo.data.tables import Example, Table

SELECTION_SHARE, SELECTION_LEAST = 0.05, 200  # of the rows of train


def selection_begins(rows: int) -> int:
    """The row of train from which on rows are held back as "select"."""
    return rows - max(round(rows * SELECTION_SHARE), SELECTION_LEAST)


def carved_rows(train: int, test: int) -> dict[str, tuple[int, int]]:
    """First row and end of each split, of the file of train or that of test, for sets with so many rows."""
    border = selection_begins(train)
    return {"train": (0, border), "select": (border, train), "train_all": (0, train), "test": (0, test)}


@dataclass(frozen=True)
class Part:
    """The file of a split.

    Attributes:
        name: of the file, as its home names it.
        sha256: of its uncompressed bytes.
        columns: for each column of the set, its name in the file; several names are joined by a blank.
        ending: what tells the format, where the file's own name does not; ".txt" is a text a line.
        url: its public home; empty where there is none of these very bytes.
    """

    name: str
    sha256: str
    columns: Mapping[str, str | tuple[str, ...]]
    ending: str = ""
    url: str = ""


@dataclass(frozen=True)
class TableSet:
    """A set as `zoo.data.registry` wants it, made of one table a split.

    Where `carved`, there is no split that choices may be made on beside the one that is reported. Then the last 5 % of
    the training rows, at least 200, are held back: "train" is without them, "select" is them, "train_all" has all.

    Attributes:
        about: licence, home and description.
        folder: below ZOO_DATA and the cache.
        columns: of every split.
        parts: the files, by split, "train" first.
        carved: see above.
        names: for columns of codes, what each code means; rows have the meaning.
    """

    about: About
    folder: str
    columns: tuple[str, ...]
    parts: Mapping[str, Part]
    carved: bool = False
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        others = tuple(split for split in self.parts if split != "train")
        return ("train", *(("select", "train_all") if self.carved else ()), *others)

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split; `columns` maps columns of the task to columns of the set."""
        part = self.parts["train" if split in ("select", "train_all") else split]
        fields = {column: part.columns[name] for column, name in columns.items()}
        named = {column: (names,) if isinstance(names, str) else names for column, names in fields.items()}
        path = obtain(PublicFile(part.name, part.url, part.sha256), self.folder, self.about)
        flat = {name: name for names in named.values() for name in names}
        lines = {name: path for name in flat} if part.ending == ".txt" else path
        whole = open_table(lines, flat, part.ending)
        meanings = {column: self.names[name] for column, name in columns.items() if name in self.names}
        start, end = self._bounds(split, whole.rows)
        return _SetTable(whole, named, meanings, start, end)

    def _bounds(self, split: str, rows: int | None) -> tuple[int, int | None]:
        """Where the rows of a split begin and end in its file; end None: all that there are."""
        if not self.carved or split not in ("train", "select"):
            return 0, rows
        border = selection_begins(rows)
        return (0, border) if split == "train" else (border, rows)

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the rows themselves."""
        return None


class _SetTable(Table):
    """Some rows of a table, their fields put together and their codes put into words."""

    def __init__(
        self,
        table: Table,
        fields: Mapping[str, tuple[str, ...]],
        meanings: Mapping[str, Mapping[str, str]],
        start: int,
        end: int | None,
    ) -> None:
        self.columns = tuple(fields)
        self.files = table.files
        self.rows = None if end is None else end - start
        self._table, self._fields, self._meanings = table, fields, meanings
        self._start, self._end = start, end

    def __iter__(self) -> Iterator[Example]:
        for values, place in islice(self._table, self._start, self._end):
            row = {
                column: values[names[0]] if len(names) == 1 else " ".join(values[name] for name in names)
                for column, names in self._fields.items()
            }
            for column, meaning in self._meanings.items():
                row[column] = meaning[row[column]]
            yield Example(row, place)


class EveryNth(Table):
    """The rows of a table that are held back for choices, every nth, or the others.

    For tables whose rows are sorted by class, so that their end is no sample of them.

    Args:
        table: whose rows are known.
        nth: of the rows, the last of so many is held back.
        held: the rows that are held back; else the others.
    """

    def __init__(self, table: Table, nth: int, held: bool) -> None:
        self.columns, self.files, self.layout = table.columns, table.files, table.layout
        self.rows = table.rows // nth if held else table.rows - table.rows // nth
        self._table, self._nth, self._held = table, nth, held

    def __iter__(self) -> Iterator[Example]:
        for number, example in enumerate(self._table, 1):
            if (number % self._nth == 0) == self._held:
                yield example
