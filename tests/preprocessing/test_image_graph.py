"""The graph face of images gives the pixels of the host face, for every kind of file, out of a SavedModel too."""

import numpy as np
import PIL.Image
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import needs_data
from tests.preprocessing.image_files import bad_files, files, picture, real_files, saved, with_orientation
from zoo.errors import UserError
from zoo.preprocessing.image import Image, ImageChoices

tf = pytest.importorskip("tensorflow")

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a graph is too slow to shrink an example by
CHOICES = {
    "crop": ImageChoices(height=56, width=64, crop_share=0.875, interpolation="bicubic", most_pixels=100_000),
    "stretch": ImageChoices(height=40, width=20, fit="stretch", mean=(0.485, 0.456, 0.406), deviation=(0.2, 0.3, 0.4)),
    "pad": ImageChoices(height=32, width=32, fit="pad", mean=(0.3, 0.5, 0.7)),
    "grey": ImageChoices(height=28, width=28, channels=1, mean=(0.2,)),
}


class Faces:
    """Both faces; the graph is traced once."""

    def __init__(self, choices: ImageChoices) -> None:
        self.host = Image(choices)
        self.graph = self.host.graph()
        self.encode = tf.function(self.graph.encode, input_signature=[tf.TensorSpec([None], tf.string)])

    def assert_same(self, images: dict[str, bytes]) -> None:
        """The same pixels, and sizes; the two convert CMYK each in its own way."""
        got, ok, sizes = (each.numpy() for each in self.encode(list(images.values())))
        unit = 1 / 255 / np.broadcast_to(self.host.choices.deviation, self.host.choices.channels)
        for row, (name, file) in enumerate(images.items()):
            frame, geometry = self.host.encode(file)
            assert ok[row], name
            assert tuple(sizes[row]) == (geometry.height, geometry.width), name
            difference = np.abs(got[row] - self.host.normalise(frame)) / unit
            assert difference.max() < ("cmyk" in name) + 1e-3, name


@pytest.fixture(scope="module")
def faces() -> dict[str, Faces]:
    return {name: Faces(choices) for name, choices in CHOICES.items()}


@pytest.mark.parametrize("name", CHOICES)
def test_same_pixels_of_every_kind_of_file(faces, name):
    faces[name].assert_same(files())


@needs_data("vision/imagenette")
def test_same_pixels_of_real_files(faces):
    faces["crop"].assert_same(dict(real_files("val", every=20)))


@settings(max_examples=15, phases=PHASES)
@given(
    st.integers(1, 300), st.integers(1, 300), st.sampled_from(["crop", "pad"]), st.integers(0, 9), st.sampled_from("<>")
)
def test_same_pixels_at_every_size(faces, height, width, name, orientation, order):
    faces[name].assert_same(
        {
            "png": saved(PIL.Image.fromarray(picture(height, width, seed=orientation)), "PNG"),
            "turned": with_orientation(orientation, order),
        }
    )


def test_a_bad_row_fails_alone_and_there_may_be_none(faces):
    both = faces["crop"]
    bad, good = bad_files(), files()["jpeg"]
    rows = [row for file in bad.values() for row in (file, good)]
    images, ok, sizes = (each.numpy() for each in both.encode(rows))
    for row, name in enumerate(bad):
        assert not ok[2 * row] and ok[2 * row + 1], name
        assert not images[2 * row].any() and not sizes[2 * row].any(), name
        np.testing.assert_array_equal(images[2 * row + 1], images[1])
        with pytest.raises(UserError):
            both.host.encode(bad[name])
    images, ok, sizes = both.encode(tf.zeros([0], tf.string))
    assert (images.shape, ok.shape, sizes.shape) == ((0, 56, 64, 3), (0,), (0, 2))


@settings(max_examples=40, phases=PHASES)
@given(st.sampled_from(list(files())), st.floats(0, 1), st.integers(0, 255), st.booleans())
def test_damaged_files(faces, kind, where, value, cut):
    """One byte changed, or an end cut off: a row that is not ok, or an error of the decoder; where both faces take it,
    it has the same size."""
    file = bytearray(files()[kind])
    at = int(where**3 * (len(file) - 1))  # headers above all
    file[at : None if cut else at + 1] = b"" if cut else bytes([value])
    try:
        _, ok, sizes = faces["crop"].encode([bytes(file)])
        _, geometry = faces["crop"].host.encode(bytes(file))
    except (tf.errors.InvalidArgumentError, UserError):
        return
    if ok[0]:
        assert tuple(sizes[0].numpy()) == (geometry.height, geometry.width)


@pytest.mark.parametrize("name", ["crop", "stretch", "pad"])
def test_boxes_back(faces, name):
    both, sizes = faces[name], [(37, 53), (300, 20), (0, 0)]
    boxes = np.random.default_rng(0).uniform(0, 30, (3, 5, 4)).astype(np.float32)
    back = both.graph.to_original(tf.constant(boxes), tf.constant(sizes)).numpy()
    for row, (height, width) in enumerate(sizes[:2]):
        _, geometry = both.host.frame(picture(height, width))
        np.testing.assert_allclose(back[row], geometry.to_original(boxes[row]), rtol=1e-6, atol=1e-4)
    assert not back[2].any()


@pytest.mark.slow
def test_out_of_a_saved_model(faces, tmp_path):
    both = faces["crop"]
    module = tf.Module()
    module.image, module.encode = both.graph, both.encode
    tf.saved_model.save(module, str(tmp_path))
    rows = [files()["jpeg, orientation 6"], b"no image", files()["gif, transparent"]]
    for expected, got in zip(both.encode(rows), tf.saved_model.load(str(tmp_path)).encode(tf.constant(rows))):
        np.testing.assert_array_equal(expected, got)
