"""ViT and DeiT of transformers in and out: recorded folders with what transformers computed, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.arrays import array, assert_near
from tests.conformance import Family
from tests.interop.checkpoints import EXPECTED, RECORDED
from tests.interop.image_checkpoints import PIXELS
from tests.interop.test_huggingface import changed
from zoo.errors import UserError
from zoo.interop.huggingface_images import read, write
from zoo.interop.image_json import made_pixels, read_pixels
from zoo.models.vit import Config, Vit
from zoo.preprocessing.image import ImageChoices

NAMES = ("vit-classify", "deit-distilled")


def built(imported):
    """The model with the weights of an import, each of which it has to have."""
    model = Vit(imported.config)
    variables = {variable.path: variable for variable in model.weights}
    assert variables.keys() == imported.weights.keys()
    for path, value in imported.weights.items():
        variables[path].assign(value)
    return model


def copied(name, folder):
    shutil.copytree(RECORDED / name, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_hidden_states_attention_and_answers_are_those_of_transformers(name):
    expected = load_file(RECORDED / name / EXPECTED)
    imported = read(RECORDED / name)
    model, given = built(imported), {"images": expected["images"]}
    assert_near(model.hidden(given), expected["hidden"])
    assert_near(model(given), expected["output"])
    assert_near(model.attention(given), expected["attention"])
    assert imported.labels == ["cat", "crane", "crane (2)"]
    assert imported.pixels == ImageChoices(
        height=8, width=12, fit="stretch", mean=(0.5, 0.4, 0.3), deviation=(0.5, 0.25, 0.2)
    )
    assert imported.about["left_out"] == [] and imported.about["name"] == name
    assert list(imported.about["files"]) == ["model.safetensors"]


@pytest.mark.parametrize("name", NAMES)
def test_out_and_in_again_nothing_is_lost(tmp_path, name):
    imported = read(RECORDED / name)
    write(built(imported), imported.pixels, tmp_path / "out", imported.labels)
    again = read(tmp_path / "out")
    assert (again.config, again.pixels, again.labels) == (imported.config, imported.pixels, imported.labels)
    assert again.weights.keys() == imported.weights.keys()
    for path, value in imported.weights.items():
        np.testing.assert_array_equal(again.weights[path], value)
    with pytest.raises(UserError, match="there already"):
        write(built(imported), imported.pixels, tmp_path / "out", imported.labels)


@pytest.mark.parametrize(
    "change, file, problem",
    [
        ({"model_type": "swin"}, "config.json", 'the architecture "swin" is not one that is read'),
        ({"qkv_bias": False}, "config.json", "qkv_bias = false is not supported"),
        ({"architectures": ["ViTForMaskedImageModeling"]}, "config.json", '"ViTForMaskedImageModeling" is not one'),
        ({"image_size": None}, "config.json", "it has no image_size"),
        ({"patch_size": [4, 2]}, "config.json", "no squares"),
        ({"patch_size": 5}, "config.json", "image_height: patches of 5 pixels do not divide 8 pixels"),
        ({"num_attention_heads": 3}, "config.json", "num_attention_heads: 3 heads do not divide the width 8"),
        ({"hidden_act": "quick_gelu"}, "config.json", "hidden_act = 'quick_gelu' is not supported"),
        ({"intermediate_size": 16}, "model.safetensors", r"must be \(16, 8\)"),
        ({"num_hidden_layers": 1}, "model.safetensors", "not used: vit.encoder.layer.1"),
        ({"num_hidden_layers": 3}, "model.safetensors", "missing: vit.encoder.layer.2"),
        ({"image_size": [16, 12]}, "preprocessor_config.json", "another size than the model's 16 × 12"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, change, file, problem):
    folder = copied("vit-classify", tmp_path)
    changed(folder / "config.json", lambda fields: fields.update(change))
    with pytest.raises(UserError, match=problem) as caught:
        read(folder)
    assert caught.value.where == str(folder / file)


def test_a_folder_without_its_pixels_is_refused(tmp_path):
    folder = copied("vit-classify", tmp_path)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="missing") as caught:
        read(folder)
    assert caught.value.where.endswith("preprocessor_config.json")
    with pytest.raises(UserError, match="no folder"):
        read(folder / "nowhere")


SQUARE = Config(image_height=224, image_width=224)
CROP = {"do_center_crop": True, "crop_size": 224}


@pytest.mark.parametrize(
    "change, fit, share",
    [
        ({"size": 224}, "stretch", 1.0),
        ({"size": {"height": 224, "width": 224}, "crop_size": 100}, "stretch", 1.0),  # no do_center_crop
        ({"size": 256, **CROP}, "stretch", 0.875),
        ({"size": {"shortest_edge": 256}, **CROP, "crop_size": {"height": 224, "width": 224}}, "crop", 0.875),
        ({"size": {"shortest_edge": 224}, **CROP}, "crop", 1.0),
    ],
)
def test_how_images_are_made_to_fit(tmp_path, change, fit, share):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**PIXELS, "resample": 3, **change}))
    found = read_pixels(tmp_path, SQUARE)
    assert (found.fit, found.crop_share, found.interpolation) == (fit, share, "bicubic")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(made_pixels(found)))
    assert read_pixels(tmp_path, SQUARE) == found


def test_pixels_that_are_not_normalised(tmp_path):
    fields = {**PIXELS, "size": 224, "do_normalize": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(fields))
    found = read_pixels(tmp_path, SQUARE)
    assert (found.mean, found.deviation) == ((0.0,), (1.0,))


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"resample": 1}, "resample = 1 is not supported"),
        ({"do_rescale": False}, "not divided by 255"),
        ({"rescale_factor": 1 / 127.5}, "not divided by 255"),
        ({"do_resize": False}, "do_resize = false"),
        ({"size": 256}, "another size than the model's 224 × 224"),
        ({"size": {"shortest_edge": 224}}, "another size"),
        ({"size": 200, **CROP}, "share of both sides"),
        ({"size": {"height": 256, "width": 300}, **CROP}, "share of both sides"),
        ({"size": "large"}, "size must be a whole number"),
    ],
)
def test_pixels_that_are_made_otherwise_are_refused(tmp_path, change, problem):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**PIXELS, "size": 224, **change}))
    with pytest.raises(UserError, match=problem) as caught:
        read_pixels(tmp_path, SQUARE)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"positions": "sine"}, "positions"),
        ({"pooling": "mean"}, "pooling"),
        ({"registers": 2}, "registers"),
        ({"layer_scale": 0.1}, "layer_scale"),
        ({"qk_norm": True}, "qk_norm"),
        ({"stem": "conv", "stem_layers": 2}, "stem"),
    ],
)
def test_what_transformers_has_no_place_for_is_not_written(tmp_path, changes, field):
    with pytest.raises(UserError, match="has no place") as caught:
        write(Family("vit", **changes).make(), ImageChoices(height=8, width=8), tmp_path / "out")
    assert caught.value.where == f"[model] {field}"
    assert not (tmp_path / "out").exists()


def test_labels_and_outputs_must_agree(tmp_path):
    model = Family("vit", head="classify").make()
    with pytest.raises(UserError, match="2 labels for 5 outputs"):
        write(model, ImageChoices(height=8, width=8), tmp_path / "out", ["a", "b"])


def test_padding_has_no_place_in_transformers():
    with pytest.raises(UserError, match="pad"):
        made_pixels(ImageChoices(fit="pad"))


def test_an_encoder_without_head_goes_out_bare(tmp_path):
    model = Family("vit", registers=1).model
    write(model, ImageChoices(height=8, width=8), tmp_path / "out")
    assert "embeddings.distillation_token" in load_file(tmp_path / "out" / "model.safetensors")
    again = read(tmp_path / "out")
    assert again.about["architecture"] == "DeiTModel" and again.labels == []
    inputs = Family("vit", registers=1).inputs()
    assert (array(built(again)(inputs)) == array(model(inputs))).all()
