"""CoNLL columns: what is read, in which scheme, and which tags are refused where."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.conll import Conll, check_sentence, iob2
from zoo.data.readers import open_table
from zoo.errors import UserError

COLUMNS = {"words": "words", "tags": "tags"}
CONLL2003 = """-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
call NN I-NP O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
-DOCSTART- -X- -X- O
Hard NNP I-NP I-PER
Rock NNP I-NP B-PER"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def tagged(path: Path, *tags: str) -> Path:
    return write(path, "".join(f"word{number}\t{tag}\n" for number, tag in enumerate(tags)))


def test_conll_2003_is_iob1_with_documents_and_four_columns(tmp_path):
    path = write(tmp_path / "eng.conll", CONLL2003)
    table = Conll(path, {"words": "words", "pos": "1", "tags": "3"})
    assert (table.scheme, table.rows, table.columns) == ("iob1", 3, ("words", "pos", "tags"))
    assert next(iter(table)) == (
        {
            "words": ["EU", "rejects", "German", "call"],
            "pos": ["NNP", "VBZ", "JJ", "NN"],
            "tags": ["I-ORG", "O", "I-MISC", "O"],
        },
        f"{path}:3",
    )
    assert [example.place for example in table] == [f"{path}:{line}" for line in (3, 8, 11)]
    assert [iob2(example.values["tags"]) for example in table] == [
        ["B-ORG", "O", "B-MISC", "O"],
        ["B-PER", "I-PER"],
        ["B-PER", "B-PER"],
    ]


@pytest.mark.parametrize("name", ["a.conll", "a.bio.gz", "a.iob"])
def test_open_table_knows_the_endings(tmp_path, name):
    text = "\ufeffAda\tB-person\r\nwrote\tO\r\n\t \r\n\n# id = 2\nno\u00a0one\tO\n"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    table = open_table(tmp_path / name, COLUMNS)
    assert [example.values for example in table] == [
        {"words": ["Ada", "wrote"], "tags": ["B-person", "O"]},
        {"words": ["no\u00a0one"], "tags": ["O"]},
    ]
    assert table.rows == 2


def test_json_lines_hold_the_same_rows(tmp_path):
    conll = tagged(tmp_path / "a.conll", "B-x", "O")
    jsonl = write(tmp_path / "a.jsonl", json.dumps({"tags": ["B-x", "O"], "words": ["word0", "word1"]}))
    first, second = (next(iter(open_table(path, COLUMNS))).values for path in (conll, jsonl))
    assert first == second
    check_sentence(**second)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-a", "I-a", "O", "B-b"], "iob2"),
        (["B-a", "B-b"], "iob2"),  # IOB1 has no B- after another kind
        (["O", "O"], "iob2"),
        (["I-a", "I-a", "B-a", "O"], "iob1"),
        (["B-a", "I-a", "E-a", "S-b"], "bioes"),
        (["B-a", "L-a", "U-b", "O"], "bioes"),
        (["NN", "VBZ", "O"], ""),
        (["noun", "verb"], ""),
    ],
)
def test_the_scheme_is_found(tmp_path, tags, scheme):
    table = Conll(tagged(tmp_path / "a.conll", *tags), COLUMNS)
    assert table.scheme == scheme
    assert next(iter(table)).values["tags"] == tags  # as they are written


def test_without_tags_nothing_is_checked(tmp_path):
    table = Conll(tagged(tmp_path / "a.conll", "I-a", "E-b", "?"), {"words": "words"})
    assert (table.scheme, table.columns) == ("", ("words",))


@pytest.mark.parametrize(
    ("tags", "scheme", "line", "problem"),
    [
        (["B-a", "O", "I-a", "B-b", "I-c"], "", 3, r'"I-a" after "O" does not fit IOB2 \(2 such in the file\)'),
        (["I-a"], "iob2", 1, '"I-a" after the beginning does not fit IOB2'),
        (["B-a"], "iob1", 1, '"B-a" after the beginning does not fit IOB1'),
        (["B-a", "S-a"], "", 2, '"S-a" after "B-a" does not fit BIOES'),
        (["S-a", "I-a", "E-a"], "", 2, '"I-a" after "S-a" does not fit BIOES'),
        (["S-a", "B-a"], "", 2, 'the sentence ends after "B-a" does not fit BIOES'),
        (["E-a"], "iob2", 1, '"E-a" after the beginning does not fit IOB2'),
        (["B-a", "PERSON"], "", 2, '"PERSON" is neither O nor a prefix'),
        (["B-a", "I_a"], "", 2, '"I_a" is neither O nor a prefix'),
    ],
)
def test_a_tag_that_does_not_fit_is_named(tmp_path, tags, scheme, line, problem):
    with pytest.raises(UserError, match=rf"a\.conll:{line}: {problem}"):
        Conll(tagged(tmp_path / "a.conll", *tags), COLUMNS, scheme)


@pytest.mark.parametrize(
    ("text", "columns", "problem"),
    [
        ("a O\nb\n", COLUMNS, r"a\.conll:2: 1 columns where 2 are expected"),
        ("a\tO\nb O\n", COLUMNS, r"a\.conll:2: 1 columns where 2"),
        ("a O\n\nNew York O\n", COLUMNS, r"a\.conll:3: 3 columns where 2"),
        ("a\nb\n", COLUMNS, r"a\.conll:1: there is one column alone"),
        ("a\tO\n\tO\n", COLUMNS, r"a\.conll:2: an empty column"),
        ("a O\n", {"words": "0", "tags": "2"}, r"a\.conll:1: no column 2: there are 2"),
        ("a O\n", {"words": "tokens"}, r'a\.conll: no column "tokens" in a file of CoNLL columns'),
        ("\n-DOCSTART- O\n\n", COLUMNS, r"a\.conll: there is no sentence in it"),
        ("", COLUMNS, r"a\.conll: the file is empty"),
    ],
)
def test_columns_that_do_not_fit(tmp_path, text, columns, problem):
    with pytest.raises(UserError, match=problem):
        open_table(write(tmp_path / "a.conll", text), columns)


@pytest.mark.parametrize(
    ("words", "tags", "problem"),
    [
        (["a", "b"], ["O"], "1 tags for 2 words"),
        ("a b", ["O"], '"words" must be a list of strings'),
        (["a"], [0], '"tags" must be a list of strings'),
    ],
)
def test_rows_that_do_not_fit(words, tags, problem):
    with pytest.raises(UserError, match=problem):
        check_sentence(words, tags)


LABELS = st.sampled_from(["person", "creative-work", "O"])
SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), LABELS), min_size=1, max_size=6)


def written(spans: list[tuple[int, int, str]], scheme: str) -> list[str]:
    """Tags of (blanks before, length, label) in a scheme, each by its definition."""
    tags: list[str] = []
    for gap, length, label in spans:
        tags += ["O"] * gap
        letters = {"iob2": ["B"] + ["I"] * (length - 1), "iob1": ["I"] * length}.get(scheme)
        if scheme == "iob1" and tags and tags[-1][2:] == label:
            letters[0] = "B"
        if scheme == "bioes":
            letters = ["S"] if length == 1 else ["B", *["I"] * (length - 2), "E"]
        tags += [f"{letter}-{label}" for letter in letters]
    return tags


@given(SPANS, st.sampled_from(["iob1", "iob2", "bioes"]))
def test_every_scheme_becomes_the_same_iob2(spans, scheme):
    assert iob2(written(spans, scheme)) == written(spans, "iob2")


WORD = st.sampled_from(["Ada", "#", "O", "'s", "no\u00a0one", "a\u2028b", "\u200b", "😀", "B-x", "-"])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(SPANS, st.data()), min_size=1, max_size=4),
    st.sampled_from(["iob1", "iob2", "bioes"]),
    st.sampled_from(["\t", " "]),
)
def test_what_is_written_is_read(tmp_path_factory, drawn, scheme, blank):
    sentences = []
    for spans, data in drawn:
        tags = written(spans, scheme)
        sentences.append((data.draw(st.lists(WORD, min_size=len(tags), max_size=len(tags))), tags))
    path = tmp_path_factory.mktemp("conll") / "a.conll"
    blocks = ("".join(f"{word}{blank}{tag}\n" for word, tag in zip(*each, strict=True)) for each in sentences)
    path.write_bytes("\n".join(blocks).encode())
    table = Conll(path, COLUMNS, scheme)
    assert [(example.values["words"], example.values["tags"]) for example in table] == sentences
    assert table.rows == len(sentences)
