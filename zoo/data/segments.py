"""Documents cut into pairs of segments that follow each other, for objectives about the order of a text.

A segment is as many whole sentences as fit into half a row; one that is longer than that is cut. So no end of a segment
tells whether another has taken its neighbour's place, and next to no piece is lost.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from zoo.data.tables import Example, Table
from zoo.errors import UserError

# Behind a mark that ends a sentence; a blank stays with the sentence that it begins.
SENTENCE = re.compile(r"(?<=[.!?])(?=\s)|(?<=[。！？])")
NONE = np.zeros(0, np.int32)
HELD = 1000  # segments that strangers are drawn from
TRIES = 10  # to draw one from another document


class Segment(NamedTuple):
    """Sentences that stand together. pieces: int32 [T]; document: its number; place: of the text it begins with."""

    pieces: np.ndarray
    document: int
    place: str


class Segments(Table):
    """Rows of a segment and the one behind it, of each document in order.

    A document goes to the next empty text; a text is one sentence or several. Values, int32 [T] each: "first";
    "second", empty where a document has no further segment; and, where `strangers`, "stranger", a segment of an
    earlier document: empty in the first document and, else, where only this one was seen for long. It streams; the
    draws depend on nothing but the texts.

    Args:
        table: with the column "text".
        encode: text -> pieces, int32 [T].
        room: pieces of a segment.
        strangers: whether there are such.

    Raises: UserError, at the end, where strangers are wanted and the table is one document.
    """

    def __init__(self, table: Table, encode: Callable[[str], np.ndarray], room: int, strangers: bool) -> None:
        self.table, self.encode, self.room, self.strangers = table, encode, room, strangers
        self.files, self.columns = table.files, ("first", "second", *(("stranger",) if strangers else ()))

    def __iter__(self) -> Iterator[Example]:
        crowd, documents = _Crowd(), 0
        for first, second in _pairs(self._segments()):
            values = {"first": first.pieces, "second": second.pieces if second else NONE}
            if self.strangers:
                values["stranger"] = crowd.draw(first.document)
                crowd.add(first)
            documents = first.document + 1
            yield Example(values, first.place)
        if self.strangers and documents == 1:
            where = ", ".join(str(file) for file in self.files)
            remedy = "Put an empty line between documents, or choose another training.second_objective."
            raise UserError("all texts are one document, so that no segment is of another", where=where, remedy=remedy)

    def _segments(self) -> Iterator[Segment]:
        parts: list[np.ndarray] = []
        held, document, place = 0, 0, ""
        for pieces, here in self._sentences():
            if parts and (pieces is None or held + len(pieces) > self.room):
                yield Segment(np.concatenate(parts), document, place)
                document += pieces is None
                parts, held = [], 0
            if pieces is not None:
                place = place if parts else here
                parts.append(pieces)
                held += len(pieces)
        if parts:
            yield Segment(np.concatenate(parts), document, place)

    def _sentences(self) -> Iterator[tuple[np.ndarray | None, str]]:
        """The pieces of each sentence, `room` at most, and the place of its text; None where a document ends."""
        for values, place in self.table:
            if not values["text"].strip():
                yield None, place
            for sentence in SENTENCE.split(values["text"]):
                pieces = self.encode(sentence)
                for start in range(0, len(pieces), self.room):
                    yield pieces[start : start + self.room], place


def _pairs(segments: Iterator[Segment]) -> Iterator[tuple[Segment, Segment | None]]:
    """Each segment with the next one of its document, two and two; None for the last where their number is odd."""
    first: Segment | None = None
    for segment in segments:
        if first is None:
            first = segment
        elif first.document == segment.document:
            yield first, segment
            first = None
        else:
            yield first, None
            first = segment
    if first is not None:
        yield first, None


class _Crowd:
    """Segments seen so far, some of them, from which those of other documents are drawn."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.segments: list[Segment] = []

    def add(self, segment: Segment) -> None:
        """Keeps a segment, in place of any other where there are enough."""
        if len(self.segments) < HELD:
            self.segments.append(segment)
        else:
            self.segments[self.rng.integers(HELD)] = segment

    def draw(self, document: int) -> np.ndarray:
        """The pieces of a segment of any other document; none where chance finds none."""
        for _ in range(TRIES if self.segments else 0):
            segment = self.segments[self.rng.integers(len(self.segments))]
            if segment.document != document:
                return segment.pieces
        return NONE
