"""The operations of RandAugment (Cubuk et al., 2019, arXiv:1909.13719), each of one image with its boxes and mask.

Strengths at magnitude 1 are those in use since AutoAugment: 30 degrees, shears by 0.3, moves by 0.45 of a side,
enhancements by 1 ± 0.9, 4 bits of 8 left by posterizing, all above 0 inverted by solarizing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageOps

from zoo.preprocessing.image import to_pillow

NOTHING = 255  # in a mask: what is outside of the image, and counts for nothing


class Moved(NamedTuple):
    """An image uint8 [H, W, C] with what moves with it: boxes float32 [N, 4] (y0 x0 y1 x1) and a mask uint8 [H, W]."""

    image: np.ndarray
    boxes: np.ndarray | None = None
    mask: np.ndarray | None = None


# Of an image, a magnitude from 0 to 1, a generator, and the colour of what is outside of the image.
Operation = Callable[[Moved, float, np.random.Generator, tuple[int, ...]], Moved]


def transformed(moved: Moved, matrix: np.ndarray, fill: tuple[int, ...]) -> Moved:
    """Moves an image by an affine map.

    Args:
        moved: the image; its boxes become those that hold their moved corners, and may leave the image.
        matrix: [2, 3], from (x, y, 1) of a place in the result to (x, y) in the image, in continuous pixels.
        fill: colour of what was outside of the image; 255 in the mask.
    """
    height, width = moved.image.shape[:2]

    def move(pixels: np.ndarray, method: PIL.Image.Resampling, colour: int | tuple[int, ...]) -> np.ndarray:
        image, coefficients = to_pillow(pixels), tuple(float(each) for each in matrix.ravel())
        image = image.transform((width, height), PIL.Image.Transform.AFFINE, coefficients, method, fillcolor=colour)
        return np.array(image).reshape(pixels.shape)

    image = move(moved.image, PIL.Image.Resampling.BILINEAR, fill if len(fill) > 1 else fill[0])
    boxes, mask = moved.boxes, moved.mask
    if boxes is not None:
        y0, x0, y1, x1 = boxes.T
        corners = np.stack([[x0, x0, x1, x1], [y0, y1, y0, y1]])  # [2, 4, N]
        x, y = np.einsum("ij,jkn->ikn", np.linalg.inv(matrix[:, :2]), corners - matrix[:, 2, None, None])
        boxes = np.stack([y.min(0), x.min(0), y.max(0), x.max(0)], axis=1).astype(np.float32)
    if mask is not None:
        mask = move(mask, PIL.Image.Resampling.NEAREST, NOTHING)
    return Moved(image, boxes, mask)


def _signed(magnitude: float, rng: np.random.Generator) -> float:
    return magnitude if rng.random() < 0.5 else -magnitude


def _geometric(matrix_of: Callable[[float, int, int], list[list[float]]]) -> Operation:
    """An operation by the matrix of a signed magnitude and the height and width of the image."""

    def operation(moved: Moved, magnitude: float, rng: np.random.Generator, fill: tuple[int, ...]) -> Moved:
        height, width = moved.image.shape[:2]
        return transformed(moved, np.array(matrix_of(_signed(magnitude, rng), height, width)), fill)

    return operation


def _rotation(magnitude: float, height: int, width: int) -> list[list[float]]:
    """About the middle of the image."""
    cosine, sine = math.cos(math.radians(30 * magnitude)), math.sin(math.radians(30 * magnitude))
    x, y = width / 2, height / 2
    return [[cosine, sine, x - cosine * x - sine * y], [-sine, cosine, y + sine * x - cosine * y]]


def _of_pixels(change: Callable[[PIL.Image.Image, float], PIL.Image.Image], either_way: bool = False) -> Operation:
    """An operation that leaves everything in its place, by a magnitude that may be signed."""

    def operation(moved: Moved, magnitude: float, rng: np.random.Generator, fill: tuple[int, ...]) -> Moved:
        changed = np.array(change(to_pillow(moved.image), _signed(magnitude, rng) if either_way else magnitude))
        return moved._replace(image=changed.reshape(moved.image.shape))

    return operation


def _enhanced(kind: Callable) -> Operation:
    return _of_pixels(lambda image, magnitude: kind(image).enhance(1 + 0.9 * magnitude), either_way=True)


OPERATIONS: tuple[Operation, ...] = (
    lambda moved, magnitude, rng, fill: moved,
    _of_pixels(lambda image, _: PIL.ImageOps.autocontrast(image)),
    _of_pixels(lambda image, _: PIL.ImageOps.equalize(image)),
    _of_pixels(lambda image, magnitude: PIL.ImageOps.posterize(image, 8 - round(4 * magnitude))),
    _of_pixels(lambda image, magnitude: PIL.ImageOps.solarize(image, 256 - round(256 * magnitude))),
    _enhanced(PIL.ImageEnhance.Color),
    _enhanced(PIL.ImageEnhance.Contrast),
    _enhanced(PIL.ImageEnhance.Brightness),
    _enhanced(PIL.ImageEnhance.Sharpness),
    _geometric(_rotation),
    _geometric(lambda magnitude, height, _: [[1, 0.3 * magnitude, -0.15 * magnitude * height], [0, 1, 0]]),
    _geometric(lambda magnitude, _, width: [[1, 0, 0], [0.3 * magnitude, 1, -0.15 * magnitude * width]]),
    _geometric(lambda magnitude, _, width: [[1, 0, 0.45 * magnitude * width], [0, 1, 0]]),
    _geometric(lambda magnitude, height, _: [[1, 0, 0], [0, 1, 0.45 * magnitude * height]]),
)
