"""Imported ViT and DeiT beside transformers itself: every class, sizes of many shapes, both ways, and their pixels."""

import io
import json

import numpy as np
import pytest

from tests.arrays import assert_near
from tests.interop import image_checkpoints as theirs
from tests.interop.test_huggingface_images import built
from zoo.interop.huggingface_images import read, write
from zoo.models.vit import Vit, at_size
from zoo.preprocessing.image import Image

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SHAPES = {
    "wide": {},
    "square": {"hidden_size": 24, "num_attention_heads": 6, "num_hidden_layers": 3, "image_size": 15, "patch_size": 5},
    "grey": {
        "image_size": [6, 2],
        "patch_size": 2,
        "num_channels": 1,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-3,
    },
}
MODELS = [(name, "wide") for name in theirs.NAMES] + [(theirs.NAMES[1], "square"), (theirs.NAMES[-1], "grey")]
CROP = {"do_center_crop": True, "crop_size": {"height": 24, "width": 24}}


def pixels(config):
    height, width = np.broadcast_to(config.image_size, 2).tolist()
    channels = config.num_channels
    changed = {
        "size": {"height": height, "width": width},
        "image_mean": [0.5] * channels,
        "image_std": [0.5] * channels,
    }
    return {**theirs.PIXELS, **changed}


@pytest.mark.parametrize("name, shape", MODELS)
def test_a_random_model_in_and_out(tmp_path, name, shape):
    model = theirs.make(name, **SHAPES[shape])
    theirs.save(model, tmp_path / "in", pixels(model.config))
    imported = read(tmp_path / "in")
    ours = built(imported)
    given = theirs.images(imported.config.image_height, imported.config.image_width, imported.config.channels)
    expected = theirs.outputs(model, given)
    assert_near(ours.hidden({"images": given}), expected["hidden"])
    assert_near(ours({"images": given}), expected["output"])
    assert_near(ours.attention({"images": given}), expected["attention"])

    write(ours, imported.pixels, tmp_path / "out", imported.labels)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == [name]
    again = getattr(transformers, name).from_pretrained(tmp_path / "out", attn_implementation="eager").eval()
    for key, value in theirs.outputs(again, given).items():
        assert_near(value, expected[key], 1e-6)


def test_another_resolution_is_that_of_transformers(tmp_path):
    model = theirs.make("ViTForImageClassification", image_size=12)
    theirs.save(model, tmp_path, pixels(model.config))
    imported = read(tmp_path)
    new = type(imported.config)(**{**vars(imported.config), "image_height": 20, "image_width": 28})
    ours = Vit(new)
    weights = at_size(imported.weights, imported.config, new)
    for variable in ours.weights:
        variable.assign(weights[variable.path])
    given = theirs.images(20, 28)
    with torch.no_grad():
        fed = torch.from_numpy(given).permute(0, 3, 1, 2)
        expected = model(fed, interpolate_pos_encoding=True).logits.numpy()
    assert_near(ours({"images": given}), expected)


@pytest.mark.parametrize(
    "change",
    [
        {"size": {"height": 24, "width": 24}},
        {"size": {"height": 24, "width": 24}, "resample": 3, "do_normalize": False},
        {"size": {"height": 32, "width": 32}, "resample": 3, **CROP},
        {"size": {"shortest_edge": 32}, **CROP},
    ],
    ids=["stretch", "plain", "stretch and crop", "crop"],
)
def test_pixels_are_those_of_its_image_processor(tmp_path, change):
    from PIL import Image as Pillow

    model = theirs.make("ViTModel", image_size=24)
    kind = "DeiTImageProcessor" if "do_center_crop" in change else "ViTImageProcessor"
    theirs.save(model, tmp_path, {**theirs.PIXELS, "image_processor_type": kind, **change})
    picture = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    file = io.BytesIO()
    picture.save(file, "png")
    image = Image(read(tmp_path).pixels)
    found = image.normalise(image.encode(file.getvalue())[0])
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    expected = np.asarray(processor(picture, return_tensors="np")["pixel_values"])[0].transpose(1, 2, 0)
    deviation = np.float32(image.choices.deviation)
    assert np.abs((found - expected) * deviation * 255).max() <= 1.001
