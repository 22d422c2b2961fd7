"""Documents in pairs of segments: whole sentences, in order, nothing lost; strangers are of other documents."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.segments import Segments
from zoo.data.tables import Example, Table
from zoo.errors import UserError


class Texts(Table):
    columns, files = ("text",), ("a.txt",)

    def __init__(self, texts):
        self.texts = texts

    def __iter__(self):
        for number, text in enumerate(self.texts, 1):
            yield Example({"text": text}, f"a.txt:{number}")


def letters(text):
    """Pieces are the characters that are no blanks."""
    return np.array([ord(letter) for letter in text if not letter.isspace()], np.int32)


def pairs(texts, room=6, strangers=False):
    for values, place in Segments(Texts(texts), letters, room, strangers):
        yield {name: "".join(map(chr, pieces)) for name, pieces in values.items()}, place


def test_segments_are_whole_sentences_and_rows_are_two_of_one_document():
    texts = ["Ab. Cd. Ef. G?", "Hi! 3.5 x", "", "end.", "  ", "", "太。好了！", "a b c d e f g h"]
    assert [(row["first"], row["second"], place) for row, place in pairs(texts)] == [
        ("Ab.Cd.", "Ef.G?", "a.txt:1"), ("Hi!", "3.5x", "a.txt:2"), ("end.", "", "a.txt:4"),
        ("太。好了！", "abcdef", "a.txt:7"), ("gh", "", "a.txt:8"),
    ]  # fmt: skip
    assert list(pairs([])) == list(pairs(["", " "])) == []


@given(st.lists(st.text("ab. ", max_size=20)), st.integers(1, 8))
def test_nothing_is_lost_and_nothing_is_too_long(texts, room):
    rows = [row for row, _ in pairs(texts, room)]
    joined = "".join(row["first"] + row["second"] for row in rows)
    assert joined == "".join(texts).replace(" ", "")
    assert all(row["first"] and max(map(len, row.values())) <= room for row in rows)


def test_strangers_are_of_earlier_documents():
    texts = [line for letter in "abcdefghij" for line in (f"{letter * 4}. {letter * 4}.", "")]
    found = [row for row, _ in pairs(texts, strangers=True)]
    assert found == [row for row, _ in pairs(texts, strangers=True)]
    assert found[0]["stranger"] == "" and len(found) == 10
    for row in found[2:]:
        assert row["stranger"] and row["stranger"][0] < row["first"][0] == row["second"][0]


def test_one_document_has_no_strangers():
    with pytest.raises(UserError, match="one document.*\n.*empty line") as error:
        list(pairs(["a. b.", "c."], 2, strangers=True))
    assert error.value.where == "a.txt"
    assert len(list(pairs(["a. b.", "c."], 2))) == 2
