"""Tasks over images with tiny models, and images that are told apart by their colour."""

import numpy as np

from zoo import recipe as recipes
from zoo.data.images import encode_png
from zoo.data.tables import Example
from zoo.tasks.task import find, make

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
SMALL = {"preset": "debug", "layers": 1, "dropout": 0.0}
SIZE = {"height": 8, "width": 8}


def made(name: str, **tables):
    """A task whose images are of 8 by 8 pixels."""
    tables = {"preprocessing": SIZE, "model": SMALL, **tables}
    return make(recipes.made(name, "test", "", tables, find(name).schema()))


def picture(colour: str, seed: int = 0, size: int = 12) -> bytes:
    """A PNG of one colour with noise."""
    noise = np.random.default_rng(seed).integers(-20, 21, (size, size, 3))
    return encode_png((np.array(COLOURS[colour]) + noise).astype(np.uint8))


def pictures(rows: int) -> list[dict]:
    names = sorted(COLOURS)
    return [{"image": picture(names[row % 3], row), "label": names[row % 3]} for row in range(rows)]


def examples(values: list[dict]) -> list[Example]:
    return [Example(each, f"pictures:{row}") for row, each in enumerate(values, 1)]
