"""The sets of images: how many rows each split has, by the data's own description, and what a row looks like."""

import hashlib
import io
import lzma
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.conftest import needs_data
from zoo.data import registry
from zoo.data.sets import cifar10
from zoo.data.sets.fashion_mnist import LABELS
from zoo.data.sets.files import PublicFile, obtain
from zoo.data.sets.imagenette import NAMES
from zoo.errors import UserError

BOTH = {"image": "image", "label": "label"}


def labels(name: str, split: str) -> list[str]:
    return [example.values["label"] for example in registry.load(name, split, {"label": "label"})]


@needs_data("vision/fashion_mnist")
def test_fashion_mnist_has_its_rows_and_labels():
    rows = {"train": 57_000, "select": 3_000, "train_all": 60_000, "test": 10_000}
    assert registry.splits("fashion_mnist") == list(rows)
    found = {split: labels("fashion_mnist", split) for split in rows}
    assert {split: len(values) for split, values in found.items()} == rows
    assert found["train"] + found["select"] == found["train_all"]
    assert Counter(found["train_all"]) == dict.fromkeys(LABELS, 6_000)
    assert Counter(found["test"]) == dict.fromkeys(LABELS, 1_000)
    assert found["train_all"][:4] == ["Ankle boot", "T-shirt/top", "T-shirt/top", "Dress"]


@needs_data("vision/fashion_mnist")
def test_fashion_mnist_has_png_images():
    row = next(iter(registry.load("fashion_mnist", "select", BOTH)))
    image = Image.open(io.BytesIO(row.values["image"]))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))
    assert row.place.endswith("train-images-idx3-ubyte.gz:57001")
    first = next(iter(registry.load("fashion_mnist", "test", BOTH)))
    assert first.values["label"] == "Ankle boot"
    assert sum(Image.open(io.BytesIO(first.values["image"])).tobytes()) == 33_456


@needs_data("vision/imagenette")
def test_imagenette_has_its_rows_and_labels():
    found = {split: Counter(labels("imagenette", split)) for split in registry.splits("imagenette")}
    assert found["train_all"] == dict.fromkeys(NAMES.values(), 150)
    assert found["val"] == dict.fromkeys(NAMES.values(), 40)
    assert found["train"] + found["select"] == found["train_all"]
    assert found["select"].total() == 75 and set(found["select"].values()) == {7, 8}


@needs_data("vision/imagenette")
def test_imagenette_has_jpegs():
    table = registry.load("imagenette", "select", BOTH)
    rows = list(table)
    assert len(rows) == table.rows == 75
    assert rows[0].values["label"] == "tench" and ":train/n01440764/" in rows[0].place
    for row in rows:
        assert Image.open(io.BytesIO(row.values["image"])).size == (128, 128)
    places = {row.place for row in rows}
    assert not places & {row.place for row in registry.load("imagenette", "train", {"label": "label"})}


def test_cifar10_is_undone_from_its_differences(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    planes = np.stack([red - green, green, blue - green])
    for axis in (2, 3):
        planes = np.diff(planes, axis=axis, prepend=np.uint8(0))
    (tmp_path / "images.xz").write_bytes(lzma.compress(planes.tobytes()))
    np.save(tmp_path / "labels.npy", np.array([3, 1, 4, 1, 5], np.uint8))
    rows = list(cifar10.DifferencesTable(tmp_path / "images.xz", tmp_path / "labels.npy", BOTH, 1, 5))
    found = np.stack([Image.open(io.BytesIO(row.values["image"])) for row in rows])
    np.testing.assert_array_equal(found, pixels[1:])
    assert [row.values["label"] for row in rows] == ["automobile", "deer", "automobile", "dog"]
    assert rows[0].place == f"{tmp_path / 'images.xz'}:2"


@needs_data("vision/cifar10")
def test_cifar10_has_its_rows_and_pixels():
    rows = {"train": 19_000, "select": 1_000, "train_all": 20_000, "test": 4_000}
    assert {split: len(labels("cifar10", split)) for split in registry.splits("cifar10")} == rows
    assert Counter(labels("cifar10", "train_all")) == dict.fromkeys(cifar10.LABELS, 2_000)
    digest = hashlib.sha256()
    for row in registry.load("cifar10", "test", {"image": "image"}):
        digest.update(Image.open(io.BytesIO(row.values["image"])).tobytes())
    assert digest.hexdigest() == "c4725a4068ed7d83863048fc2a572c91ca17a2ccd63ea5484e2b9bd558321267"


def test_a_published_hash_of_a_packed_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    (tmp_path / "a.xz").write_bytes(packed := lzma.compress(b"hello"))
    file = PublicFile("a.xz", "", hashlib.sha256(packed).hexdigest(), packed=True)
    assert obtain(file, ".", cifar10.SET.about) == tmp_path / "a.xz"
    with pytest.raises(UserError, match="this is not the file it should be"):
        obtain(PublicFile("a.xz", "", hashlib.sha256(packed).hexdigest()), ".", cifar10.SET.about)


@pytest.mark.parametrize(
    ("name", "path"),
    [("imagenette", "imagenette/imagenette_train.tar.gz"), ("cifar10", "cifar10/train_images.u8diff.xz")],
)
def test_sets_without_a_home_say_where_to_put_them(tmp_path, monkeypatch, name, path):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError) as caught:
        registry.load(name, "train", BOTH)
    for part in ("no public home", str(tmp_path / "data/vision" / path), registry.about(name).licence):
        assert part in str(caught.value)
