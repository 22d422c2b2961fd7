"""Few shapes for many lengths: which boxes to pad rows to, so that little of a batch is padding.

A box is an upper bound of the length on each side (source, target). Boxes are chosen by agglomerative clustering:
beginning with a cell for each kind of row, the two boxes that add least padding when they become one are merged, until
few are left; then each edge is moved to where it costs least, until none moves. (Ward: Hierarchical Grouping to
Optimize an Objective Function, 1963, with padded positions as the objective.)
"""

import numpy as np

LEVELS = 256  # lengths a side is first rounded to; text rarely has more
CELLS_TO_MERGE = 400  # merging costs time and memory by their square: 0.1 s
CELLS_TO_FIT = 2000  # moving edges costs by their number: 0.1 s
SWEEPS = 20  # at most; four or five are usual


def choose_boxes(lengths: np.ndarray, most: int) -> np.ndarray:
    """Boxes that hold all rows with little padding.

    Args:
        lengths: int [rows, sides], each at least 1; at least one row.
        most: how many boxes there may be.

    Returns: int64 [boxes, sides], at most `most`, by rising sum; every row fits into one of them.
    """
    grids = [_grid(side) for side in lengths.T]
    levels, counts = _cells(lengths, grids)
    boxes = _merge(*_coarser(levels, counts, grids, CELLS_TO_MERGE), most)
    boxes = _by_sum(_move_edges(boxes, *_coarser(levels, counts, grids, CELLS_TO_FIT)))
    chosen = assign(lengths, boxes)
    # Edges lie on the grid: draw them in to the rows that are there.
    return _by_sum(np.stack([lengths[chosen == index].max(0) for index in np.unique(chosen)]).astype(np.int64))


def _by_sum(boxes: np.ndarray) -> np.ndarray:
    return boxes[np.lexsort((*boxes.T, boxes.sum(1)))]


def assign(lengths: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The cheapest box that holds each row: uint16 [rows], an index into `boxes`, which rise by their sums."""
    chosen = np.full(len(lengths), len(boxes), np.uint16)
    for index in reversed(range(len(boxes))):  # the cheapest comes last and stays
        chosen[(lengths <= boxes[index]).all(1)] = index
    return chosen


def _grid(values: np.ndarray) -> np.ndarray:
    """The values that there are, rising; of very many, `LEVELS` with equally many rows between neighbours."""
    found = np.unique(values)
    if len(found) > LEVELS:
        found = np.unique(np.quantile(values, np.arange(1, LEVELS + 1) / LEVELS, method="higher"))
    return found.astype(np.int64)


def _cells(lengths: np.ndarray, grids: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Kinds of rows: levels on the grids that their lengths are rounded up to, int64 [cells, sides], and counts."""
    codes = np.zeros(len(lengths), np.int64)
    for side, grid in zip(lengths.T, grids, strict=True):
        codes = codes * len(grid) + np.searchsorted(grid, side)
    found, counts = np.unique(codes, return_counts=True)
    return np.stack(np.unravel_index(found, [len(grid) for grid in grids]), 1), counts


def _coarser(
    levels: np.ndarray, counts: np.ndarray, grids: list[np.ndarray], most: int
) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` cells, int64 [cells, sides] of lengths, with their counts: grids are halved until they suffice."""
    top = np.array([len(grid) - 1 for grid in grids])
    mask, found, places = 0, levels, np.arange(len(levels))
    while len(found) > most:
        mask = 2 * mask + 1
        found, places = np.unique(np.minimum(levels | mask, top), axis=0, return_inverse=True)
    cells = np.stack([grid[side] for grid, side in zip(grids, found.T, strict=True)], 1)
    return cells, np.bincount(places.ravel(), counts)


def _merge(cells: np.ndarray, counts: np.ndarray, most: int) -> np.ndarray:
    """Merge pairs of boxes, each time the pair that adds least padding, until at most `most` are left."""
    boxes, counts, left = cells.copy(), counts.copy(), np.ones(len(cells), bool)
    costs = np.stack([_merge_costs(index, boxes, counts, left) for index in range(len(boxes))])
    for _ in range(len(boxes) - most):
        first, second = np.unravel_index(np.argmin(costs), costs.shape)
        boxes[first] = np.maximum(boxes[first], boxes[second])
        counts[first] += counts[second]
        left[second] = False
        costs[second] = costs[:, second] = np.inf
        costs[first] = costs[:, first] = _merge_costs(int(first), boxes, counts, left)
    return boxes[left]


def _merge_costs(index: int, boxes: np.ndarray, counts: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Positions of padding that come in when box `index` is merged with each box, float64 [boxes]."""
    sums, merged = boxes.sum(1), np.maximum(boxes[index], boxes).sum(1)
    costs = counts[index] * (merged - sums[index]) + counts * (merged - sums)
    costs[~left] = costs[index] = np.inf
    return costs


def _move_edges(boxes: np.ndarray, cells: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Coordinate descent: move each edge of each box to where it costs least, until none moves."""
    boxes = boxes.copy()
    for _ in range(SWEEPS):
        before = boxes.copy()
        for index, side in np.ndindex(*boxes.shape):
            boxes[index, side] = _best_edge(boxes, index, side, cells, counts)
        if (boxes == before).all():
            break
    return boxes


def _best_edge(boxes: np.ndarray, index: int, side: int, cells: np.ndarray, counts: np.ndarray) -> int:
    """The edge of a box, among the lengths that there are, with which all rows need fewest positions."""
    others = np.delete(boxes, index, 0)
    elsewhere = np.where((cells[:, None] <= others).all(2), others.sum(1), np.inf).min(1, initial=np.inf)
    rest = np.delete(boxes[index], side)
    fits = (np.delete(cells, side, 1) <= rest).all(1)
    edges = np.concatenate([boxes[index, side, None], np.unique(cells[:, side])])  # the present one wins a tie
    here = np.where(fits & (cells[:, side] <= edges[:, None]), edges[:, None] + rest.sum(), np.inf)  # [edges, cells]
    return edges[np.argmin(np.minimum(here, elsewhere) @ counts)]
