"""Presets of KerasHub: recorded folders with what KerasHub computed, and what is refused.

To record them anew (keras-hub 0.32): python -m tests.interop.keras_hub_presets
"""

import shutil

import h5py
import pytest
from safetensors.numpy import load_file

from tests.arrays import array, assert_near
from tests.interop.checkpoints import EXPECTED, RECORDED
from tests.interop.test_huggingface import built, changed, put
from zoo.errors import UserError
from zoo.interop.keras_hub import is_preset, read

BERT, DISTILBERT = (RECORDED / f"kerashub-{name}" for name in ("bert", "distilbert"))


@pytest.mark.parametrize("folder", [BERT, DISTILBERT], ids=lambda folder: folder.name)
def test_hidden_states_are_those_of_kerashub(folder):
    expected = load_file(folder / EXPECTED)
    given = {key: expected[key] for key in ("ids", "mask", "segments")}
    imported = read(folder)
    model, real = built(imported), given["mask"]
    assert_near(array(model.hidden(given))[real], expected["hidden"][real])
    if "output" in expected:
        assert_near(array(model(given)), expected["output"])
    assert imported.task == "embed" and imported.subwords.decode(imported.subwords.encode("The CAT")) == "the cat"


def test_a_preset_is_told_from_a_checkpoint():
    assert is_preset(BERT) and not is_preset(RECORDED / "bert-sentences") and not is_preset(RECORDED)


def copied(folder, to):
    return shutil.copytree(folder, to, dirs_exist_ok=True)


def test_every_weight_is_used_once_or_the_list_is_told(tmp_path):
    folder = copied(BERT, tmp_path)
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        del file["layers/dense/vars/1"]
        file["layers/dense_1/vars/0"] = [1.0]
    with pytest.raises(UserError, match="missing: bert/pooler/dense/bias; not used: layers/dense_1/vars/0") as caught:
        read(folder)
    assert caught.value.where == str(folder / "model.weights.h5")


@pytest.mark.parametrize(
    "file, change, told",
    [
        ("config.json", put(class_name="GPT2Backbone"), '"GPT2Backbone" is not one that is read'),
        ("config.json", lambda fields: fields["config"].pop("num_heads"), "it has no num_heads"),
        ("config.json", lambda fields: fields["config"].update(num_heads=3), "num_heads: 3 heads do not divide"),
        ("config.json", lambda fields: fields["config"].update(vocabulary_size=9), "pieces, not 9"),
        ("config.json", lambda fields: fields["config"].update(intermediate_dim=13), "do not fit the model"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, file, change, told):
    folder = copied(BERT, tmp_path)
    changed(folder / file, change)
    with pytest.raises(UserError, match=told) as caught:
        read(folder)
    assert str(folder) in caught.value.where


def test_torn_weights_and_other_tasks_are_told(tmp_path):
    folder = copied(BERT, tmp_path)
    whole = (folder / "model.weights.h5").read_bytes()
    (folder / "model.weights.h5").write_bytes(whole[:2000])
    with pytest.raises(UserError, match="not a whole file of Keras weights"):
        read(folder)
    with pytest.raises(UserError, match='not for the task "tag"'):
        read(folder, "tag")
