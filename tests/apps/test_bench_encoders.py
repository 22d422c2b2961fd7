"""`bench finetune`, `bench classify` and `bench peer-scores`: that they compare like with like, on tiny encoders."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from apps.bench import main
from apps.benches import classify, finetune, peer_scores, to_onnx
from tests.conftest import run_python
from tests.interop.checkpoints import RECORDED
from zoo.errors import UserError

SENTENCES = str(RECORDED / "bert-sentences")
FEW = ("data.max_length=24", "training.steps=4", "training.warmup=1", "training.evaluate_every=0")


def asked(**choices) -> Namespace:
    usual = {"model": SENTENCES, "recipe": "debug", "overrides": list(FEW), "freeze": "none", "precision": "float32"}
    return Namespace(**{**usual, **choices})


def test_a_recipe_becomes_what_both_sides_can_do():
    start = finetune.start_of(Path(SENTENCES))
    wished = asked(recipe="sst2", overrides=[*FEW, "model.dropout=0.3"], freeze="embeddings")
    recipe = finetune._recipe(wished, start)
    assert recipe.model.pooler == "cls_dense" and start.recipe.model.pooler == "mean"
    assert recipe.model.config.width == start.recipe.model.config.width == 8
    assert (recipe.training.layer_decay, recipe.training.label_smoothing) == (1.0, 0.0)
    assert (recipe.training.freeze, recipe.training.steps, recipe.model.dropout) == ("embeddings", 4, 0.3)
    with pytest.raises(UserError, match="a recipe of classify_text"):
        finetune._recipe(asked(recipe="zoo/recipes/embed/debug.toml"), start)
    with pytest.raises(UserError, match="the bench holds training.accumulate=1") as caught:
        finetune._recipe(asked(overrides=[*FEW, "training.accumulate=2"]), start)
    assert caught.value.where == "--set training.accumulate=2"


def test_what_is_not_the_same_model_is_told(capsys):
    first = {"zoo": {"weights": 10, "loss": 0.70001}, "transformers": {"weights": 10, "loss": 0.7}}
    assert finetune._differences(first, "float32") == []
    other = {**first, "transformers": {"weights": 12, "loss": 0.75}}
    told = finetune._differences(other, "float32")
    assert told == [
        "transformers learns 12 weights, zoo 10",
        "the first loss is 0.750000 for transformers, 0.700010 for zoo",
    ]
    assert finetune._differences(other, "bfloat16") == told[:1]  # where losses differ by the precision
    speeds = {"zoo": [200.0, 300.0, 100.0], "transformers": [100.0, 100.0, 100.0]}
    ratios = {"transformers": [2.0, 3.0, 1.0]}
    cell = {"threads": 1, "first": other, "tokens_per_second": speeds, "ratios": ratios, "processor_ratios": ratios}
    finetune.show(
        {"cells": [{**cell, "peak_mb": {"zoo": 7, "transformers": 5}}], "sides": ["zoo", "transformers"]}
        | {"recipe": "debug", "set": "", "budget": 64, "broken": told, "processor": "a processor", "cores": 2}
    )
    said = capsys.readouterr().out
    assert "2.00 (1.00 to 3.00)" in said and "10 weights learn" in said
    assert "NOT THE SAME: transformers learns 12 weights, zoo 10" in said


def test_mistakes_of_the_user(capsys, tmp_path):
    assert main(["finetune", str(tmp_path)]) == 2
    assert "no version of a model is here" in capsys.readouterr().err
    start = finetune.start_of(Path(SENTENCES))
    with pytest.raises(UserError, match='the peer has no head for the task "fill_mask"'):
        peer_scores._recipe(asked(recipe="fill_mask/debug"), start)
    with pytest.raises(UserError, match='unknown task "clasify_text"'):
        peer_scores._recipe(asked(recipe="clasify_text/debug"), start)


def test_a_peer_that_is_missing_is_told(capsys):
    speeds = {"zoo": [200.0, 100.0], "transformers": [100.0, 100.0]}
    cell = {"threads": 1, "batch": 8, "sentences_per_second": speeds, "ratios": {"transformers": [2.0, 1.0]}}
    cell |= {"agreement": {"transformers": 1.0}, "peak_mb": {"zoo": 7, "transformers": 5}}
    classify.show(
        {"cells": [cell], "peers": ["transformers"], "skipped": {"onnxruntime": "not installed: onnx"}}
        | {"set": "debug", "rounds": 2, "processor": "a processor", "cores": 2}
    )
    said = capsys.readouterr().out
    assert "1.50 (1.00 to 2.00)" in said and "onnxruntime was skipped; not installed: onnx" in said


@pytest.mark.slow
@pytest.mark.parity
def test_both_sides_learn_the_same_weights_from_the_same_loss(capsys, tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    pytest.importorskip("tensorflow_text")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    few = [part for each in FEW for part in ("--set", each)]
    line = ["finetune", SENTENCES, "--recipe", "debug", "--freeze", "embeddings", "--precision", "bfloat16", *few]
    assert main([*line, "--threads", "1", "--updates", "2", "--rounds", "2", "--quiet", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sides"] == ["zoo", "transformers", "transformers bfloat16"] and not report["broken"]
    (cell,) = report["cells"]
    weights = {side: first["weights"] for side, first in cell["first"].items()}
    blocks = 2 * (4 * (8 * 8 + 8) + 8 * 12 + 12 + 12 * 8 + 8 + 4 * 8)
    assert set(weights.values()) == {blocks + 8 * 8 + 8 + 8 * 2 + 2}  # and pooler and head; no embeddings
    losses = [first["loss"] for first in cell["first"].values()]
    np.testing.assert_allclose(losses, losses[1], rtol=0.01)
    for name in ("tokens_per_second", "tokens_per_processor_second"):
        assert all(len(speeds) == 2 and min(speeds) > 0 for speeds in cell[name].values())


@pytest.mark.parity
@pytest.mark.parametrize(("head", "shape"), [("pool", (2, 8)), ("span", (2, 3, 2))])
def test_padding_alone_gives_the_peer_no_nan(head, shape):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    peer = peer_scores.Peer(Path(SENTENCES), Namespace(head=head, config=Namespace(classes=0, pooler="mean")))
    mask = torch.tensor([[True, True, False], [False, False, False]])
    found = peer({"ids": torch.tensor([[2, 3, 0], [0, 0, 0]]), "mask": mask, "segments": torch.zeros(2, 3).int()}, True)
    found[0].sum().backward()
    assert found.shape == shape
    gradients = [each.grad for each in peer.module.parameters() if each.grad is not None]
    assert gradients and all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert not mask[1].any()  # the caller's is left as it was


@pytest.mark.parity
def test_onnx_runtime_has_the_same_logits_for_any_batch(tmp_path):
    torch, runtime = pytest.importorskip("torch"), pytest.importorskip("onnxruntime")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("onnx")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.BertConfig(vocab_size=60, num_labels=3, initializer_range=0.3, **sizes)
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).eval().save_pretrained(tmp_path)
    to_onnx.convert(tmp_path)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for rows, length in ((1, 3), (4, 11)):
        ids = torch.randint(1, 60, (rows, length))
        mask = torch.ones_like(ids)
        mask[-1, 2:] = 0
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids % 2}
        with torch.inference_mode():
            expected = model(**given).logits.numpy()
        (logits,) = session.run(["logits"], {name: tensor.numpy() for name, tensor in given.items()})
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("recipe", ["classify_text", "tag", "embed", "score_pair"])
def test_the_peer_is_trained_and_scored_by_any_recipe(recipe, tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    line = ["peer-scores", f"{recipe}/debug", SENTENCES, "--json", "--quiet"]
    line += [part for each in FEW for part in ("--set", each)]
    out = run_python(f"from apps.bench import main; main({line!r})", backend="torch", blocked=["tensorflow"])
    report = json.loads(out)
    assert (report["recipe"], report["updates"], report["set"]) == (f"{recipe}/debug", 4, "toy_sentences test")
    assert all(-100 <= score["value"] <= 100 for score in report["scores"])
