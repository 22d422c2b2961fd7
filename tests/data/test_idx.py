"""idx files: pixels and labels exactly, and headers, sizes and counts that are refused."""

import bz2
import gzip
import io
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from zoo.data.idx import Idx, is_idx
from zoo.data.readers import open_table
from zoo.errors import UserError

BOTH = {"image": "image", "label": "label"}
PACK = {"": lambda raw: raw, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
PIXELS = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4) * 10
LABELS = np.array([1, 0, 2], np.uint8)


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def lay(folder: Path, images: bytes = idx(PIXELS), labels: bytes = idx(LABELS), suffix: str = "") -> dict[str, Path]:
    files = {"image": folder / f"a-images-idx3-ubyte{suffix}", "label": folder / f"a-labels.idx1-ubyte{suffix}"}
    for path, data in zip(files.values(), (images, labels), strict=True):
        path.write_bytes(PACK[suffix](data))
    return files


def pixels(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


@pytest.mark.parametrize("suffix", PACK)
def test_images_and_labels(tmp_path, suffix):
    files = lay(tmp_path, suffix=suffix)
    table = open_table(files, BOTH)
    assert (table.rows, table.files) == (3, tuple(files.values()))
    rows = list(table)
    np.testing.assert_array_equal([pixels(row.values["image"]) for row in rows], PIXELS)
    assert [row.values["label"] for row in rows] == ["1", "0", "2"]
    assert rows[2].place == f"{files['image']}:3"
    assert list(table) == rows


@settings(max_examples=20)
@given(values=arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3)), bounds=st.data())
def test_any_rows_of_any_size(values, bounds, tmp_path_factory):
    first = bounds.draw(st.integers(0, len(values)))
    end = bounds.draw(st.one_of(st.none(), st.integers(first, len(values))))
    files = lay(tmp_path_factory.mktemp("idx"), idx(values), idx(values[:, 0, 0]))
    rows = list(table := Idx(files["image"], files["label"], BOTH, first=first, end=end))
    assert len(rows) == table.rows
    for row, expected in zip(rows, values[first:end], strict=True):
        np.testing.assert_array_equal(pixels(row.values["image"]), expected)
        assert row.values["label"] == str(expected[0, 0])


def test_names_of_labels_and_some_columns(tmp_path):
    files = lay(tmp_path)
    named = Idx(*files.values(), {"class": "label"}, ("a", "b", "c"))
    assert [row.values for row in named] == [{"class": "b"}, {"class": "a"}, {"class": "c"}]
    unlabelled = open_table(files["image"], {"image": "image"})
    assert unlabelled.files == (files["image"],)
    np.testing.assert_array_equal([pixels(row.values["image"]) for row in unlabelled], PIXELS)


def test_names_of_idx_files():
    known = ("train-images-idx3-ubyte", "train-images.idx3-ubyte.gz", "emnist-letters-test-labels-idx1-ubyte.gz")
    assert all(map(is_idx, known)) and not any(map(is_idx, ("a.idx", "idx3-ubyte.txt", "ubyte.gz")))


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (b"", idx(LABELS), r"idx3-ubyte: the file is empty"),
        (b"\x89PNG\r\n", idx(LABELS), r"idx3-ubyte: not an idx file of bytes: it begins with 89 50 4e 47$"),
        (
            gzip.compress(idx(PIXELS)),
            idx(LABELS),
            r"it begins with 1f 8b .*\(this is gzip: its name should end in \.gz",
        ),
        (idx(PIXELS)[:3], idx(LABELS), "0 dimensions; images have 3"),
        (idx(PIXELS)[:15], idx(LABELS), "the file ends within its header"),
        (idx(PIXELS)[:-1], idx(LABELS), "39 bytes where 40 are expected for 3 x 2 x 4"),
        (idx(PIXELS) + b"\0", idx(LABELS), "41 bytes where 40 are expected"),
        (idx(PIXELS[:0]), idx(LABELS), "there is nothing in it: 0 x 2 x 4"),
        (idx(LABELS), idx(LABELS), "idx3-ubyte: 1 dimensions; images have 3"),
        (idx(PIXELS), idx(PIXELS), "idx1-ubyte: 3 dimensions; labels have 1"),
        (idx(PIXELS), idx(LABELS[:2]), "2 labels for 3 images"),
        (bytes((0, 0, 13, 3)) + bytes(12), idx(LABELS), "not an idx file of bytes: it begins with 00 00 0d 03"),
    ],
)
def test_what_is_refused(tmp_path, images, labels, expected):
    with pytest.raises(UserError, match=expected):
        open_table(lay(tmp_path, images, labels), BOTH)


def test_a_label_without_a_name(tmp_path):
    with pytest.raises(UserError, match=r"idx1-ubyte:3: label 2, and there are names for 2"):
        Idx(*lay(tmp_path).values(), BOTH, ("a", "b"))


def test_labels_that_are_not_given(tmp_path):
    files = lay(tmp_path)
    with pytest.raises(UserError, match=r"labels are wanted(?s:.*)Name both files: train = \{ image"):
        open_table(files["image"], BOTH)
    with pytest.raises(UserError, match="idx files of images are needed"):
        open_table(files, {"label": "label"})
    with pytest.raises(UserError, match='idx files: no column "text". There are: image, label'):
        open_table(files, {"image": "image", "text": "label"})
