import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from tests.conftest import run_python
from zoo.errors import UserError
from zoo.models.bert import PRESETS, Bert
from zoo.viz.importance import Importance, integrated_gradients, write_importance_page

IDS = np.array([[2, 5, 7, 5, 9, 3]], np.int32)
INPUTS = {"ids": IDS, "mask": np.ones(IDS.shape, bool), "segments": np.zeros(IDS.shape, np.int32)}
KEPT = np.isin(IDS[0], [2, 3])


def has_gradient(backend: str) -> bool:
    return find_spec(f"zoo.viz.gradient_{backend}") is not None


needs_gradient = pytest.mark.skipif(not has_gradient(keras.config.backend()), reason="no gradient on this backend yet")


def classifier(**changes) -> Bert:
    """Small, the same on every backend, its weights far enough from zero for logits that differ."""
    model = Bert(replace(PRESETS["debug"], vocabulary=12, head="classify", classes=3, **changes))
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(rng.normal(0, 0.4, variable.shape))
    return model


def logits(model: Bert, inputs: dict = INPUTS) -> np.ndarray:
    return ops.convert_to_numpy(model({name: ops.convert_to_tensor(each) for name, each in inputs.items()}))[0]


@needs_gradient
@pytest.mark.parametrize("label", [0, 2])
def test_shares_add_up_to_what_the_text_changes(label: int):
    model = classifier()
    found = integrated_gradients(model, INPUTS, label, KEPT)
    # Independently: the model whose embeddings of the told pieces are zero.
    expected = logits(model)[label]
    model.token_embedding.table.assign(
        np.where(np.isin(np.arange(12), [2, 3])[:, None], ops.convert_to_numpy(model.token_embedding.table), 0)
    )
    empty = logits(model)[label]
    assert found.logit == pytest.approx(expected, abs=1e-4) and found.baseline == pytest.approx(empty, abs=1e-4)
    assert abs(expected - empty) > 0.05  # there is something to share out
    assert found.shares.sum() == pytest.approx(expected - empty, rel=0.02) and found.gap < 0.02
    assert found.shares[[0, -1]].tolist() == [0.0, 0.0] and np.abs(found.shares[1:-1]).min() > 0


@needs_gradient
def test_a_linear_model_gets_its_own_terms():
    """Without layers the mean of the embeddings and one matrix remain: a piece adds its vector times that, over T."""
    model = classifier(layers=1, embedding_norm=False, pooler="mean")
    model.encoder.blocks = []
    table = ops.convert_to_numpy(model.token_embedding.table)
    kernel = next(each for each in model.head.weights if tuple(each.shape) == (32, 3))
    terms = table[IDS[0]] @ ops.convert_to_numpy(kernel)[:, 1] / IDS.size
    found = integrated_gradients(model, INPUTS, 1, np.zeros(6, bool))
    assert found.shares == pytest.approx(terms, abs=1e-5)


@needs_gradient
def test_the_model_is_the_same_afterwards():
    model = classifier()
    before = logits(model)
    integrated_gradients(model, INPUTS, 0, KEPT)
    assert logits(model).tolist() == before.tolist()
    other = {**INPUTS, "ids": IDS[:, ::-1].copy()}
    assert logits(model, other).tolist() != before.tolist()  # ids are read again


@pytest.mark.slow
@pytest.mark.parametrize("backend", sorted({"tensorflow", "jax", "torch"} - {keras.config.backend()}))
def test_shares_add_up_on_other_backends(backend: str):
    pytest.importorskip(backend)
    if not has_gradient(backend):
        pytest.skip(f"no gradient on {backend} yet")
    code = """
        from tests.viz.test_importance import *
        found = integrated_gradients(classifier(), INPUTS, 2, KEPT)
        assert found.gap < 0.02 and abs(found.logit - found.baseline) > 0.05, found
        """
    run_python(code, backend=backend, timeout=600)


def test_what_has_no_classes_is_refused(monkeypatch):
    model = classifier()
    with pytest.raises(UserError, match="no class 3: they are 0 to 2"):
        integrated_gradients(model, INPUTS, 3, KEPT)
    with pytest.raises(UserError, match='the head of this model is "none"'):
        integrated_gradients(Bert(replace(PRESETS["debug"], vocabulary=12)), INPUTS, 0, KEPT)
    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")
    with pytest.raises(UserError, match="not taken on the Keras backend numpy"):
        integrated_gradients(model, INPUTS, 0, KEPT)


def test_the_page_colours_each_piece_by_its_share(tmp_path: Path):
    found = Importance(np.array([0.0, 1.0, -0.5, 0.001], "float32"), 0.8, 0.3)
    write_importance_page(["[CLS]", "good", "<b>", "film"], found, "R&D", tmp_path / "page.html", "Why “R&D”")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    items = re.findall(r'<li class="(\w+)" style="--weight: ([\d.]+)">(.*?)<small>(.*?)</small>', text)
    assert items == [
        ("for", "0.000", "[CLS]", "0.00"),
        ("for", "1.000", "good", "+1.00"),
        ("against", "0.500", "&lt;b&gt;", "−0.50"),
        ("for", "0.001", "film", "0.00"),
    ]
    assert "Logit of “R&amp;D”: 0.800. Without the pieces it is 0.300; they add +0.501." in text
    assert "0.2 % of it" in text and "{{" not in text
    with pytest.raises(ValueError, match="4 shares are not those of 1 pieces"):
        write_importance_page(["a"], found, "", tmp_path / "no.html", "")
