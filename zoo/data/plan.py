"""Batch plans: which rows make which batch, in which order, in few fixed shapes. Pure: same arguments, same plan.

Frameworks compile a step anew for every shape of its inputs (XLA for seconds to minutes), so a plan uses at most ten.
Shapes are chosen once from the lengths (`zoo.data.shapes`); which rows come together, and in which order, is drawn
anew for each epoch from (seed, epoch).
"""

from typing import NamedTuple

import numpy as np

from zoo.data.shapes import assign, choose_boxes
from zoo.errors import UserError

LEAST_FILL = 2 / 3  # updates of a shape are at least so full, or its last rows move on to a larger shape


class Shape(NamedTuple):
    """What a batch is padded to: its number of rows, and the length of each side."""

    rows: int
    lengths: tuple[int, ...]


class Batch(NamedTuple):
    """rows: int64 [shape.rows], numbers of rows, -1 for an empty one; the empty ones come last."""

    rows: np.ndarray
    shape: Shape


class Plan:
    """The batches of every epoch.

    Args:
        lengths: int [rows, sides], an upper bound of each row's length on each side.
        budget: positions in a batch over all sides, padding included, at most (but at least one row is in it).
        seed: decides, with the epoch, which rows come together and in which order.
        most_shapes: how many shapes there may be.
        group: batches of an update (micro-batches, devices); all of an update have one shape.

    A shape that holds c rows makes ceil(c / (rows by budget · group)) updates in an epoch, and its rows are then as
    few as these need: all its batches are equally full, short of the budget by a row or two where there are many.
    Where there are few and the updates would be less than `LEAST_FILL` full, only full ones are made, and the rows
    that are left over (others in each epoch) go to the next larger shape that holds them.

    Attributes:
        shapes: by rising sum of lengths.
        updates: how many an epoch has; the same in each.
        group: as given.

    UserError for no rows and a budget or group below 1.
    """

    def __init__(self, lengths: np.ndarray, budget: int, seed: int, *, most_shapes: int = 10, group: int = 1) -> None:
        if not len(lengths):
            raise UserError("there are no rows to make batches of")
        if min(budget, group, most_shapes) < 1 or seed < 0:
            got = f"budget {budget}, group {group}, most_shapes {most_shapes}, seed {seed}"
            raise UserError(f"a batch plan needs a budget, group and most_shapes of at least 1, seed of 0: {got}")
        lengths = np.maximum(lengths, 1)  # a row of length 0 takes a position nevertheless
        self._real = int(lengths.sum(dtype=np.int64))
        # Two shapes for each full update, at most: with more, their updates would stand half empty.
        boxes = choose_boxes(lengths, min(most_shapes, max(1, 2 * self._real // (budget * group))))
        chosen = assign(lengths, boxes)
        self._quotas = _quotas(np.bincount(chosen, minlength=len(boxes)), boxes, budget, group)
        # Numbers of the rows, those of a shape side by side: an epoch only shuffles slices of it.
        self._rows = np.argsort(chosen, kind="stable")
        self._seed = seed
        self.group = group
        self.shapes = [quota.shape for quota in self._quotas if quota.updates]
        self.updates = sum(quota.updates for quota in self._quotas)

    def epoch(self, epoch: int) -> list[list[Batch]]:
        """The updates of an epoch, in order; an update is `group` batches of one shape. Every row comes once."""
        rng = np.random.default_rng((self._seed, epoch))
        moved: dict[int, list[np.ndarray]] = {}
        updates: list[list[Batch]] = []
        for index, quota in enumerate(self._quotas):
            rows = rng.permutation(np.concatenate([self._rows[quota.own], *moved.get(index, ())]))
            places = np.full((quota.updates, self.group, quota.shape.rows), -1, np.int64)
            placed = min(len(rows), places.size)
            # Batch by batch across the updates, so that empty places are shared by them and not heaped on the last.
            places.transpose(2, 0, 1).flat[:placed] = rows[:placed]
            if placed < len(rows):
                moved.setdefault(quota.larger, []).append(rows[placed:])
            updates += [[Batch(rows, quota.shape) for rows in update] for update in places]
        return [updates[number] for number in rng.permutation(len(updates))]

    def padding(self) -> float:
        """Share of all positions of an epoch that hold no part of a row, those of empty rows among them."""
        padded = sum(quota.updates * self.group * quota.shape.rows * sum(quota.shape.lengths) for quota in self._quotas)
        return 1 - self._real / padded


class _Quota(NamedTuple):
    """What an epoch makes of a shape. own: slice of the rows that belong to it; larger: shape its last rows go to."""

    shape: Shape
    updates: int
    own: slice
    larger: int


def _quotas(counts: np.ndarray, boxes: np.ndarray, budget: int, group: int) -> list[_Quota]:
    """Updates and rows a batch of each box; `counts` are the rows that belong to each."""
    starts = np.concatenate([[0], np.cumsum(counts)])
    held = counts.copy()
    quotas = []
    for index, box in enumerate(boxes):
        rows = max(1, budget // int(box.sum()))
        updates = -(-int(held[index]) // (rows * group))
        larger = next((other for other in range(index + 1, len(boxes)) if (boxes[other] >= box).all()), index)
        if larger > index and held[index] < LEAST_FILL * updates * rows * group:
            updates -= 1
            held[larger] += held[index] - updates * rows * group
        elif updates:
            rows = -(-int(held[index]) // (updates * group))
        own = slice(int(starts[index]), int(starts[index + 1]))
        quotas.append(_Quota(Shape(rows, tuple(box.tolist())), updates, own, larger))
    return quotas
