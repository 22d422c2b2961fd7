"""Tables of examples: line-aligned text files, TSV, CSV, JSON lines, CoNLL columns and SQuAD's JSON, plain or
compressed (.gz, .bz2, .xz); with a column "image" also class folders, archives and idx files.

A table streams (all but SQuAD's, which is one piece of JSON): it never holds more than one row, may be read again and
again, and says of every example where it came from, so that each complaint can name file and line.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.data.archives import is_archive
from zoo.data.conll import Conll
from zoo.data.idx import Idx, is_idx, open_idx
from zoo.data.images import IMAGE, ClassFolders, ImagePaths
from zoo.data.squad import Squad
from zoo.data.tables import Example, Table, known_column
from zoo.data.textfiles import format_of, read_lines, survey
from zoo.data.voc import BOXES, Voc
from zoo.errors import UserError


def open_table(files: str | Path | Mapping[str, str | Path], columns: Mapping[str, str], ending: str = "") -> Table:
    """Open the user's files as a table.

    Args:
        files: a mapping of columns to line-aligned files (line n of each belongs to row n), or one path of a .tsv,
            .csv, .jsonl, .conll (.bio, .iob) or .json file; any of them may be compressed (.gz, .bz2, .xz).
        columns: for each column of the task, the name of the column in the file or its 0-based number. In TSV and
            CSV, names mean that the first line is a header, numbers that there is none.
        ending: what the format is to be told from where the file's own name does not tell it, such as ".tsv".

    Every file is looked through once here, so that what is missing, empty, not UTF-8, or of unequal length is a
    UserError now and not after hours.

    - A blank line of line-aligned files is a row with an empty value; in the other formats it is no row.
    - CSV follows RFC 4180: fields may be quoted, and then hold commas, line ends and doubled quotation marks.
    - TSV is never quoted (as its registration text/tab-separated-values says, and as parallel corpora come): a
      quotation mark is a character like any other, so that a single one cannot swallow the lines after it.
    - JSON lines hold one object each; values may be of any type: ``{"words": ["Ada", "wrote"], "tags": ["B-person",
      "O"]}`` is the same row as in CoNLL columns.
    - CoNLL columns (.conll, .bio, .iob) are read by `zoo.data.conll.Conll`, .json as `zoo.data.squad.Squad`.
    - Where the task has a column "image", the path may be a folder or an archive of class folders
      (`zoo.data.images.ClassFolders`) or, with a column "boxes", of Pascal VOC's (`zoo.data.voc.Voc`); the files of a
      mapping may be idx files (`zoo.data.idx.Idx`); and in every other table that column holds paths of image files,
      relative to the table's, and rows have the bytes.
    """
    table = _open(files, columns, ending)
    return ImagePaths(table) if IMAGE in columns and not isinstance(table, ClassFolders | Idx | Voc) else table


def _open(files: str | Path | Mapping[str, str | Path], columns: Mapping[str, str], ending: str) -> Table:
    if isinstance(files, Mapping):
        paths = {column: Path(files[known_column(name, files, "the files given")]) for column, name in columns.items()}
        return open_idx(paths) if any(map(is_idx, paths.values())) else _aligned(paths)
    path = Path(files)
    if IMAGE in columns and (path.is_dir() or is_archive(path)):
        return Voc(path, columns) if BOXES in columns else ClassFolders(path, columns)
    if is_idx(path):
        return Idx(path, None, columns)
    reader = _FORMATS.get(ending or format_of(path))
    if reader is None:
        raise UserError(
            "the name of the file does not tell its format",
            where=str(path),
            remedy=f"One file must be {', '.join(_FORMATS)} (also .gz, .bz2, .xz); text files are given one a column.",
        )
    lines = survey(path)
    return reader(path, columns, lines)


def _aligned(paths: Mapping[str, Path]) -> Table:
    counts = {path: survey(path) for path in paths.values()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{path} has {count:,} lines" for path, count in counts.items())
        raise UserError(
            f"line-aligned files must have equally many lines: {listed}",
            where=" and ".join(str(path) for path in counts),
            remedy="Line n of each file belongs to row n. Was one of them cut, or were blank lines removed from it?",
        )
    return AlignedLines(paths, next(iter(counts.values())))


class AlignedLines(Table):
    """Line n of every file makes row n."""

    def __init__(self, paths: Mapping[str, Path], rows: int) -> None:
        self.columns = tuple(paths)
        self.files = tuple(paths.values())
        self.rows = rows

    def __iter__(self) -> Iterator[Example]:
        lines = zip(*(read_lines(path) for path in self.files), strict=True)
        for number, values in enumerate(lines, 1):
            yield Example(dict(zip(self.columns, values, strict=True)), f"{self.files[0]}:{number}")


class Delimited(Table):
    """TSV or CSV. `columns` name the fields of the header, or all of them are numbers and there is no header."""

    def __init__(self, path: Path, columns: Mapping[str, str], dialect: Mapping[str, Any], lines: int) -> None:
        self.columns = tuple(columns)
        self.files = (path,)
        self._dialect = dialect
        self._header = not all(str(name).isdecimal() for name in columns.values())
        if not self._header:
            self._fields = [int(name) for name in columns.values()]
        else:
            header = next(self._records(), ([], ""))[0]
            self._fields = [header.index(known_column(name, header, f"{path}:1")) for name in columns.values()]
        if dialect is TSV:  # a quoted field of CSV may span lines, so only TSV is known by counting
            self.rows = lines - self._header

    def __iter__(self) -> Iterator[Example]:
        records = self._records()
        width = len(next(records)[0]) if self._header else None
        for record, place in records:
            if width is None:
                width = max(len(record), max(self._fields) + 1)
            if len(record) != width:
                raise UserError(
                    f"{len(record)} fields where {width} are expected",
                    where=place,
                    remedy="Every row needs as many fields as the first. A delimiter within a text must be removed "
                    "(TSV) or the text quoted (CSV).",
                )
            values = [record[field] for field in self._fields]
            yield Example(dict(zip(self.columns, values, strict=True)), place)

    def _records(self) -> Iterator[tuple[list[str], str]]:
        """Fields of each record that is not blank, and the place where it begins."""
        path = self.files[0]
        # The csv module wants line ends back: they may belong to a quoted field.
        records = csv.reader((line + "\n" for line in read_lines(path)), strict=True, **self._dialect)
        while True:
            place = f"{path}:{records.line_num + 1}"
            try:
                record = next(records)
            except StopIteration:
                return
            except csv.Error as error:
                raise UserError(
                    f"cannot be read as CSV ({error})",
                    where=place,
                    remedy="Is a quotation mark left open here, or not doubled within a quoted field?",
                ) from None
            if record:
                yield record, place


class JsonLines(Table):
    """One JSON object a line; its other members are left aside."""

    def __init__(self, path: Path, columns: Mapping[str, str], lines: int) -> None:
        self.columns = tuple(columns)
        self.files = (path,)
        self.rows = lines
        self._names = dict(columns)
        next(iter(self), None)  # a wrong name of a column shows in the first row

    def __iter__(self) -> Iterator[Example]:
        for number, line in enumerate(read_lines(self.files[0]), 1):
            if not line.strip():
                continue
            place = f"{self.files[0]}:{number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"not JSON: {error.msg}, character {error.pos + 1}", where=place) from None
            if not isinstance(row, dict):
                raise UserError(f"a JSON object is expected, this is {type(row).__name__}", where=place)
            yield Example(
                {column: row[known_column(name, tuple(row), place)] for column, name in self._names.items()}, place
            )


TSV = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
CSV = {"delimiter": ","}
_FORMATS: dict[str, Callable[[Path, Mapping[str, str], int], Table]] = {
    ".tsv": lambda path, columns, lines: Delimited(path, columns, TSV, lines),
    ".csv": lambda path, columns, lines: Delimited(path, columns, CSV, lines),
    ".jsonl": JsonLines,
    ".conll": lambda path, columns, lines: Conll(path, columns),
    ".bio": lambda path, columns, lines: Conll(path, columns),
    ".iob": lambda path, columns, lines: Conll(path, columns),
    ".json": lambda path, columns, lines: Squad(path, columns),
}
