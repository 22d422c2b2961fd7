"""Generated scenes of shapes on a noisy background, without end, for trainings of a minute.

Each scene has one to four shapes that do not touch: circles, squares, triangles and stars in six colours. It comes with
what the tasks of images want: a label (the kind of the largest shape), boxes and their labels, a mask of classes, and a
caption ("a red circle left of a blue star"). A scene is a function of seed, split and number alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.data.images import encode_png
from zoo.data.tables import Example, Table

SIZE = 48  # pixels, of both sides
SEED = 0
SPLITS = ("train", "validation", "test")
ROWS = {"train": 4_000, "validation": 400, "test": 400}
KINDS = ("circle", "square", "triangle", "star")  # in masks: 1, 2, 3, 4; 0 is the background
COLOURS = {
    "red": (220, 50, 50),
    "green": (60, 180, 75),
    "blue": (60, 110, 240),
    "yellow": (240, 220, 70),
    "purple": (170, 70, 200),
    "white": (240, 240, 240),
}
MOST = 4  # shapes
RADII = (0.18, 0.28)  # of the largest shape, of the side of the image
SMALL = (0.10, 0.60)  # the others: from this share of the side to this share of the largest, so that it is the largest
TURN = math.radians(15)
TRIES = 20  # to find room for a further shape
FINE = 4  # edges are drawn this much finer, then averaged
NOISE = 12.0  # standard deviation, of 255


class Shape(NamedTuple):
    """A shape: kind, colour, centre and radius of the circle around it in pixels, turn in radians."""

    kind: str
    colour: str
    y: float
    x: float
    radius: float
    turn: float


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes:
        shapes: the largest, then the others as they came.
        pixels: uint8 [Y, X, 3], RGB.
        mask: uint8 [Y, X]; 0: background, else 1 + the place in KINDS.
        boxes: float32 [shapes, 4], y0 x0 y1 x1 in pixels, around the pixels of each shape in the mask.
    """

    shapes: tuple[Shape, ...]
    pixels: np.ndarray
    mask: np.ndarray
    boxes: np.ndarray

    @property
    def caption(self) -> str:
        """What the largest shape is, and where of the second largest it lies."""
        first, *others = self.shapes
        said = f"a {first.colour} {first.kind}"
        if not others:
            return said
        second = max(others, key=lambda shape: shape.radius)
        down, right = first.y - second.y, first.x - second.x
        if abs(right) >= abs(down):
            where = "right of" if right > 0 else "left of"
        else:
            where = "below" if down > 0 else "above"
        return f"{said} {where} a {second.colour} {second.kind}"


def scene(split: str, number: int, size: int = SIZE, seed: int = SEED) -> Scene:
    """One scene.

    Args:
        split: one of SPLITS; each has scenes of its own.
        number: from 0 on, without end.
        size: pixels of both sides, at least 32: smaller shapes look alike.
        seed: for other worlds.
    """
    rng = np.random.default_rng((seed, SPLITS.index(split), number))
    shapes = _placed(rng, size)
    tint = rng.uniform(20, 90) + rng.uniform(-15, 15, 3)
    pixels = np.broadcast_to(tint, (size, size, 3)).astype(np.float32)
    mask = np.zeros((size, size), np.uint8)
    boxes = np.zeros((len(shapes), 4), np.float32)
    for row, shape in enumerate(shapes):
        cover = _cover(shape, size)
        pixels += cover[..., None] * (np.asarray(COLOURS[shape.colour], np.float32) - pixels)
        mask[cover >= 0.5] = 1 + KINDS.index(shape.kind)
        ys, xs = np.nonzero(cover >= 0.5)
        boxes[row] = ys.min(), xs.min(), ys.max() + 1, xs.max() + 1
    pixels += rng.normal(0, NOISE, pixels.shape)
    return Scene(shapes, pixels.round().clip(0, 255).astype(np.uint8), mask, boxes)


def _placed(rng: np.random.Generator, size: int) -> tuple[Shape, ...]:
    """Shapes whose circles do not touch one another or the border; the first is the largest."""
    shapes = [_drawn(rng, size, rng.uniform(*RADII) * size)]
    for _ in range(rng.integers(MOST)):
        for _ in range(TRIES):
            radius = rng.uniform(SMALL[0] * size, SMALL[1] * shapes[0].radius)
            new = _drawn(rng, size, radius)
            if all(math.hypot(new.y - old.y, new.x - old.x) > new.radius + old.radius + 1 for old in shapes):
                shapes.append(new)
                break
    return tuple(shapes)


def _drawn(rng: np.random.Generator, size: int, radius: float) -> Shape:
    kind, colour = rng.choice(KINDS), rng.choice(tuple(COLOURS))
    y, x = rng.uniform(radius, size - radius, 2)
    return Shape(str(kind), str(colour), float(y), float(x), float(radius), float(rng.uniform(-TURN, TURN)))


def _cover(shape: Shape, size: int) -> np.ndarray:
    """How much of each pixel a shape covers, float32 [Y, X] from 0 to 1."""
    from PIL import Image, ImageDraw

    fine = Image.new("L", (size * FINE, size * FINE))
    draw = ImageDraw.Draw(fine)
    y, x, radius = (FINE * value for value in (shape.y, shape.x, shape.radius))
    if shape.kind == "circle":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    else:
        corners = {"square": (1, 1, 1, 1), "triangle": (1, 1, 1), "star": (1, 0.45) * 5}[shape.kind]
        # The first corner points up; a square stands on its side.
        first = shape.turn - math.pi / 2 + (math.pi / 4 if shape.kind == "square" else 0)
        angles = [first + 2 * math.pi * corner / len(corners) for corner in range(len(corners))]
        draw.polygon(
            [
                (x + radius * reach * math.cos(angle), y + radius * reach * math.sin(angle))
                for reach, angle in zip(corners, angles, strict=True)
            ],
            fill=255,
        )
    return np.asarray(fine.resize((size, size), Image.Resampling.BOX), np.float32) / 255


class ToyScenesTable(Table):
    """The first scenes of a split. Images and masks are PNG bytes; its file is this one, so that prepared data knows of
    a change.

    Columns: "image", "label", "boxes" (lists of y0 x0 y1 x1 in pixels), "labels" (of the boxes), "mask", "caption".

    Args:
        split: one of SPLITS.
        columns: for each column of the task, one of those above.
        rows: how many; None: as ROWS says.
        size: pixels of both sides.
    """

    files = (Path(__file__),)

    def __init__(self, split: str, columns: Mapping[str, str], rows: int | None = None, size: int = SIZE) -> None:
        self.columns, self.rows = tuple(columns), ROWS[split] if rows is None else rows
        self._split, self._names, self._size = split, dict(columns), size

    def __iter__(self) -> Iterator[Example]:
        for number in range(self.rows):
            found = scene(self._split, number, self._size)
            values = {column: COLUMNS[name](found) for column, name in self._names.items()}
            yield Example(values, f"toy_scenes:{self._split}:{number + 1}")


COLUMNS: Mapping[str, Any] = {
    "image": lambda found: encode_png(found.pixels),
    "label": lambda found: found.shapes[0].kind,
    "boxes": lambda found: found.boxes.tolist(),
    "labels": lambda found: [shape.kind for shape in found.shapes],
    "mask": lambda found: encode_png(found.mask),
    "caption": lambda found: found.caption,
}
