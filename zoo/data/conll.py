"""Sentences in CoNLL columns: a token a line with its tags, a blank line between sentences.

Tags of entities come in three schemes, each read as it is and checked, so that a tag that cannot be is found before a
training and not in its score:

- IOB2: an entity begins with B and goes on with I;
- IOB1 (Ramshaw and Marcus, 1995; CoNLL-2003): it begins with I, and with B only where one of its kind ends just before;
- BIOES, also written BILOU: the last token of an entity is E (L), a single one S (U).

`iob2` turns each of them into IOB2. Tags without such prefixes, as parts of speech, are taken as they are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from zoo.data.tables import Example, Table
from zoo.data.textfiles import read_lines
from zoo.errors import UserError

WORDS, TAGS = "words", "tags"  # names of the first and the last column
DOCUMENT = "-DOCSTART-"
BLANKS = re.compile(" +")
PREFIXED = re.compile(r"([BIESLU])-(.+)")
SAME = {"L": "E", "U": "S"}  # BILOU's letters in BIOES
SCHEMES = {"iob1": "IOB1", "iob2": "IOB2", "bioes": "BIOES"}
REMEDY = {
    "iob1": "In IOB1, B- stands only where an entity of the same kind ends just before; elsewhere write I-.",
    "iob2": "In IOB2, every entity begins with B-: write B- where one begins, or O where there is none.",
    "bioes": "In BIOES, an entity is S-, or B-, any I-, and E-, all of one kind.",
}


class Tag(NamedTuple):
    """A tag of a known scheme; letter: O, B, I, E or S; label: "" for O."""

    letter: str
    label: str


OUTSIDE = Tag("O", "")


def iob2(tags: Sequence[str]) -> list[str]:
    """The tags of one sentence, in IOB1, IOB2 or BIOES, as IOB2; tags of no scheme stay as they are."""
    out, before = [], OUTSIDE
    for text in tags:
        tag = _parse(text) or OUTSIDE
        begins = tag.letter in "BS" or tag.label != before.label or before.letter in "ES"
        out.append(text if tag == OUTSIDE else f"{'B' if begins else 'I'}-{tag.label}")
        before = tag
    return out


def check_sentence(words: Any, tags: Any) -> None:
    """Look at one row from whatever table: two lists of strings, equally long.

    Raises: UserError, without a place, where they are not.
    """
    for name, values in ((WORDS, words), (TAGS, tags)):
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise UserError(f'"{name}" must be a list of strings, this is {values!r:.80}')
    if len(words) != len(tags):
        raise UserError(f"{len(tags)} tags for {len(words)} words", remedy="Every word needs one tag.")


class Conll(Table):
    """A sentence a row; each value is a list of strings, one a token.

    Columns are divided by tabs where the file has any, else by blanks. Lines that begin with -DOCSTART- are left out,
    as are, in files with tabs, comments: lines that begin with # and have no tab. A row's place is its first token.

    Args:
        path: the file.
        columns: for each column of the task, "words" (the first column), "tags" (the last) or a 0-based number.
        scheme: of the column "tags": "iob1", "iob2" or "bioes"; empty: found by looking at all tags of the file.

    Attributes:
        scheme: the one found; "" where the tags are of none, or none are read.

    Raises: UserError at the line where columns are too few or too many, or where a tag does not fit the one before.
    """

    def __init__(self, path: Path, columns: Mapping[str, str], scheme: str = "") -> None:
        self.columns = tuple(columns)
        self.files = (path,)
        self._numbers = [_number(name, str(path)) for name in columns.values()]
        self._tabs = any("\t" in line.strip(" \t") for line in read_lines(path))
        tags = [number for name, number in zip(columns, self._numbers, strict=True) if TAGS in (name, columns[name])]
        found = _Survey()
        for sentence in self._sentences():
            found.look(sentence, tags[0] if tags else None, str(path))
        if not found.rows:
            raise UserError("there is no sentence in it", where=str(path))
        self.rows = found.rows
        self.scheme = found.settle(scheme)

    def __iter__(self) -> Iterator[Example]:
        for sentence in self._sentences():
            values = [[token.fields[number] for token in sentence] for number in self._numbers]
            yield Example(dict(zip(self.columns, values, strict=True)), f"{self.files[0]}:{sentence[0].line}")

    def _sentences(self) -> Iterator[list["_Token"]]:
        path, width = self.files[0], 0
        sentence: list[_Token] = []
        for number, line in enumerate(read_lines(path), 1):
            if self._tabs and line.startswith("#") and "\t" not in line:
                continue
            # Only these blanks divide: str.split would also break a word at a no-break space.
            fields = line.split("\t") if self._tabs else BLANKS.split(line.strip(" "))
            if not line.strip(" \t") or fields[0].startswith(DOCUMENT):
                if sentence:
                    yield sentence
                sentence = []
                continue
            width = width or len(fields)
            self._check(fields, width, f"{path}:{number}")
            sentence.append(_Token(fields, number))
        if sentence:
            yield sentence

    def _check(self, fields: list[str], width: int, place: str) -> None:
        if len(fields) != width:
            raise UserError(
                f"{len(fields)} columns where {width} are expected",
                where=place,
                remedy="Every token needs as many columns as the first. Is a tag missing, or a blank within a word?",
            )
        for number in self._numbers:
            if number < 0 and width == 1:
                raise UserError("there is one column alone, so there are no tags", where=place)
            if number >= width:
                raise UserError(f"no column {number}: there are {width}, counted from 0", where=place)
            if not fields[number].strip(" "):
                raise UserError("an empty column", where=place, remedy="A token needs a word and a tag.")


class _Token(NamedTuple):
    fields: list[str]
    line: int


def _number(name: str, where: str) -> int:
    if name in (WORDS, TAGS):
        return 0 if name == WORDS else -1
    if not str(name).isdecimal():
        raise UserError(
            f'no column "{name}" in a file of CoNLL columns',
            where=where,
            remedy=f'Columns are "{WORDS}" (the first), "{TAGS}" (the last), or a number, counted from 0.',
        )
    return int(name)


@lru_cache(1000)
def _parse(text: str) -> Tag | None:
    """The tag, None for one of no scheme."""
    if text == "O":
        return OUTSIDE
    found = PREFIXED.fullmatch(text)
    return Tag(SAME.get(found[1], found[1]), found[2]) if found else None


def _fits(scheme: str, before: Tag, tag: Tag) -> bool:
    """May `tag` follow `before`? Sentences begin and end outside."""
    same = before.label == tag.label
    if scheme == "bioes":
        return tag.letter in "IE" and same if before.letter in "BI" else tag.letter in "OBS"
    return tag.letter in "OBI" and (same or tag.letter != ("I" if scheme == "iob2" else "B"))


@dataclass
class _Break:
    """The first place where a scheme does not hold, and in how many it does not."""

    place: str
    problem: str
    count: int = 1


@dataclass
class _Survey:
    """What the tags of a file look like. breaks: by scheme; "" stands for tags that are of no scheme."""

    rows: int = 0
    letters: set[str] = field(default_factory=set)
    breaks: dict[str, _Break] = field(default_factory=dict)

    def look(self, sentence: list[_Token], column: int | None, path: str) -> None:
        self.rows += 1
        if column is None:
            return
        self.letters.add("O")
        before, shown = OUTSIDE, "the beginning"
        for token in [*sentence, None]:
            text = token.fields[column] if token else "O"
            place = f"{path}:{(token or sentence[-1]).line}"
            tag = _parse(text)
            if tag is None:
                self._note("", place, f'"{text}" is neither O nor a prefix B-, I- (E-, S-) with a name behind it')
            elif tag is not OUTSIDE or before is not OUTSIDE:  # O after O is most of a file, and fits everywhere
                self.letters.add(tag.letter)
                for scheme, known_as in SCHEMES.items():
                    if not _fits(scheme, before, tag):
                        after = f'"{text}" after {shown}' if token else f"the sentence ends after {shown}"
                        self._note(scheme, place, f"{after} does not fit {known_as}")
            before, shown = tag or OUTSIDE, f'"{text}"'

    def _note(self, scheme: str, place: str, problem: str) -> None:
        if scheme in self.breaks:
            self.breaks[scheme].count += 1
        else:
            self.breaks[scheme] = _Break(place, problem)

    def settle(self, scheme: str) -> str:
        """The scheme of the file; UserError at the first tag that does not fit it."""
        if not scheme and (not self.letters or (self.letters == {"O"} and "" in self.breaks)):
            return ""  # parts of speech and the like
        if not scheme and self.letters & {"E", "S"}:
            scheme = "bioes"
        elif not scheme:
            # A file that keeps to neither is taken for IOB2, which most are: then B- where IOB1 has none is the rule.
            scheme = "iob1" if "iob2" in self.breaks and "iob1" not in self.breaks else "iob2"
        wrong = self.breaks.get("") or self.breaks.get(scheme)
        if wrong:
            more = f" ({wrong.count:,} such in the file)" if wrong.count > 1 else ""
            raise UserError(wrong.problem + more, where=wrong.place, remedy=REMEDY[scheme])
        return scheme
