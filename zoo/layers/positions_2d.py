"""Positions on a grid: the fixed sines of two axes, and a learned table taken over to another grid."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

Grid = tuple[int, int]  # rows and columns of patches


def sine_table_2d(grid: Grid, width: int) -> np.ndarray:
    """float32 [P, D] for the patches of a grid, row by row (Beyer et al., 2022; arXiv 2205.01580).

    A quarter of the columns each: sine and cosine of the column, sine and cosine of the row, at D / 4 rates from 1 down
    to 1 / 10,000.

    Args:
        grid: rows and columns of patches.
        width: D, a multiple of 4, at least 8.
    """
    quarter = width // 4
    if width % 4 or quarter < 2:
        raise ValueError(f"2-d sine positions need a width that is a multiple of 4, at least 8; {width} is not.")
    rates = 10000.0 ** (-np.arange(quarter) / (quarter - 1))
    rows, columns = (places.reshape(-1, 1) * rates for places in np.indices(grid))
    return np.concatenate([np.sin(columns), np.cos(columns), np.sin(rows), np.cos(rows)], axis=1).astype("float32")


class GridPositions(keras.layers.Layer):
    """Adds the vector of its place to each patch.

    Args:
        kind: "learned", or "sine" (fixed, `sine_table_2d`).
        grid: rows and columns of patches.
        width: D.
        seed_generator: the model's generator, for the initial weights of "learned".
    """

    def __init__(
        self,
        kind: str,
        grid: Grid,
        width: int,
        seed_generator: keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in ("learned", "sine"):
            raise ValueError(f'Positions on a grid are "learned" or "sine", not "{kind}".')
        self.kind, self.grid, self.width = kind, grid, width
        self.initializer = keras.initializers.RandomNormal(stddev=0.02, seed=seed_generator)

    def build(self, input_shape: Any = None) -> None:
        if self.kind == "learned":
            shape = (self.grid[0] * self.grid[1], self.width)
            self.table = self.add_weight(name="table", shape=shape, initializer=self.initializer)
        else:
            self.table = sine_table_2d(self.grid, self.width)
        self.built = True

    def call(self, x: Any) -> Any:
        """x [B, P, D], the patches row by row -> [B, P, D]."""
        return x + ops.cast(self.table, self.compute_dtype)


def resample_positions(table: np.ndarray, old: Grid, new: Grid) -> np.ndarray:
    """A learned table for another grid: bicubic between its rows and columns, as PyTorch interpolates.

    Fine-tuning at another resolution begins with it (Dosovitskiy et al., 2020, section 3.2). Equal to
    `torch.nn.functional.interpolate(mode="bicubic", align_corners=False)`, which transformers uses.

    Args:
        table: [K + P, D]; the K rows before those of the old grid (class token, registers) stay as they are.
        old, new: rows and columns of patches.

    Returns:
        [K + P, D] of the new grid, with the dtype of the table.

    Raises: ValueError where the table has fewer rows than the old grid has patches.
    """
    leading = len(table) - old[0] * old[1]
    if leading < 0:
        raise ValueError(f"{len(table)} rows are too few for a grid of {old[0]} × {old[1]} patches.")
    if old == new:
        return table
    patches = table[leading:].astype("float64").reshape(*old, -1)
    rows, columns = (_bicubic(before, after) for before, after in zip(old, new, strict=True))
    moved = np.einsum("yr,rcd,xc->yxd", rows, patches, columns, optimize=True)
    return np.concatenate([table[:leading], moved.reshape(-1, table.shape[1]).astype(table.dtype)])


def _bicubic(old: int, new: int) -> np.ndarray:
    """float64 [new, old]: the share of each old place in each new one.

    Keys's cubic convolution (1981) with PyTorch's a = -0.75 over the four nearest; beyond an edge the edge goes on.
    """
    a = -0.75
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(centres).astype(int) - 1
    matrix = np.zeros((new, old))
    for tap in range(4):
        distance = np.abs(centres - (first + tap))
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = a * (((distance - 5) * distance + 8) * distance - 4)
        np.add.at(matrix, (np.arange(new), np.clip(first + tap, 0, old - 1)), np.where(distance <= 1, near, far))
    return matrix
