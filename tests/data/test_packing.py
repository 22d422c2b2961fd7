import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.packing import Packed
from zoo.data.tables import Example, Table


class Texts(Table):
    columns, files = ("text",), ()

    def __init__(self, texts):
        self.texts = texts

    def __iter__(self):
        for number, text in enumerate(self.texts, 1):
            yield Example({"text": text}, f"a.txt:{number}")


def packed(texts, room=4):
    """Pieces are the characters."""
    table = Packed(Texts(texts), lambda text: np.array([ord(letter) for letter in text.strip()], np.int32), room)
    return [("".join(map(chr, values["pieces"])), place) for values, place in table]


def test_rows_are_full_and_end_with_their_document():
    assert packed(["abcdef", "gh", "i", "", "jk", " ", "", "lmnopqrs", "t"]) == [
        ("abcd", "a.txt:1"), ("efgh", "a.txt:1"), ("i", "a.txt:3"), ("jk", "a.txt:5"),
        ("lmno", "a.txt:8"), ("pqrs", "a.txt:8"), ("t", "a.txt:9"),
    ]  # fmt: skip
    assert packed([]) == packed(["", " "]) == []


@given(st.lists(st.text("abc", max_size=9)), st.integers(1, 5))
def test_nothing_is_lost(texts, room):
    rows = [row for row, _ in packed(texts, room)]
    assert "".join(rows) == "".join(texts)
    assert all(0 < len(row) <= room for row in rows)
    documents = [len(part) for part in "".join(text or "\n" for text in texts).split("\n")]
    assert len(rows) == sum(-(-size // room) for size in documents)
