"""SQuAD's JSON: what is read, and which answers are refused where."""

import gzip
import json

import pytest

from zoo.data.readers import open_table
from zoo.data.squad import check_answers
from zoo.errors import UserError

COLUMNS = {"question": "question", "context": "context", "answers": "answers", "name": "id"}
CONTEXT = 'Zoë wrote "The Sea" \U0001f30a in 1923.'


def content(**changes) -> dict:
    first = {
        "id": "a1",
        "question": "Who?",
        "answers": [{"text": "Zoë", "answer_start": 0}, {"text": "1923", "answer_start": 25}],
    }
    second = {
        "id": "a2",
        "question": 'What has "id": "a1" to do with it?',
        "answers": [],
        "is_impossible": True,
        "plausible_answers": [{"text": "Sea", "answer_start": 15}],
    }
    return {
        "version": "v2.0",
        "data": [{"title": "Books", "paragraphs": [{"context": CONTEXT, "qas": [first | changes, second]}]}],
    }


@pytest.mark.parametrize("name", ["dev.json", "dev.json.gz"])
def test_questions_with_and_without_answers(tmp_path, name):
    text = json.dumps(content(), indent=1)
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    table = open_table(tmp_path / name, COLUMNS)
    assert (table.rows, table.columns, table.files) == (2, tuple(COLUMNS), (tmp_path / name,))
    rows = list(table)
    assert rows[0].values == {
        "question": "Who?",
        "context": CONTEXT,
        "answers": [{"text": "Zoë", "start": 0}, {"text": "1923", "start": 25}],
        "name": "a1",
    }
    assert (rows[1].values["name"], rows[1].values["answers"]) == ("a2", [])
    lines = text.split("\n")
    for row in rows:  # the line of the id, not that of a text that looks like one
        line = int(row.place.split(":")[1].split()[0])
        assert lines[line - 1].strip() == f'"id": "{row.values["name"]}",'
        assert row.place.endswith(f"(id {row.values['name']})")
    assert [row.values for row in open_table(tmp_path / name, {"title": "title"})] == [{"title": "Books"}] * 2


def test_json_lines_hold_the_same_rows(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(content()))
    rows = [example.values for example in open_table(tmp_path / "a.json", COLUMNS)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    again = open_table(tmp_path / "a.jsonl", {name: name for name in COLUMNS})
    assert [example.values for example in again] == rows
    for row in rows:
        check_answers(row["context"], row["answers"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"answers": [{"text": "1923", "answer_start": 26}]},  # counted in UTF-16, as JavaScript does
            r'a\.json:1 \(id a1\): the answer "1923" is not in its context at 26: .*"923\."\n.* first found at 25',
        ),
        ({"answers": [{"text": "Zoe", "answer_start": 0}]}, 'at 0 stands "Zoë"\n  The text is nowhere in the context'),
        ({"answers": [{"text": ".", "answer_start": -1}]}, 'the answer "." is not in its context at -1'),
        ({"answers": [{"text": "", "answer_start": 0}]}, r"\(id a1\): an empty answer"),
        ({"answers": [{"text": "Zoë"}]}, 'an answer needs "text" and "start"'),
        ({"answers": ["Zoë"]}, '"answers" must be a list of objects'),
        ({"answers": {"text": ["Zoë"]}}, r'\(id a1\): "answers" must be a list'),
        ({"is_impossible": True}, "a question that is_impossible has answers"),
    ],
)
def test_a_wrong_answer_is_named(tmp_path, changes, expected):
    (tmp_path / "a.json").write_text(json.dumps(content(**changes)))
    with pytest.raises(UserError, match=expected):
        open_table(tmp_path / "a.json", COLUMNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"data":\n [1 2]}', r"a\.json:2: not JSON: .*character 5"),
        ('{"a": 1}\n{"a": 2}', r"a\.json:2: not JSON: Extra data(?s:.*)name the file \.jsonl"),
        ('{"questions": []}', r'a\.json:1: "data" is missing'),
        ('[{"context": ""}]', r'"data" is missing'),
        ('{"data": [{"paragraphs": [{"qas": [{"id": 7, "answers": []}]}]}]}', r'\(id 7\): "context" is missing'),
        ('{"data": [{"paragraphs": {}}]}', '"paragraphs" must be a list'),
        ('{"data": []}', r"a\.json: there is no question in it"),
    ],
)
def test_other_json_is_refused(tmp_path, text, expected):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=expected):
        open_table(tmp_path / "a.json", COLUMNS)


def test_an_unknown_column(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(content()))
    with pytest.raises(UserError, match='no column "answer".*"answers"'):
        open_table(tmp_path / "a.json", {"answer": "answer"})


@pytest.mark.parametrize(("context", "answers"), [(None, []), ("text", "text"), ("text", None)])
def test_rows_that_are_no_question(context, answers):
    with pytest.raises(UserError, match="a context and a list of answers are needed"):
        check_answers(context, answers)
