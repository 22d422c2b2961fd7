"""The sets of images: how many rows each split has, by the data's own description, and what a row looks like."""

import io
from collections import Counter

import pytest
from PIL import Image

from tests.conftest import needs_data
from zoo.data import registry
from zoo.data.sets.fashion_mnist import LABELS
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


def test_imagenette_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError) as caught:
        registry.load("imagenette", "train", BOTH)
    for part in ("no public home", str(tmp_path / "data/vision/imagenette/imagenette_train.tar.gz"), "non-commercial"):
        assert part in str(caught.value)
