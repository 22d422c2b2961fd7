"""Images without TensorFlow: what is read, what the frame shows of it, the way back, and what the user is told."""

import io
import json

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import needs_data, run_python
from tests.preprocessing.image_files import bad_files, colour, files, picture, real_files, saved, with_orientation
from zoo.errors import UserError
from zoo.preprocessing.image import Image, ImageChoices

NATURAL = Image(ImageChoices(height=37, width=53))  # the size of the pictures, so that nothing is resized


@pytest.mark.parametrize(
    "kind", ["png", "bmp", "png, grey", "bmp, grey", "gif, grey", "png, palette", "bmp, palette", "gif", "bmp, 32 bits"]
)
def test_lossless_files_are_read_as_they_are(kind):
    """The alpha of a BMP without a mask is nothing."""
    expected = {
        "grey": np.repeat(picture(channels=1), 3, axis=2),
        "palette": np.array(colour().quantize(20).convert("RGB")),
        "32 bits": picture(channels=4, seed=3)[..., :3],
    }
    part = kind.split(", ")[-1]
    right = expected.get("palette" if kind == "gif" else part, picture())
    np.testing.assert_array_equal(NATURAL.read(files()[kind]), right)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg, progressive", "jpeg, grey", "jpeg, whole colour"])
def test_a_jpeg_is_what_pillow_makes_of_it(kind):
    expected = np.array(PIL.Image.open(io.BytesIO(files()[kind])).convert("RGB"))
    np.testing.assert_array_equal(NATURAL.read(files()[kind]), expected)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("number", range(1, 9))
def test_a_jpeg_is_turned_upright(number, order):
    file = with_orientation(number, order)
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(file)))
    np.testing.assert_array_equal(NATURAL.read(file), np.array(expected))


def test_what_is_transparent_lies_on_white():
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 250, 51]]], np.uint8)
    image = Image(ImageChoices()).read(saved(PIL.Image.fromarray(pixels), "PNG"))
    np.testing.assert_array_equal(image, [[[10, 20, 30], [255, 255, 255], [204, 224, 254]]])


def test_sixteen_bits_become_their_upper_eight():
    deep = np.array([[0, 255, 256, 0x1234, 65535]], np.uint16)
    image = Image(ImageChoices(channels=1)).read(saved(PIL.Image.fromarray(deep), "PNG"))
    np.testing.assert_array_equal(image[..., 0], [[0, 0, 1, 0x12, 255]])


def test_grey_of_a_colour_image():
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    image = Image(ImageChoices(channels=1)).read(saved(PIL.Image.fromarray(pixels), "PNG"))
    np.testing.assert_array_equal(image[..., 0], [[76, 150, 29, 9]])


def test_the_first_frame_of_an_animation():
    assert Image(ImageChoices()).read(files()["gif, a part of its screen"]).shape == (30, 37, 3)


@pytest.mark.parametrize("name", bad_files())
def test_bad_files_are_refused(name):
    with pytest.raises(UserError) as error:
        Image(ImageChoices()).encode(bad_files()[name])
    assert error.value.remedy


def test_too_many_pixels_are_refused_by_the_header():
    small = Image(ImageChoices(most_pixels=37 * 53 - 1))
    with pytest.raises(UserError, match="53 pixels wide and 37 high"):
        small.read(files()["jpeg"])
    with pytest.raises(UserError, match="too many pixels"):
        NATURAL.read(bad_files()["huge"])


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "gif"])
def test_a_cut_file_is_refused(kind, share):
    file = files()[kind]
    with pytest.raises(UserError):
        NATURAL.read(file[: int(share * len(file))])


def test_crop_shows_the_middle():
    """As resizing the short side and cutting out the middle does."""
    frame, geometry = Image(ImageChoices(height=28, width=28, crop_share=0.875)).frame(picture(64, 100))
    whole = colour(64, 100).resize((50, 32), PIL.Image.Resampling.BILINEAR).crop((11, 2, 39, 30))
    assert np.abs(frame.astype(int) - np.array(whole)).max() <= 1
    assert geometry[:2] == (64, 100)
    np.testing.assert_allclose(geometry[2:], (4, 22, 2, 2))


def test_stretch_shows_everything():
    frame, geometry = Image(ImageChoices(height=20, width=40, fit="stretch")).frame(picture(64, 100))
    np.testing.assert_array_equal(frame, colour(64, 100).resize((40, 20), PIL.Image.Resampling.BILINEAR))
    assert geometry == (64, 100, 0, 0, 3.2, 2.5)


def test_pad_fills_with_the_mean():
    image = Image(ImageChoices(height=32, width=48, fit="pad", mean=(0.2, 0.4, 0.6), interpolation="bicubic"))
    frame, geometry = image.frame(picture(64, 64))
    np.testing.assert_array_equal(frame[:, :32], colour(64, 64).resize((32, 32), PIL.Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(frame[:, 32:], np.broadcast_to([51, 102, 153], (32, 16, 3)))
    assert np.abs(image.normalise(frame)[:, 32:]).max() < 1e-6
    assert geometry == (64, 64, 0, 0, 2, 2)
    mask = image.frame_mask(np.full((64, 64), 7, np.uint8), outside=255)
    assert (mask[:, :32] == 7).all() and (mask[:, 32:] == 255).all()


def test_a_mask_moves_with_its_image():
    """A colour for each class: the frame's pixels are of the class that the mask says, but for borders."""
    mask = (np.add.outer(np.arange(90) // 30, np.arange(120) // 40) % 3).astype(np.uint8)
    image = Image(ImageChoices(height=24, width=24, crop_share=0.8))
    frame, _ = image.frame(np.repeat(100 * mask[..., None], 3, axis=2))
    moved = image.frame_mask(mask, outside=255)
    inner = np.isin(frame[..., 0], (0, 100, 200))
    assert inner.mean() > 0.5
    np.testing.assert_array_equal(100 * moved[inner], frame[..., 0][inner])


def test_normalise():
    image = Image(ImageChoices(mean=(0.5, 0.25, 0.0), deviation=(0.5, 0.25, 1.0)))
    got = image.normalise(np.array([[255, 255, 255], [0, 0, 0]], np.uint8))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [[1, 3, 1], [-1, -1, 0]])


SIDES = st.integers(1, 400)


@given(SIDES, SIDES, st.sampled_from(["crop", "stretch", "pad"]), SIDES, SIDES)
def test_boxes_there_and_back(height, width, fit, rows, columns):
    frame, geometry = Image(ImageChoices(height=rows, width=columns, fit=fit)).frame(
        np.zeros((height, width, 3), np.uint8)
    )
    assert frame.shape == (rows, columns, 3)
    boxes = np.random.default_rng(height).uniform(0, 1, (5, 4)) * [height, width, height, width]
    back = geometry.to_original(geometry.to_frame(boxes.astype(np.float32)))
    np.testing.assert_allclose(back, boxes, atol=1e-3 * max(height, width))
    whole = geometry.to_original(np.float32([[0, 0, rows, columns]]))
    assert (whole >= 0).all() and (whole <= [height, width, height, width]).all()
    if fit != "crop":
        np.testing.assert_allclose(whole, [[0, 0, height, width]], rtol=1e-6)


def test_saved_and_loaded(tmp_path):
    choices = ImageChoices(height=32, width=48, mean=(0.1, 0.2, 0.3), fit="pad")
    image = Image(choices)
    image.save(tmp_path / "new")
    again = Image.load(tmp_path / "new")
    assert again.choices == choices and again.fingerprint == image.fingerprint
    assert Image(ImageChoices(height=32, width=48)).fingerprint != image.fingerprint


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="image.json: cannot be read"):
        Image.load(tmp_path)
    (tmp_path / "image.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(UserError, match="newer"):
        Image.load(tmp_path)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"mean": (0.1, 0.2)}, "mean"),
        ({"deviation": ()}, "deviation"),
        ({"fit": "pad", "crop_share": 0.9}, "crop_share"),
    ],
)
def test_choices_that_do_not_fit(fields, where):
    with pytest.raises(UserError) as error:
        ImageChoices(**fields)
    assert error.value.where == where


@pytest.mark.parity
@needs_data("vision/imagenette")
def test_pixels_of_transformers():
    """ViT resizes alone; DeiT stretches to 256 and keeps the middle 224."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    assert transformers
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pairs = [
        (ViTImageProcessorPil(), ImageChoices(fit="stretch")),
        (
            DeiTImageProcessorPil(image_mean=mean, image_std=deviation),
            ImageChoices(fit="stretch", crop_share=0.875, interpolation="bicubic", mean=mean, deviation=deviation),
        ),
    ]
    for theirs, choices in pairs:
        ours, unit = Image(choices), 1 / 255 / np.array(choices.deviation)
        for name, file in real_files("val", every=80):
            expected = theirs(PIL.Image.open(io.BytesIO(file)).convert("RGB"), return_tensors="np")["pixel_values"][0]
            got = ours.normalise(ours.encode(file)[0])
            assert (np.abs(got - expected.transpose(1, 2, 0)) / unit).max() < 1.01, name


def test_needs_no_tensorflow():
    run_python(
        """
        from zoo.preprocessing.augment import Augment, AugmentChoices
        from zoo.preprocessing.image import Image, ImageChoices
        Augment(AugmentChoices(), Image(ImageChoices()))
        import sys
        assert "keras" not in sys.modules
        """,
        blocked=["tensorflow"],
    )
