"""The command lines of the tasks over text: from the user's own table to answers, and what is told about bad input."""

import csv
import json
from itertools import islice
from pathlib import Path

import pytest

from apps import classify_text, fill_mask, tag
from zoo.data import registry

SMALL = (
    "model.preset=debug",
    "preprocessing.vocabulary=300",
    "training.steps=8",
    "training.warmup=2",
    "training.samples=0",
)


def run(app, *arguments) -> None:
    assert app.main([*map(str, arguments), "--quiet"]) == 0


def failed(app, capsys, *arguments) -> str:
    assert app.main([*map(str, arguments)]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def small(*more: str) -> list[str]:
    return [part for each in (*SMALL, *more) for part in ("--set", each)]


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV of generated reviews with names of its own for the columns, some of them with commas."""
    rows = registry.load("toy_sentences", "train", {"text": "text", "label": "label"})
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "mood"])
        writer.writerows((f"{e.values['text']}, really", e.values["label"]) for e in islice(rows, 120))
    return path


def test_from_a_table_to_labels(reviews, tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorflow_text")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    named = ("--columns", "text=review", "label=mood")
    run(classify_text, "check", "--train", reviews, *named)
    assert "Labels of train: negative" in capsys.readouterr().out
    folder, home = tmp_path / "run", tmp_path / "homes" / "reviews"
    run(classify_text, "train", "--train", reviews, "--test", reviews, *named, "--run", folder, *small())
    assert f"next: zoo classify_text export {folder}" in capsys.readouterr().out
    run(classify_text, "train", "--train", reviews, "--test", reviews, *named, "--run", folder)  # complete: goes on
    run(classify_text, "export", folder, home)
    card = (home / "README.md").read_text()
    assert "accuracy" in card and "reviews" in card

    (tmp_path / "in.txt").write_text("the plot was great\n\n")
    asked = ("--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt")
    answers = []
    for model in (folder, home):
        run(classify_text, "predict", model, *asked)
        answers.append((tmp_path / "out.txt").read_text())
    assert answers[0] == answers[1]
    assert set(answers[0].split()) <= {"positive", "negative"} and answers[0].count("\n") == 2

    capsys.readouterr()
    run(classify_text, "evaluate", home, "--test", reviews, "--json", "--by-label")
    scores = {each["name"]: each["value"] for each in json.loads(capsys.readouterr().out)}
    written = json.loads((home / "1" / "assets.extra" / "scores.json").read_text())["scores"]
    assert scores.keys() - {each["name"] for each in written} == {"F1 of negative", "F1 of positive"}
    assert all(scores[each["name"]] == each["value"] for each in written)
    assert "calibration error" in scores


def test_one_goes_on_from_another(reviews, tmp_path, monkeypatch, capsys):
    """A masked language model of plain lines, then a classifier that begins with its encoder."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    with reviews.open(newline="") as file:
        (tmp_path / "plain.txt").write_text("".join(f"{row['review']}\n" for row in csv.DictReader(file)))
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    run(fill_mask, "train", "--train", tmp_path / "plain.txt", "--run", begun, *small("model.layers=1"))
    named = ("--columns", "text=review", "label=mood", "--run", ended)
    # The sizes of the model and the vocabulary are those of the first.
    steps = small()[4:]
    assert classify_text.main(["train", "--train", str(reviews), "--from", str(begun), *map(str, named), *steps]) == 0
    assert "pooler and head anew" in capsys.readouterr().err
    recipe = (ended / "recipe.toml").read_text()
    assert "layers = 1" in recipe and 'preset = "debug"' in recipe
    same = [(folder / "preprocessor" / "text" / "vocab.txt").read_bytes() for folder in (begun, ended)]
    assert same[0] == same[1]


def test_what_is_wrong_with_the_data_is_told_at_once(tmp_path, capsys):
    table = tmp_path / "a.csv"
    table.write_text('text,label\n"good film,positive\nbad film,negative\n')
    error = failed(classify_text, capsys, "train", "--train", table, "--run", tmp_path / "run")
    assert f"{table}:2" in error and "quotation mark" in error
    table.write_text("text,label\ngood film,positive\nbad film,negatve\n")
    labels = ("--set", 'data.labels=["positive", "negative"]')
    error = failed(classify_text, capsys, "train", "--train", table, "--run", tmp_path / "run", *labels)
    assert f"{table}:3" in error and 'Did you mean "negative"?' in error
    error = failed(classify_text, capsys, "train", "--train", table, "--columns", "text")
    assert '"text" is not NAME=COLUMN' in error
    words = tmp_path / "a.conll"
    words.write_text("Ada\tB-person\nran\tI-place\n\n")
    assert f"{words}:2" in failed(tag, capsys, "check", "--train", words)


def test_a_line_needs_all_parts(tmp_path, capsys):
    from apps.commands.task import raws
    from zoo import recipe as recipes
    from zoo.errors import UserError
    from zoo.tasks.task import find

    task = find("score_pair")(recipes.made("score_pair", "a", "", {}, find("score_pair").schema()))
    assert list(raws(["a\tb", "c\td"], task)) == [("a", "b"), ("c", "d")]
    with pytest.raises(UserError, match="1 parts where 2 are expected: text_a, text_b") as caught:
        list(raws(["a\tb", "c"], task))
    assert caught.value.where == "line 2"
