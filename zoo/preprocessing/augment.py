"""Training augmentation of images, the same on every backend: numpy and Pillow, on the pixels of one image.

What changes where things are (crop, flip, and the five geometric operations of RandAugment) moves boxes and masks with
the pixels. The parts, in the order in which they are applied: a random crop, a flip, RandAugment (Cubuk et al., 2019,
arXiv:1909.13719), colour jitter, random erasing (Zhong et al., 2017, arXiv:1708.04896). Of a batch, `mixup_cutmix`
mixes the rows (Zhang et al., 2017, arXiv:1710.09412; Yun et al., 2019, arXiv:1905.04899).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import PIL.ImageEnhance

from zoo.errors import UserError
from zoo.preprocessing.image import Geometry, Image, padding, resized, to_pillow
from zoo.preprocessing.rand_augment import NOTHING, OPERATIONS, Moved
from zoo.recipe import option

ROOM = 10  # crops that are drawn until one lies within the image


@dataclass(frozen=True)
class AugmentChoices:
    """How training images are changed each time they are seen. The defaults change nothing."""

    crop: str = option(
        "none",
        "random: a part of the image, stretched to the model's size (Inception's crop); pad: the image as it is "
        "evaluated, moved by up to crop_pad pixels",
        choices=("none", "random", "pad"),
    )
    crop_share: float = option(0.3, "random crop: the smallest share of the area", low=0.01, high=1.0)
    crop_shape: float = option(4 / 3, "random crop: its sides are to each other as 1 to this at most", low=1, high=10)
    crop_pad: int = option(4, "pad: pixels of the mean colour put around the image first", low=0, high=512)
    flip: float = option(0.0, "probability of a mirror image, left to right", low=0, high=1)
    operations: int = option(0, "RandAugment: operations in a row, 0 = off; 2 is usual", low=0, high=14)
    magnitude: float = option(9.0, "RandAugment: strength of each, 10 = the strongest", low=0, high=10)
    jitter: float = option(
        0.0, "brightness, contrast and saturation are multiplied by 1 ± up to this; 0.4 is usual", low=0, high=1
    )
    erase: float = option(0.0, "probability that a rectangle becomes noise; 0.25 is usual", low=0, high=1)
    erase_share: float = option(0.33, "erasing: the largest share of the area; the smallest is 0.02", low=0.02, high=1)
    keep_boxes: float = option(
        0.25, "a box is dropped when less than this share of its area is left in the image", low=0, high=1
    )


class Augmented(NamedTuple):
    """What became of an image, with its boxes and mask where it had some.

    image: uint8 [H, W, C]. boxes: float32 [M, 4] (y0 x0 y1 x1), pixels of it. kept: int64 [M], which boxes these were.
    mask: uint8 [H, W]; 255 where there is no image.
    """

    image: np.ndarray
    boxes: np.ndarray | None = None
    kept: np.ndarray | None = None
    mask: np.ndarray | None = None


class Augment:
    """Changes one image after another. Every result has the size of the frame that the model sees.

    Args:
        choices: what is done, and how much.
        frame: the preprocessor of the images. Without a random crop, its fit decides what is seen.

    Raises: UserError for images moved by more than their size.
    """

    def __init__(self, choices: AugmentChoices, frame: Image) -> None:
        side = min(frame.choices.height, frame.choices.width)
        if choices.crop == "pad" and choices.crop_pad >= side:
            raise UserError(
                f"{choices.crop_pad} pixels, and the image has {side}",
                where="crop_pad",
                remedy="Set it to an eighth of the image or so.",
            )
        self.choices = choices
        self.frame = frame
        # Nearly 0 for the model.
        self.fill = tuple(int(each) for each in padding(frame.choices))

    def __call__(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        boxes: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> Augmented:
        """Changes an image as the generator draws; the same state of it gives the same image.

        Args:
            image: uint8 [Y, X, C], upright, as `Image.read` gives it.
            rng: numpy's generator.
            boxes: float32 [N, 4], y0 x0 y1 x1 in its pixels.
            mask: uint8 [Y, X], a class a pixel.
        """
        seen, geometry, mask = self._cropped(image, mask, rng)
        moved = Moved(seen, None if boxes is None else geometry.to_frame(boxes), mask)
        if self.choices.crop == "pad":
            down, right = rng.integers(-self.choices.crop_pad, self.choices.crop_pad + 1, 2)
            moved = shifted(moved, int(down), int(right), self.fill)
        if rng.random() < self.choices.flip:
            moved = flipped(moved)
        for number in rng.integers(len(OPERATIONS), size=self.choices.operations):
            moved = OPERATIONS[number](moved, self.choices.magnitude / 10, rng, self.fill)
        pixels = jittered(moved.image, self.choices.jitter, rng) if self.choices.jitter else moved.image
        if rng.random() < self.choices.erase:
            pixels = erased(pixels, self.choices.erase_share, rng)
        if moved.boxes is None:
            return Augmented(pixels, mask=moved.mask)
        boxes, kept = cut_boxes(moved.boxes, pixels.shape[0], pixels.shape[1], self.choices.keep_boxes)
        return Augmented(pixels, boxes, kept, moved.mask)

    def _cropped(
        self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, Geometry, np.ndarray | None]:
        """The image and its mask at the size of the frame, and where that lies in the image."""
        choices = self.frame.choices
        if self.choices.crop != "random":
            seen, geometry = self.frame.frame(image)
            return seen, geometry, None if mask is None else self.frame.frame_mask(mask, NOTHING)
        height, width = image.shape[:2]
        top, left, rows, columns = random_part(height, width, self.choices.crop_share, self.choices.crop_shape, rng)
        geometry = Geometry(height, width, top, left, rows / choices.height, columns / choices.width)
        seen = resized(image, geometry, choices.height, choices.width, choices.interpolation)
        if mask is not None:
            mask = resized(mask, geometry, choices.height, choices.width, "nearest")
        return seen, geometry, mask


def random_part(
    height: int, width: int, share: float, shape: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A part of an image: top, left, rows and columns in pixels (Szegedy et al., 2014, arXiv:1409.4842).

    Its area is `share` to 1 of the image's and its columns are to its rows as 1 / `shape` to `shape`. Where none that
    is drawn lies within the image, it is the largest square in the middle of it.
    """
    for _ in range(ROOM):
        area = height * width * rng.uniform(share, 1)
        ratio = math.exp(rng.uniform(-math.log(shape), math.log(shape)))
        rows, columns = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < rows <= height and 0 < columns <= width:
            top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
            return int(top), int(left), rows, columns
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def shifted(moved: Moved, down: int, right: int, fill: tuple[int, ...]) -> Moved:
    """Moves an image by whole pixels; what comes in has the colour `fill`, and 255 in the mask."""

    def shift(pixels: np.ndarray, canvas: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        part = pixels[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
        top, left = max(0, down), max(0, right)
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        return canvas

    image = shift(moved.image, np.full_like(moved.image, np.array(fill, np.uint8)))
    boxes = None if moved.boxes is None else moved.boxes + np.array([down, right] * 2, np.float32)
    return Moved(image, boxes, None if moved.mask is None else shift(moved.mask, np.full_like(moved.mask, NOTHING)))


def flipped(moved: Moved) -> Moved:
    """The mirror image, left to right."""
    boxes = moved.boxes
    if boxes is not None:
        y0, x0, y1, x1 = boxes.T
        width = np.float32(moved.image.shape[1])
        boxes = np.stack([y0, width - x1, y1, width - x0], axis=1)
    mask = None if moved.mask is None else np.ascontiguousarray(moved.mask[:, ::-1])
    return Moved(np.ascontiguousarray(moved.image[:, ::-1]), boxes, mask)


def cut_boxes(boxes: np.ndarray, height: int, width: int, keep: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes float32 [N, 4] cut at the border of an image.

    Returns: those of which at least `keep` of their area is left, and any at all, float32 [M, 4]; and which these are,
    int64 [M].
    """
    cut = np.clip(boxes, 0, np.array([height, width] * 2, np.float32))
    before, after = _areas(boxes), _areas(cut)
    kept = np.flatnonzero((after > 0) & (after >= keep * before))
    return cut[kept].astype(np.float32), kept


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def jittered(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and saturation of uint8 [H, W, C], each times 1 ± up to `strength`, in any order."""
    parts = [PIL.ImageEnhance.Brightness, PIL.ImageEnhance.Contrast, PIL.ImageEnhance.Color]
    image = to_pillow(pixels)
    for part in rng.permutation(len(parts)):
        image = parts[part](image).enhance(rng.uniform(1 - strength, 1 + strength))
    return np.array(image).reshape(pixels.shape)


def erased(pixels: np.ndarray, largest: float, rng: np.random.Generator) -> np.ndarray:
    """The image uint8 [H, W, C] with noise in a rectangle of 0.02 to `largest` of its area."""
    height, width = pixels.shape[:2]
    area = height * width * rng.uniform(0.02, largest)
    ratio = math.exp(rng.uniform(-math.log(10 / 3), math.log(10 / 3)))
    rows = min(max(round(math.sqrt(area / ratio)), 1), height)
    columns = min(max(round(math.sqrt(area * ratio)), 1), width)
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    noisy = pixels.copy()
    noisy[top : top + rows, left : left + columns] = rng.integers(0, 256, (rows, columns, pixels.shape[2]), np.uint8)
    return noisy


def mixup_cutmix(
    images: np.ndarray, targets: np.ndarray, rng: np.random.Generator, mixup: float, cutmix: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mixes each row of a batch with another.

    Args:
        images: float32 [B, H, W, C].
        targets: float32 [B, C], shares of the classes.
        rng: draws which way (each as likely, where both are on), how much and with whom.
        mixup: alpha of the beta distribution of the share for mixing all pixels, 0 = off; 0.8 is usual.
        cutmix: the same for a rectangle of the other image, 0 = off; 1 is usual.

    Returns: images and targets of the same shapes, new where something was mixed.
    """
    ways = [(way, alpha) for way, alpha in ((_blended, mixup), (_pasted, cutmix)) if alpha]
    if not ways:
        return images, targets
    way, alpha = ways[rng.integers(len(ways))]
    others = rng.permutation(len(images))
    mixed, share = way(images, images[others], rng.beta(alpha, alpha), rng)
    return mixed, (share * targets + (1 - share) * targets[others]).astype(np.float32)


def _blended(a: np.ndarray, b: np.ndarray, share: float, _: np.random.Generator) -> tuple[np.ndarray, float]:
    return (share * a + (1 - share) * b).astype(np.float32), share


def _pasted(a: np.ndarray, b: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """`a` with a rectangle of `b`, anywhere and cut at the border, and the share of pixels that is left of `a`."""
    height, width = a.shape[1:3]
    side = math.sqrt(1 - share)
    y, x = rng.integers(height), rng.integers(width)
    half_rows, half_columns = round(height * side / 2), round(width * side / 2)
    rows = slice(max(y - half_rows, 0), min(y + half_rows, height))
    columns = slice(max(x - half_columns, 0), min(x + half_columns, width))
    mixed = a.copy()
    mixed[:, rows, columns] = b[:, rows, columns]
    return mixed, 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
