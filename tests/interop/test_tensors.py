"""The files of weights: one or several, torn, missing, of another kind."""

import hashlib
import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from zoo.errors import UserError
from zoo.interop.tensors import Tensors

A, B = np.arange(6, dtype="float32").reshape(2, 3), np.array([1.5, -2.0], ml_dtypes.bfloat16)


def sharded(folder, listed=None):
    save_file({"a": A}, folder / "model-1.safetensors")
    save_file({"b": B}, folder / "model-2.safetensors")
    listed = listed or {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    return folder


def test_one_file_and_several_give_the_same(tmp_path):
    (tmp_path / "one").mkdir()
    save_file({"a": A, "b": B}, tmp_path / "one" / "model.safetensors")
    (tmp_path / "two").mkdir()
    for tensors in Tensors(tmp_path / "one"), Tensors(sharded(tmp_path / "two")):
        assert set(tensors) == {"a", "b"} and "c" not in tensors
        np.testing.assert_array_equal(tensors["a"], A)
        np.testing.assert_array_equal(tensors["b"], B)
        for path in tensors.files:
            assert tensors.hashes()[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert not tensors["a"].flags.owndata and not tensors["a"].flags.writeable  # a view of the file
    assert [path.name for path in tensors.files] == ["model-1.safetensors", "model-2.safetensors"]


@pytest.mark.parametrize(
    "listed, told",
    [
        ({"a": "model-1.safetensors", "b": "model-3.safetensors"}, "it lists model-3.safetensors"),
        ({"a": "../model-1.safetensors"}, "it lists ../model-1.safetensors"),
        ({"a": "model-1.safetensors", "b": "model-1.safetensors"}, "b is not in it, as the index says"),
        ({"a": "model-1.safetensors", "c": "model-2.safetensors"}, "c is not in it, as the index says"),
        ({"a": 1}, "no \"weight_map\""),
    ],
)  # fmt: skip
def test_an_index_that_does_not_hold_is_told(tmp_path, listed, told):
    save_file({"a": A}, tmp_path.parent / "model-1.safetensors")
    with pytest.raises(UserError, match=told) as caught:
        Tensors(sharded(tmp_path, listed))
    assert str(tmp_path) in caught.value.where


def test_a_tensor_in_two_files_is_told(tmp_path):
    sharded(tmp_path)
    save_file({"a": A, "b": B}, tmp_path / "model-2.safetensors")
    with pytest.raises(UserError, match="a is in model-1.safetensors too"):
        Tensors(tmp_path)


@pytest.mark.parametrize("keep", [0, 4, 60, 0.9])
def test_a_truncated_file_is_named_with_what_to_do(tmp_path, keep):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(500, "float32")}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(UserError, match="not a whole safetensors file") as caught:
        Tensors(tmp_path)
    assert caught.value.where == str(path) and "Fetch" in caught.value.remedy


def test_a_dtype_that_is_not_read_is_told(tmp_path):
    save_file({"small": np.zeros(3, ml_dtypes.float8_e4m3fn)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="small is stored as F8_E4M3"):
        Tensors(tmp_path)


def test_other_formats_and_nothing_at_all(tmp_path):
    with pytest.raises(UserError, match="no weights are here: neither model.safetensors nor pytorch_model.bin"):
        Tensors(tmp_path)
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(UserError, match="only tf_model.h5 is here") as caught:
        Tensors(tmp_path)
    assert "save_pretrained" in caught.value.remedy
