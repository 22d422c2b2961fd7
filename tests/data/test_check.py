from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import needs_data
from zoo.data import registry
from zoo.data.check import Seen, check, render
from zoo.data.language import Languages, script_of
from zoo.data.readers import Example, Table

COLUMNS = {"source": "en", "target": "de"}


class Pairs(Table):
    """A table in memory."""

    columns = ("source", "target")

    def __init__(self, name, pairs):
        self.pairs = [(f"{name}:{number}", *pair) for number, pair in enumerate(pairs, 1)]

    def __iter__(self):
        for place, source, target in self.pairs:
            yield Example({"source": source, "target": target}, place)


def found(report) -> dict[tuple[str, str], tuple[int, list[str]]]:
    return {
        (finding.part, finding.kind): (finding.count, [place for place, _ in finding.examples])
        for finding in report.findings
    }


GOOD = [(f"the {word} is small", f"das {word} ist klein") for word in ("house", "boat", "tree", "book")]


def test_clean_pairs_bring_no_finding():
    report = check(Pairs("train", GOOD), Pairs("val", [("hello you", "hallo du")]))
    assert report.findings == []
    assert report.rows == {"validation": 1, "train": 4}


@pytest.mark.parametrize(
    ("kind", "pair"),
    [
        ("empty", ("", "nicht leer")),
        ("empty", ("not empty", " \t")),
        ("copy", ("Terms of use ", "Terms of use")),
        ("ratio", ("Yes.", "Ja, und das wird noch eine ganze Weile so bleiben.")),
        ("long", ("word " * 251, "Wort " * 249)),
        ("long", ("字" * 2001, "字母" * 1000)),
        ("control", ("a bell \x07", "eine Glocke")),
        ("control", ("zero\u200bwidth", "breit")),
        ("replacement", ("a girl", "ein M\ufffddchen")),
        ("mojibake", ("a girl", "ein MÃ¤dchen")),
        ("mojibake", ("donâ€™t go", "geh nicht")),
        ("mojibake", ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "hallo")),
        ("normalization", ("a girl", "ein Ma\u0308dchen")),
        ("language", ("the dog is here", "собака уже здесь")),
        ("duplicate", GOOD[2]),
    ],
)
def test_each_kind_is_found_where_it_stands(kind, pair):
    report = check(Pairs("train", [*GOOD, pair]))
    assert found(report)["train", kind] == (1, ["train:5"])


def test_empty_rows_are_nothing_but_empty():
    report = check(Pairs("train", [*GOOD, ("", ""), ("", "")]), Pairs("val", [("", "")]))
    assert found(report) == {("train", "empty"): (2, ["train:5", "train:6"]), ("validation", "empty"): (1, ["val:1"])}


def test_what_is_right_is_left_alone():
    right = [
        ("Ångström, naïve, «CAFÉ», João NÃO", "Ångström «naiv», Gruß»"),
        ("2024 - 100 %", "2024 - 100 %"),  # numbers are no translation to be wrong
        ("No.", "Nein, niemals!"),
        ("a\ttab", "ein\tTab"),
    ]
    assert found(check(Pairs("train", [*GOOD, *right]))) == {}


def test_overlap_with_held_back_parts_counts_each_held_back_row_once():
    train = [*GOOD, GOOD[0], ("the house is small", "das Haus ist winzig"), ("another one", "noch eins")]
    validation = [("the house is small", "das Häuschen"), ("the tree is tall", "hoch"), GOOD[1]]
    report = found(check(Pairs("train", train), Pairs("val", validation), Pairs("test", [train[-1]])))
    assert report == {
        ("validation", "source in train"): (2, ["val:1", "val:3"]),
        ("validation", "pair in train"): (1, ["val:3"]),
        ("test", "source in train"): (1, ["test:1"]),
        ("test", "pair in train"): (1, ["test:1"]),
        ("train", "duplicate"): (1, ["train:5"]),
    }


def test_tables_longer_than_the_sample_and_the_chunks_are_read_once_and_whole():
    rows = 10_500

    class Once(Pairs):
        begun = 0

        def __iter__(self):
            self.begun += 1
            return super().__iter__()

    table = Once(
        "train", [(f"sentence {number}", f"Satz {number}") for number in range(rows)] + [("sentence 3", "Satz 3")]
    )
    report = check(table)
    assert report.rows == {"train": rows + 1}
    assert found(report) == {("train", "duplicate"): (1, [f"train:{rows + 1}"])}
    assert table.begun == 1


@needs_data("text/multi30k")
def test_multi30k_is_clean_but_for_what_is_known():
    parts = [registry.load("multi30k", split, COLUMNS) for split in ("val", "test_2016_flickr", "test_2017_flickr")]
    report = check(*parts)
    assert report.rows == {"validation": 1000, "test": 1000, "train": 1014}
    assert {key: count for key, (count, _) in found(report).items()} == {}


@needs_data("text/multi30k")
def test_swapped_and_untranslated_lines_are_found():
    pairs = [
        (row.values["source"], row.values["target"])
        for row in islice(registry.load("multi30k", "train", COLUMNS), 3000)
    ]
    swapped = set(range(100, 3000, 100))
    mixed = [
        (target, source) if number in swapped else (source, target) for number, (source, target) in enumerate(pairs)
    ]
    count, places = found(check(Pairs("train", mixed)))["train", "language"]
    assert len(swapped) - 2 <= count <= len(swapped)  # all but the shortest
    assert places == ["train:101", "train:201", "train:301"]


@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=12))
def test_seen_hashes(chunks):
    seen, before = Seen(), set()
    for chunk in chunks:
        expected = []
        for value in chunk:
            expected.append(value in before)
            before.add(value)
        assert seen.add(np.array(chunk, np.uint64)).tolist() == expected


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello, world", "LATIN"),
        ("Straße 42", "LATIN"),
        ("Привет, world", "CYRILLIC"),
        ("日本語のテキスト", "CJK"),
        ("한국어입니다", "HANGUL"),
        ("αβγδ ε", "GREEK"),
        ("42 %", ""),
        ("", ""),
    ],
)
def test_scripts(text, script):
    assert script_of(text) == script


def test_the_same_language_on_both_sides_is_no_ground_for_suspicion():
    texts = [f"The quick brown fox number {number} jumps over the lazy dog." for number in range(50)]
    languages = Languages(texts[:25], texts[25:])
    assert all(abs(languages.leaning(text)) < 0.2 for text in texts)


def test_the_report_reads_well():
    report = check(Pairs("train.en", [*GOOD, ("", "leer\x07\n")]), Pairs("val.en", [("hello you", "hallo du")]))
    assert render(report) == (
        "Looked at 1 rows of validation, 5 rows of train.\n"
        "\n"
        "train: rows with an empty side: 1\n"
        "  train.en:5   ||| leer\\u0007\\u000a\n"
        "  > They are left out; many of them mean that lines have shifted."
    )
    assert render(check(Pairs("train", GOOD))) == "Looked at 4 rows of train.\nNothing to complain of."
