import bz2
import csv
import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.readers import open_table
from zoo.data.textfiles import survey
from zoo.errors import UserError

BOTH = {"source": "en", "target": "de"}
PACK = {"": lambda raw: raw, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def values(table) -> list[tuple]:
    return [tuple(example.values.values()) for example in table]


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "de\ten\nHund\tdog\nKatze\tcat\n"),
        ("a.csv", 'de,en\nHund,dog\n"Katze",cat'),
        ("a.jsonl", '{"en": "dog", "de": "Hund", "id": 1}\n\n{"de": "Katze", "en": "cat"}\n'),
    ],
)
def test_every_format_plain_and_compressed(tmp_path, name, content, suffix):
    path = write(tmp_path / f"{name}{suffix}", PACK[suffix](content.encode()))
    table = open_table(path, BOTH)
    assert values(table) == [("dog", "Hund"), ("cat", "Katze")]
    assert values(table) == values(table)  # it can be read again
    assert (table.columns, table.files) == (("source", "target"), (path,))


@pytest.mark.parametrize("suffix", PACK)
def test_line_aligned_files(tmp_path, suffix):
    en = write(tmp_path / f"a.en{suffix}", PACK[suffix]("dog\r\n\r\na\u2028b\fc\x85\n".encode()))
    de = write(tmp_path / f"a.de{suffix}", PACK[suffix]("\ufeffHund\n\nz".encode()))
    table = open_table({"en": en, "de": str(de)}, BOTH)
    assert table.rows == 3
    assert list(table) == [
        ({"source": "dog", "target": "Hund"}, f"{en}:1"),
        ({"source": "", "target": ""}, f"{en}:2"),  # blank lines are rows: the other lines must not shift
        ({"source": "a\u2028b\fc\x85", "target": "z"}, f"{en}:3"),
    ]


def test_one_column_and_one_file_for_two_columns(tmp_path):
    path = write(tmp_path / "a.txt", "x\ny\n")
    assert values(open_table({"text": path}, {"text": "text"})) == [("x",), ("y",)]
    assert values(open_table({"text": path}, {"source": "text", "target": "text"})) == [("x", "x"), ("y", "y")]


def test_numbers_mean_that_there_is_no_header(tmp_path):
    path = write(tmp_path / "a.csv", '"3","Title, long","He said ""no""\nand left"\n"4","b","c"\n')
    table = open_table(path, {"text": "2", "label": "0"})
    assert list(table) == [
        ({"text": 'He said "no"\nand left', "label": "3"}, f"{path}:1"),
        ({"text": "c", "label": "4"}, f"{path}:3"),
    ]


def test_a_quotation_mark_in_tsv_is_a_character(tmp_path):
    path = write(tmp_path / "a.tsv", 'en\tde\n"dog\tHund\n5" x\t"y"\n')
    table = open_table(path, BOTH)
    assert values(table) == [('"dog', "Hund"), ('5" x', '"y"')]
    assert table.rows == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()).filter(any), min_size=1))
def test_what_the_csv_module_writes_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    # The reader takes \r\n for \n, as everywhere; a lone \r would come back as it is only if it is quoted.
    rows = [tuple(value.replace("\r", "") for value in row) for row in rows]
    rows = [row for row in rows if any(row)]
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("en", "de"), *rows])
    expected = [tuple(value.encode(errors="replace").decode() for value in row) for row in rows]
    assert values(open_table(path, BOTH)) == expected


def test_unequal_line_counts_name_both_files_and_counts(tmp_path):
    en, de = write(tmp_path / "a.en", "1\n2\n3\n"), write(tmp_path / "a.de", "1\n2")
    with pytest.raises(UserError) as caught:
        open_table({"en": en, "de": de}, BOTH)
    assert f"{en} has 3 lines, {de} has 2 lines" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "columns", "expected"),
    [
        (
            "a.tsv",
            "source\ttarget\nx\ty\n",
            {"a": "sorce"},
            'a.tsv:1: no column "sorce". There are: source, target.*"source"',
        ),
        ("a.csv", "x,y\n1,2\n3\n", {"a": "x"}, "a.csv:3: 1 fields where 2 are expected"),
        ("a.csv", "1,2\n3\n", {"a": "1"}, "a.csv:2: 1 fields where 2 are expected"),
        ("a.csv", "1,2\n", {"a": "2"}, "a.csv:1: 2 fields where 3 are expected"),
        ("a.csv", 'x,y\n1,"2\n3,4\n', {"a": "x"}, "a.csv:2: cannot be read as CSV .*quotation mark left open"),
        ("a.csv", 'x\n"1"2\n', {"a": "x"}, "a.csv:2: cannot be read as CSV"),
        ("a.jsonl", '{"en": 1}\n\n{"en": 2,}\n', {"a": "en"}, "a.jsonl:3: not JSON: .*character 10"),
        ("a.jsonl", '{"en": 1}\n[1]\n', {"a": "en"}, "a.jsonl:2: a JSON object is expected, this is list"),
        ("a.jsonl", '{"text": 1}\n', {"a": "txt"}, 'a.jsonl:1: no column "txt". There are: text.*"text"'),
        ("a.jsonl", '{"en": 1}\n{"de": 1}\n', {"a": "en"}, 'a.jsonl:2: no column "en". There are: de.'),
        ("a.jsonl", "", {"a": "en"}, "a.jsonl: the file is empty"),
        (
            "a.tsv",
            b"en\nok\nM\xe4dchen\n",
            {"a": "en"},
            "a.tsv:3: not UTF-8: byte 0xe4 at position 2 .*iconv -f LATIN1",
        ),
        ("a.tsv", b"en\nM\xc3", {"a": "en"}, "a.tsv:2: not UTF-8: byte 0xc3 at position 2"),
        ("a.tsv", "en\nok\n".encode("utf-16"), {"a": "en"}, "a.tsv: this is UTF-16.*iconv -f UTF-16"),
        ("a.tsv.gz", gzip.compress(b"en\n" + bytes(range(128)) * 99)[:-20], {"a": "en"}, "damaged or cut off"),
        ("a.tsv.gz", b"en\nok\n", {"a": "en"}, "a.tsv.gz: the compressed file is damaged"),
        ("a.tsv.bz2", b"en\nok\n", {"a": "en"}, "a.tsv.bz2: cannot be read"),
        ("a.tsv.xz", b"en\nok\n", {"a": "en"}, "a.tsv.xz: the compressed file is damaged"),
        ("a.txt", "x\n", {"a": "en"}, "a.txt: the name of the file does not tell its format"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, name, content, columns, expected):
    path = write(tmp_path / name, content)
    with pytest.raises(UserError, match=f"(?s){expected}"):
        list(open_table(path, columns))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UserError, match=r"none\.tsv: no such file"):
        open_table(tmp_path / "none.tsv", BOTH)
    with pytest.raises(UserError, match="this is a folder"):
        open_table({"en": tmp_path, "de": tmp_path}, BOTH)
    with pytest.raises(UserError, match='no column "end". There are: en, de.*"en"'):
        open_table({"en": tmp_path, "de": tmp_path}, {"source": "en", "target": "end"})


def test_bad_bytes_are_found_before_the_first_row_is_read(tmp_path):
    good, bad = write(tmp_path / "a.en", "x\n" * 1000), write(tmp_path / "a.de", b"x\n" * 999 + b"\xff\n")
    with pytest.raises(UserError, match=r"a\.de:1000: not UTF-8"):
        open_table({"en": good, "de": bad}, BOTH)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",))), min_size=1), st.booleans()
)
def test_lines_are_counted_as_they_are_read(tmp_path_factory, lines, ended):
    ended = ended or not lines[-1]  # an empty last line exists only if it is ended
    path = tmp_path_factory.mktemp("lines") / "a"
    path.write_bytes(("\n".join(lines) + "\n" * ended).encode())
    assert survey(path) == len(lines)
    read = values(open_table({"text": path}, {"text": "text"}))
    assert read == [(lines[0].removeprefix("\ufeff"),), *((line,) for line in lines[1:])]
