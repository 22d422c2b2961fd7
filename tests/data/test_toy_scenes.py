"""Generated scenes: the same each time, none in two splits, and all that is said of them is true of the pixels."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.data import registry
from zoo.data.toy_scenes import COLOURS, KINDS, MOST, ROWS, SPLITS, ToyScenesTable, scene

NUMBERS = st.integers(0, 10**9)


@settings(max_examples=50)
@given(split=st.sampled_from(SPLITS), number=NUMBERS, size=st.sampled_from([32, 48, 97]))
def test_boxes_masks_and_labels_agree_with_one_another(split, number, size):
    made = scene(split, number, size)
    assert (made.pixels.shape, made.pixels.dtype) == ((size, size, 3), np.uint8)
    assert (made.mask.shape, made.mask.dtype) == ((size, size), np.uint8)
    assert 1 <= len(made.shapes) <= MOST and made.boxes.shape == (len(made.shapes), 4)
    left = made.mask.copy()
    areas = []
    for shape, box in zip(made.shapes, made.boxes, strict=True):
        y0, x0, y1, x1 = box.astype(int)
        assert 0 <= y0 < y1 <= size and 0 <= x0 < x1 <= size
        # No other shape reaches into its circle, so these pixels are all its own and the box is tight around them.
        own = _circle(shape, size) * (made.mask == 1 + KINDS.index(shape.kind))
        assert (own.any(1).nonzero()[0][[0, -1]] == (y0, y1 - 1)).all()
        assert (own.any(0).nonzero()[0][[0, -1]] == (x0, x1 - 1)).all()
        areas.append(own.sum())
        left[own] = 0
    assert not left.any()
    assert max(areas[1:], default=0) < areas[0]


def _circle(shape, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    return (y - shape.y) ** 2 + (x - shape.x) ** 2 <= (shape.radius + 0.5) ** 2


@settings(max_examples=50)
@given(number=NUMBERS)
def test_shapes_have_their_colours(number):
    made = scene("train", number)
    for shape, (y0, x0, y1, x1) in zip(made.shapes, made.boxes.astype(int), strict=True):
        inside = made.pixels[y0:y1, x0:x1][made.mask[y0:y1, x0:x1] > 0].astype(float)
        distance = {name: np.abs(np.median(inside, 0) - value).sum() for name, value in COLOURS.items()}
        assert min(distance, key=distance.get) == shape.colour


def test_kinds_differ_in_how_they_fill_their_boxes():
    fills = {kind: [] for kind in KINDS}
    for number in range(200):
        made = scene("train", number, 96)
        y0, x0, y1, x1 = made.boxes[0].astype(int)
        fills[made.shapes[0].kind].append((made.mask[y0:y1, x0:x1] > 0).mean())
    means = {kind: float(np.mean(values)) for kind, values in fills.items()}
    assert abs(means["circle"] - np.pi / 4) < 0.01
    assert means["square"] > 0.8 > means["circle"] > 0.6 > means["triangle"] > means["star"] > 0.3
    assert all(30 <= len(values) <= 70 for values in fills.values())


def test_captions_say_where_the_largest_lies():
    seen = set()
    for number in range(100):
        made = scene("validation", number)
        first = made.shapes[0]
        words = made.caption.split()
        assert words[1:3] == [first.colour, first.kind]
        if len(made.shapes) == 1:
            assert len(words) == 3
            continue
        second = sorted(made.shapes, key=lambda shape: shape.radius)[-2]
        assert words[-2:] == [second.colour, second.kind]
        relation = " ".join(words[3:-3])
        seen.add(relation)
        down, right = first.y - second.y, first.x - second.x
        strength = {"below": down, "above": -down, "right of": right, "left of": -right}
        assert relation == max(strength, key=strength.get)
    assert seen == {"below", "above", "right of", "left of"}


def test_the_same_scenes_each_time_and_none_in_two_splits():
    images = {split: {scene(split, number).pixels.tobytes() for number in range(50)} for split in SPLITS}
    assert all(len(found) == 50 for found in images.values())
    assert not images["train"] & images["validation"] and not images["train"] & images["test"]
    assert not images["validation"] & images["test"]
    np.testing.assert_array_equal(scene("test", 7).pixels, scene("test", 7).pixels)
    assert (scene("test", 7).pixels != scene("test", 7, seed=1).pixels).any()


def test_the_set():
    columns = registry.columns("toy_scenes")
    assert registry.splits("toy_scenes") == list(SPLITS)
    table = registry.load("toy_scenes", "validation", {name: name for name in columns})
    assert table.rows == ROWS["validation"] and table.files[0].name == "toy_scenes.py"
    row = next(iter(table))
    assert (list(row.values), row.place) == (columns, "toy_scenes:validation:1")
    made = scene("validation", 0)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row.values["image"]))), made.pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row.values["mask"]))), made.mask)
    assert row.values["boxes"] == made.boxes.tolist()
    assert row.values["labels"] == [shape.kind for shape in made.shapes]
    assert (row.values["label"], row.values["caption"]) == (made.shapes[0].kind, made.caption)


@pytest.mark.parametrize("size", [32, 64])
def test_a_table_of_another_size_and_length(size):
    table = ToyScenesTable("train", {"image": "image"}, rows=3, size=size)
    sizes = [Image.open(io.BytesIO(row.values["image"])).size for row in table]
    assert sizes == [(size, size)] * 3 and table.rows == 3
