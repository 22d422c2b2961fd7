"""Augmentation: pixels, boxes and masks move together, a seed decides all, and what is mixed adds up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.preprocessing.image_files import picture
from zoo.errors import UserError
from zoo.preprocessing.augment import (
    Augment,
    AugmentChoices,
    cut_boxes,
    erased,
    flipped,
    jittered,
    mixup_cutmix,
    random_part,
    shifted,
)
from zoo.preprocessing.image import Image, ImageChoices
from zoo.preprocessing.rand_augment import OPERATIONS, Moved, transformed

SEEDS = st.integers(0, 2**32 - 1)
FRAME = Image(ImageChoices(height=48, width=64, fit="stretch", mean=(0.0,)))
EVERYTHING = AugmentChoices(crop="random", flip=0.5, operations=2, jitter=0.4, erase=0.5)
GEOMETRIC = OPERATIONS[9:]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def square(top: int, left: int, rows: int, columns: int, height: int = 48, width: int = 64) -> Moved:
    """A white rectangle on black, its box, and its mask."""
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + rows, left : left + columns] = 1
    box = np.float32([[top, left, top + rows, left + columns]])
    return Moved(np.repeat(255 * mask[..., None], 3, axis=2), box, mask)


def assert_together(image: np.ndarray, boxes: np.ndarray, mask: np.ndarray, tight: bool) -> None:
    """White pixels are those of the mask, but for the border's, and the box holds them, closely if so said."""
    white = image[..., 0] > 127
    sure = (image[..., 0] < 3) | (image[..., 0] > 252)
    np.testing.assert_array_equal(white[sure], mask[sure] == 1)
    if not white.any():
        return
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    around = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
    (box,) = boxes
    assert (box[:2] <= around[:2] + 1).all() and (box[2:] >= around[2:] - 1).all()
    if tight:
        np.testing.assert_allclose(box, around, atol=1.5)


def test_the_defaults_change_nothing():
    image = picture(48, 64)
    np.testing.assert_array_equal(Augment(AugmentChoices(), FRAME)(image, rng()).image, image)


@given(SEEDS)
def test_a_seed_decides_all(seed):
    augment, moved = Augment(EVERYTHING, FRAME), square(10, 20, 25, 30, 60, 90)
    first, again = (augment(moved.image, rng(seed), moved.boxes, moved.mask) for _ in range(2))
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one, other)
    assert first.image.shape == (48, 64, 3) and first.image.dtype == np.uint8
    assert first.mask.shape == (48, 64) and first.boxes.dtype == np.float32
    assert first.boxes.shape == (len(first.kept), 4)


def test_other_seeds_change_it_otherwise():
    augment = Augment(EVERYTHING, FRAME)
    images = {augment(picture(60, 90), rng(seed)).image.tobytes() for seed in range(20)}
    assert len(images) == 20


@given(SEEDS)
def test_a_random_crop_moves_boxes_and_masks(seed):
    moved = square(10, 20, 25, 30, 60, 90)
    augment = Augment(AugmentChoices(crop="random", keep_boxes=0), FRAME)
    got = augment(moved.image, rng(seed), moved.boxes, moved.mask)
    assert_together(got.image, got.boxes, got.mask, tight=True)


@given(st.integers(1, 200), st.integers(1, 200), SEEDS)
def test_a_random_part_lies_within_the_image(height, width, seed):
    top, left, rows, columns = random_part(height, width, 0.3, 4 / 3, rng(seed))
    assert 0 <= top <= top + rows <= height and 0 <= left <= left + columns <= width
    assert rows > 0 and columns > 0


@given(SEEDS)
def test_a_flip_twice_is_nothing(seed):
    image = rng(seed).integers(0, 256, (9, 14, 3), np.uint8)
    moved = Moved(image, np.float32([[1, 2, 5, 8], [0, 0, 9, 14]]), image[..., 0])
    for before, after in zip(moved, flipped(flipped(moved))):
        np.testing.assert_array_equal(before, after)


def test_a_flip():
    got = flipped(square(10, 20, 25, 30))
    np.testing.assert_array_equal(got.boxes, [[10, 14, 35, 44]])
    assert_together(*got, tight=True)


@given(st.integers(-20, 20), st.integers(-20, 20))
def test_a_shift(down, right):
    before = square(10, 20, 25, 30)
    got = shifted(before, down, right, (9, 9, 9))
    boxes, _ = cut_boxes(got.boxes, 48, 64, 0)
    assert_together(got.image, boxes, got.mask, tight=True)
    assert (got.mask == 255).sum() == (got.image == 9).all(-1).sum() == 48 * 64 - (48 - abs(down)) * (64 - abs(right))


def test_pad_moves_by_less_than_it_is_told():
    augment = Augment(AugmentChoices(crop="pad", crop_pad=3), FRAME)
    moved = square(20, 20, 10, 10)
    tops = {int(augment(moved.image, rng(seed), moved.boxes).boxes[0, 0]) for seed in range(100)}
    assert tops == set(range(17, 24))


@settings(max_examples=50)
@given(st.sampled_from(GEOMETRIC), st.floats(0, 1), SEEDS)
def test_rand_augment_moves_boxes_and_masks(operation, magnitude, seed):
    got = operation(square(15, 22, 16, 20), magnitude, rng(seed), (0, 0, 0))
    boxes, _ = cut_boxes(got.boxes, 48, 64, 0)
    assert_together(got.image, boxes, got.mask, tight=False)


def test_an_affine_map_by_whole_pixels_is_exact():
    moved = square(15, 22, 16, 20)
    got = transformed(moved, np.array([[1.0, 0, 5], [0, 1, -3]]), (0, 0, 0))
    np.testing.assert_array_equal(got.boxes, [[18, 17, 34, 37]])
    np.testing.assert_array_equal(got.image[18:34, 17:37], 255)
    np.testing.assert_array_equal(got.mask[3:, :-5], moved.mask[:-3, 5:])
    assert (got.mask[:3] == 255).all() and (got.mask[:, -5:] == 255).all()


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_of_rand_augment(number, channels):
    """Each keeps the shape; all but the first (none) change a picture at the full magnitude."""
    image = picture(40, 30, channels)
    image = image // 2 + 20  # neither black nor white, so that contrast can grow
    got = OPERATIONS[number](Moved(image), 1.0, rng(), (0,) * channels).image
    assert got.shape == image.shape and got.dtype == np.uint8
    nothing = number == 0 or (channels == 1 and number == 5)  # grey has no saturation
    assert np.array_equal(got, image) == nothing


def test_strengths_at_zero():
    """A magnitude of 0 moves nothing; what is enhanced or solarized by 0 stays as it is."""
    image = picture(40, 30)
    for number in (0, 3, 4, 5, 6, 7, 8, *range(9, 14)):
        got = OPERATIONS[number](Moved(image), 0.0, rng(), (0, 0, 0)).image
        np.testing.assert_array_equal(got, image)


def test_boxes_are_cut_and_dropped():
    boxes = np.float32([[-5, -5, 5, 5], [0, 0, 10, 10], [60, 0, 70, 10], [3, 3, 3, 9]])
    cut, kept = cut_boxes(boxes, 48, 64, 0.3)
    np.testing.assert_array_equal(kept, [1])
    np.testing.assert_array_equal(cut, [[0, 0, 10, 10]])
    cut, kept = cut_boxes(boxes, 48, 64, 0.25)
    np.testing.assert_array_equal(kept, [0, 1])
    np.testing.assert_array_equal(cut[0], [0, 0, 5, 5])
    assert cut_boxes(np.zeros((0, 4), np.float32), 48, 64, 0.25)[0].shape == (0, 4)


@given(SEEDS, st.sampled_from([1, 3]))
def test_erasing(seed, channels):
    image = np.zeros((40, 60, channels), np.uint8)
    noisy = erased(image, 0.33, rng(seed))
    rows, columns = np.flatnonzero(noisy.any((1, 2))), np.flatnonzero(noisy.any((0, 2)))
    part = noisy[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert 0.01 < part[..., 0].size / 2400 < 0.35
    assert not image.any()


def test_jitter():
    image = picture(40, 30)
    assert np.abs(jittered(image, 0.4, rng()).astype(int) - image).max() > 5
    assert np.abs(jittered(image, 1e-9, rng()).astype(int) - image).max() <= 1
    assert jittered(picture(1, 1, 1), 0.4, rng()).shape == (1, 1, 1)


def test_grey_images_with_everything():
    frame = Image(ImageChoices(height=28, width=28, channels=1))
    assert Augment(EVERYTHING, frame)(picture(28, 28, 1), rng()).image.shape == (28, 28, 1)


@settings(max_examples=50)
@given(SEEDS, st.sampled_from([(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)]))
def test_mixed_images_have_mixed_targets(seed, alphas):
    """Each image is of one value that is its class, so the mean of what was mixed tells the targets."""
    classes = np.arange(6)
    images = np.broadcast_to(classes[:, None, None, None], (6, 12, 10, 3)).astype(np.float32)
    mixed, targets = mixup_cutmix(images, np.eye(6, dtype=np.float32), rng(seed), *alphas)
    assert mixed.dtype == targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed.mean((1, 2, 3)), targets @ classes, atol=1e-4)
    np.testing.assert_allclose(mixed.sum(0), images.sum(0), atol=1e-4)  # each is somebody's other
    if not alphas[0]:
        assert (mixed == np.rint(mixed)).all()


def test_nothing_is_mixed_at_zero():
    images, targets = np.zeros((2, 4, 4, 3), np.float32), np.eye(2, dtype=np.float32)
    assert mixup_cutmix(images, targets, rng(), 0, 0) == (images, targets)


def test_a_move_beyond_the_image_is_refused():
    with pytest.raises(UserError, match="48"):
        Augment(AugmentChoices(crop="pad", crop_pad=48), FRAME)
