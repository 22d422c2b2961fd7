"""`zoo look`: pages of a classifier that was imported, from its run and from its model home."""

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.image import imread

from apps import classify_text, import_checkpoint
from apps.look import main
from tests.interop.checkpoints import LABELS, RECORDED, needs_bytepair
from tests.viz.test_importance import needs_gradient
from zoo.data.plan import Shape
from zoo.run import Run

pytestmark = needs_bytepair
TEXT = "the film was good"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "roberta"
    assert import_checkpoint.main([str(RECORDED / "roberta-classify"), str(folder), "--quiet"]) == 0
    return folder


def look(*arguments: Any) -> None:
    assert main([*map(str, arguments), "--quiet"]) == 0


def failed(capsys: Any, *arguments: Any) -> str:
    assert main([*map(str, arguments)]) == 2
    return capsys.readouterr().err


def data_of(page: Path) -> dict[str, Any]:
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"))[1])


def test_attention_of_every_layer_and_head(run: Path, tmp_path: Path):
    look("attention", run, TEXT, "--pair", "so it was", "--output", tmp_path / "page.html")
    data, opened = data_of(tmp_path / "page.html"), Run.open(run)
    ids = opened.task.encode_inputs([TEXT, "so it was"])["ids"]
    assert data["pieces"] == opened.task.subwords.pieces(ids)
    weights, config = np.array(data["weights"]), opened.recipe.model.config
    assert weights.shape == (config.layers, config.heads, len(ids), len(ids))
    assert np.abs(weights.sum(-1) - 1000).max() <= len(ids) / 2  # thousandths, rounded
    assert f"<h1>Attention: {TEXT} | so it was</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")


@needs_gradient
def test_importance_of_a_class_that_is_named_or_the_likeliest(run: Path, tmp_path: Path, capsys):
    page = tmp_path / "page.html"
    look("importance", run, TEXT, "--label", "middle", "--output", page)
    text, opened = page.read_text(encoding="utf-8"), Run.open(run)
    model = opened.model()
    inputs = opened.task.pad_inputs(opened.task.encode_raws([TEXT]), Shape(1, (len(ids_of(opened)),)))
    logits = keras.ops.convert_to_numpy(model(inputs))[0]
    assert f"Logit of “middle”: {logits[1]:.3f}." in text
    assert text.count("<li ") == len(ids_of(opened))
    assert len(re.findall(r"^ *[+−]?\d\.\d\d  \S", capsys.readouterr().out, re.MULTILINE)) == 5
    look("importance", run, TEXT, "--output", page)
    assert f"Logit of “{LABELS['classify'][int(np.argmax(logits))]}”" in page.read_text(encoding="utf-8")


def ids_of(opened: Run) -> np.ndarray:
    return opened.task.encode_raws([TEXT])[0]["ids"]


def test_what_cannot_be_looked_at_is_told_and_nothing_is_written(run: Path, tmp_path: Path, capsys):
    page = tmp_path / "page.html"
    assert "empty text" in failed(capsys, "attention", run, " ", "--output", page)
    assert "ends in .html" in failed(capsys, "attention", run, TEXT, "--output", tmp_path / "page.png")
    assert "no such folder" in failed(capsys, "attention", run, TEXT, "--output", tmp_path / "no" / "page.html")
    assert '"midle"' in failed(capsys, "importance", run, TEXT, "--label", "midle", "--output", page)
    assert "Leave --pair out" in failed(capsys, "importance", run, TEXT, "--pair", "b", "--output", page)
    picture = tmp_path / "confusion.png"
    assert "one test set is wanted" in failed(capsys, "confusion", run, "--output", picture)
    assert "classify_text export" in failed(capsys, "confusion", run, "--test", "x.csv", "--output", picture)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_model_home_shows_the_same(run: Path, tmp_path: Path):
    pytest.importorskip("tensorflow_text")
    home = tmp_path / "home"
    assert classify_text.main(["export", str(run), str(home), "--quiet"]) == 0
    for name, model in (("run", run), ("home", home)):
        look("attention", model, TEXT, "--output", tmp_path / f"{name}.html")
    ours, theirs = (data_of(tmp_path / f"{name}.html") for name in ("run", "home"))
    assert ours["pieces"] == theirs["pieces"]
    assert np.abs(np.array(ours["weights"]) - np.array(theirs["weights"])).max() <= 1
    (tmp_path / "test.csv").write_text(f"text,label\n{TEXT},low\nso it was,high\n")
    look("confusion", home, "--test", tmp_path / "test.csv", "--output", tmp_path / "confusion.png")
    assert imread(tmp_path / "confusion.png")[..., :3].std() > 0.05
