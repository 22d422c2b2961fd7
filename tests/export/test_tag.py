"""The graph of a tagger over byte pairs, whose pieces may be white space: the words and entities of the task."""

import pytest

pytest.importorskip("tensorflow")

from tests.export.test_text_tasks import answers, bundle, fitted
from zoo.export import savedmodel
from zoo.tasks.task import resolve

WHITE = [
    "to\n\nthe  good\u00a0film\r\n",
    "\n \t\u2003a",
    " \n",
    "",
    "nul\x00 \x1c x\uffff 😀 \n😀",
    "a" + " " * 3000 + "b",
]


@pytest.fixture(scope="module")
def made():
    return bundle(fitted("tag", preprocessing={"kind": "bytepair", "lowercase": False}))


def test_white_space_is_in_no_word(made):
    exported = resolve(made.task.exporter)(made, "float32")
    raws = [*made.examples, *WHITE, "to the\n" * 2000]
    found = answers(exported, "serving_default", ["text"], raws)
    savedmodel.check_answers(raws, found, exported.reference(raws), exported.close)
    words = answers(exported, "tokens", ["text"], WHITE)
    read = [row[:count] for row, count in zip(words["tokens"], words["count"], strict=True)]
    # The "b" is behind all that is read.
    assert read == [["to", "the", "good", "film"], ["a"], [], [], ["nul\0", "x\uffff", "😀", "😀"], ["a"]]
    for text, row, starts, ends in zip(WHITE, read, words["starts"], words["ends"], strict=True):
        assert [text[start:end] for start, end in zip(starts, ends, strict=True)][: len(row)] == row
