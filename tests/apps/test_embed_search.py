"""`zoo embed search` and `zoo look map`: sentences of a file by an imported embedder, from its run and its home."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from apps import embed, import_checkpoint, look
from apps.commands import look as look_commands
from apps.commands import sentences
from apps.commands.sentences import Embedder, open_embedder, read_sentences
from tests.interop.checkpoints import RECORDED
from zoo.errors import UserError
from zoo.run import Run

LINES = ["the cat sat", "", "on a mat", "a dog sat on the mat", "the cat sat"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "sentences"
    assert import_checkpoint.main([str(RECORDED / "bert-sentences"), str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def search(capsys: Any, *arguments: Any) -> str:
    assert embed.main(["search", *map(str, arguments), "--quiet"]) == 0
    return capsys.readouterr().out


def failed(capsys: Any, *arguments: Any) -> str:
    assert embed.main(["search", *map(str, arguments), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_answers_are_those_of_the_model_best_first(run, corpus, capsys):
    asked = ["a cat", "dog on mat"]
    out = search(capsys, run, "--corpus", corpus, "--query", asked[0], "--query", asked[1], "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["query"] for each in found] == asked
    task, model = Run.open(run).task, Run.open(run).model()
    kept = [number for number, line in enumerate(LINES) if line]
    cosines = task.embed(model, asked) @ task.embed(model, [LINES[number] for number in kept]).T
    for each, expected in zip(found, cosines, strict=True):
        assert [row["score"] for row in each["found"]] == pytest.approx(sorted(expected, reverse=True), abs=1e-4)
        for row in each["found"]:
            assert row["text"] == LINES[row["line"] - 1]
            assert row["score"] == pytest.approx(expected[kept.index(row["line"] - 1)], abs=1e-4)


def test_lines_for_people_and_the_same_from_a_table(run, corpus, tmp_path, capsys):
    (tmp_path / "asked.txt").write_text("a cat\nthe cat sat\n")
    out = search(capsys, run, "--corpus", corpus, "--queries", tmp_path / "asked.txt", "--top", "2")
    assert out.splitlines()[3:] == ["the cat sat", "  1.0000        1  the cat sat", "  1.0000        5  the cat sat"]
    table = tmp_path / "corpus.csv"
    table.write_text("line,sentence\n" + "".join(f'0,"{line}"\n' for line in LINES))
    there = search(
        capsys, run, "--corpus", table, "--column", "sentence", "--queries", tmp_path / "asked.txt", "--top", 2
    )
    assert there == out.replace("        1  ", "        2  ").replace("        5  ", "        6  ")


def test_pairs_of_a_file(run, corpus, capsys):
    first, second = search(capsys, run, "--corpus", corpus, "--pairs", "--top", "2", "--json").splitlines()
    assert json.loads(first) == {"score": 1.0, "lines": [1, 5], "texts": ["the cat sat"] * 2}
    assert json.loads(second)["score"] < 1.0
    out = search(capsys, run, "--corpus", corpus, "--pairs", "--top", "1")
    assert out == "1.0000\n        1  the cat sat\n        5  the cat sat\n"


def test_vectors_are_kept_until_the_file_or_the_model_changes(run, corpus):
    embedder, asked = open_embedder(str(run)), []

    def vectors(fingerprint: str = embedder.fingerprint) -> np.ndarray:
        given = read_sentences(str(corpus), "text")
        counting = embedder._replace(embed=lambda texts: asked.append(len(texts)) or embedder.embed(texts))
        return np.vstack(counting._replace(fingerprint=fingerprint).vectors(given))

    assert np.array_equal(vectors(), vectors()) and asked == [4]
    assert open_embedder(str(run)).fingerprint == embedder.fingerprint
    vectors("another model")
    assert asked == [4, 4]
    corpus.write_text("the cat\n")
    assert len(vectors()) == 1 and asked == [4, 4, 1]


def test_what_cannot_be_searched_is_told_before_the_model_is_opened(corpus, tmp_path, capsys):
    asked = ("no-model", "--corpus", corpus)
    assert "--query: there is nothing to look for in an empty text" in failed(capsys, *asked, "--query", " ")
    assert "--top 0: at least one answer" in failed(capsys, *asked, "--query", "a", "--top", "0")
    (tmp_path / "asked.txt").write_text("a\n\nb\n")
    assert f"{tmp_path / 'asked.txt'}:2: there is nothing" in failed(
        capsys, *asked, "--queries", tmp_path / "asked.txt"
    )
    empty, blank, table = tmp_path / "empty.txt", tmp_path / "blank.txt", tmp_path / "a.jsonl"
    empty.write_text("")
    blank.write_text("\n \n")
    table.write_text('{"text": "a cat"}\n{"text": 3}\n')
    assert "the file is empty" in failed(capsys, "no-model", "--corpus", empty, "--query", "a")
    assert f"{blank}: there is no sentence" in failed(capsys, "no-model", "--corpus", blank, "--query", "a")
    assert f"{table}:2" in failed(capsys, "no-model", "--corpus", table, "--query", "a")
    with pytest.raises(UserError, match="no column of labels"):
        read_sentences(str(blank), "text", "label")


def test_a_model_of_another_task_is_refused(corpus, tmp_path, capsys):
    folder = tmp_path / "tagger"
    assert import_checkpoint.main([str(RECORDED / "distilbert-tokens"), str(folder), "--quiet"]) == 0
    assert "this model is of tag" in failed(capsys, folder, "--corpus", corpus, "--query", "a")


def counts_of_words(texts: Sequence[str]) -> np.ndarray:
    """What an embedder would give that only counts."""
    found = np.array([[text.split().count(word) for word in ("cat", "dog", "mat", "on")] for text in texts], "float32")
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_map_of_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sentences, "open_embedder", lambda path: Embedder(counts_of_words, path))
    monkeypatch.setattr(look_commands, "MAPPED", 3)
    table, page = tmp_path / "my.tsv", tmp_path / "map.html"
    table.write_text("topic\ttext\n" + "".join(f"t{number}\t{line}\n" for number, line in enumerate(LINES)))
    asked = ["map", "counts", "--input", str(table), "--output", str(page), "--quiet"]
    assert look.main([*asked, "--labels", "topic"]) == 0
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data["texts"] == ["the cat sat", "a dog sat on the mat", "the cat sat"]
    assert data["labels"] == ["t0", "t3", "t4"] and data["cosines"][0][0] == 1.0
    assert data["places"][0] == data["places"][2] != data["places"][1]
    assert "3 of 4 sentences: my.tsv" in text
    assert imread(tmp_path / "map.png")[..., :3].std() > 0.05
    capsys.readouterr()
    assert look.main([*asked, "--labels", "topics"]) == 2
    assert 'no column "topics"' in capsys.readouterr().err
    table.write_text("text\none\ntwo\n")
    assert look.main(asked) == 2
    assert "at least 3 sentences, and here are 2" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_home_finds_the_same(run, corpus, tmp_path, capsys):
    pytest.importorskip("tensorflow_text")
    home = tmp_path / "home"
    assert embed.main(["export", str(run), str(home), "--quiet"]) == 0
    asked = ("--corpus", corpus, "--query", "a cat", "--json")
    ours, theirs = (json.loads(search(capsys, model, *asked)) for model in (run, home))
    assert [row["line"] for row in ours["found"]] == [row["line"] for row in theirs["found"]]
    scores = ([row["score"] for row in each["found"]] for each in (ours, theirs))
    assert next(scores) == pytest.approx(next(scores), abs=2e-4)
