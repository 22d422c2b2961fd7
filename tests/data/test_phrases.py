"""Phrases: stretches of the text's own words, as many as asked for, the same each time."""

from zoo.data.phrases import Phrases
from zoo.data.tables import Example, Table

TEXT = "w0 w1  w2 w3 w4 w5"


class Rows(Table):
    columns, files = ("text", "label"), ()

    def __iter__(self):
        for line, text in enumerate((TEXT, "alone", "", "two words"), 1):
            yield Example({"text": text, "label": "x"}, f"a.tsv:{line}")


def test_phrases_are_stretches_of_the_text():
    found = [(each.values["text"].split(), each.place) for each in Phrases(Rows(), "text", 200)]
    long = [words for words, place in found if place == "a.tsv:1"]
    assert len(long) == 200 and {len(words) for words in long} == {1, 2, 3, 4, 5}
    numbers = [[int(word[1:]) for word in words] for words in long]
    assert all(each == list(range(each[0], each[0] + len(each))) for each in numbers)
    assert {each[0] for each in numbers} == {*range(6)} and max(each[-1] for each in numbers) == 5
    assert {place for _, place in found} == {"a.tsv:1", "a.tsv:4"}
    assert {*(words[0] for words, place in found if place == "a.tsv:4")} == {"two", "words"}


def test_they_are_the_same_each_time_and_have_no_labels():
    table = Phrases(Rows(), "text", 3)
    assert table.columns == ("text",) and len(list(table)) == 6
    assert list(table) == list(table) and all(each.values.keys() == {"text"} for each in table)
