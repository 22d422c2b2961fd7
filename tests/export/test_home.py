"""Model homes: what stands in them, what they answer, and what goes wrong without a trace."""

import json
import shutil

import numpy as np
import pytest

import zoo
from apps.commands.export import export_run
from zoo.errors import UserError
from zoo.export import home as homes
from zoo.export.audit import audit
from zoo.export.loaded import versions

FROZEN = {
    "serving_default": (["text"], ["score", "text", "truncated"]),
    "n_best": (["text"], ["scores", "texts"]),
    "sample": (["text"], ["score", "text", "truncated"]),
    "attention": (["text"], ["source_count", "source_pieces", "target_count", "target_pieces", "weights"]),
}
TEXTS = ["one two", "six five four three", "two two two two two", "three", "one six one"]


@pytest.fixture(scope="module")
def model(home):
    return zoo.load(home)


def test_the_names_are_frozen(home):
    described = json.loads((home / "1" / "assets.extra" / "signatures.json").read_text())
    names = {n: (sorted(s["inputs"]), sorted(s["outputs"])) for n, s in described["signatures"].items()}
    assert names == FROZEN and described["format"] == 1


def test_a_version_is_whole_in_itself(home):
    extra = home / "1" / "assets.extra"
    for name in ("README.md", "recipe.toml", "scores.json", "curve.png", "tf_serving_warmup_requests"):
        assert (extra / name).stat().st_size, name
    assert (home / "README.md").read_text() == (extra / "README.md").read_text()
    assert {path.name for path in home.iterdir()} == {"1", "README.md", "batching_parameters.txt"}
    scores = json.loads((extra / "scores.json").read_text())
    assert [each["name"] for each in scores["scores"]] == ["BLEU", "chrF2"]


def test_it_answers_as_the_model_does(run, model):
    expected = run.task.predict_n_best(run.model(), TEXTS)
    rows = list(model.rows("serving_default", TEXTS))
    assert [row["text"] for row in rows] == [texts[0] for texts, _ in expected]
    np.testing.assert_allclose([row["score"] for row in rows], [scores[0] for _, scores in expected], rtol=1e-4)


def test_neighbours_change_nothing(model):
    alone = [next(model.rows("serving_default", [text])) for text in TEXTS]
    for one, together in zip(alone, model.rows("serving_default", [*TEXTS, "one " * 30]), strict=False):
        assert one["text"] == together["text"]
        assert one["score"] == pytest.approx(together["score"], rel=1e-4)


def test_any_text_is_answered(model):
    odd = ["", "x" * 100_000, "😀 👩‍👩‍👧", b"\xff\xfe broken \xc3", "\x00", "one\ntwo"]
    rows = list(model.rows("serving_default", odd))
    assert rows[0]["text"] == "" and [row["truncated"] for row in rows] == [False, True, False, False, False, False]
    assert all(isinstance(row["text"], str) for row in rows)
    assert list(model.rows("serving_default", [])) == []


def test_the_best_comes_first(model):
    for (texts, scores), best in zip(model.n_best(TEXTS), model(TEXTS), strict=True):
        assert texts[0] == best and len(set(texts)) == len(texts) == 3
        assert scores == sorted(scores, reverse=True)


def test_attention_is_over_the_pieces(model):
    for found in model.attention(TEXTS):
        assert found.weights.shape == (len(found.target_pieces), len(found.source_pieces))
        np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, rtol=1e-5)


def test_one_string_is_not_a_list_of_strings(model):
    with pytest.raises(UserError, match="list of texts"):
        model("one two")


def test_the_operator_finds_stock_ops(home):
    report = audit(home / "1", without_python=False)
    assert report.verdict.startswith("stock") and {each.rule for each in report.findings} == {"random"}
    described = json.loads((home / "1" / "assets.extra" / "signatures.json").read_text())["audit"]
    assert described["passed"] and described["verdict"] == report.verdict


def test_the_next_free_number_is_taken_and_one_that_exists_is_refused(run, home, tmp_path):
    other = tmp_path / "tiny"
    shutil.copytree(home, other)
    with pytest.raises(UserError, match="version 1 exists"):
        export_run(run, other, version=1)
    assert homes._number(other, None) == 2
    assert versions(other) == [1]


def test_a_version_that_fails_its_check_never_appears(run, tmp_path, monkeypatch):
    monkeypatch.setattr(homes.savedmodel, "try_in_fresh_process", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_run(run, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_a_different_answer_is_refused():
    with pytest.raises(UserError, match="where the model itself answers"):
        homes.savedmodel.check_answers(
            ["a"], {"text": ["b"], "score": [0.1]}, {"text": ["c"], "score": [0.2]}, ["text"]
        )
