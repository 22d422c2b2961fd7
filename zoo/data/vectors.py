"""Vectors of many texts: kept on disk in blocks, searched exactly by matrix products, one block after the other.

All vectors have length 1, so that a product of two is their cosine. There is no index: every text is compared, so that
none is missed, and no more than a block of them is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.errors import UserError
from zoo.files import whole
from zoo.progress import track

BLOCK = 2048  # vectors of a file, which are in memory together

Embed = Callable[[Sequence[str]], np.ndarray]


class Pair(NamedTuple):
    """Two texts by their numbers, `first` below `second`, and their cosine."""

    score: float
    first: int
    second: int


class Blocks(Sequence[np.ndarray]):
    """Blocks in files, each mapped when it is asked for: a file counts as open as long as it is mapped."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = [*paths]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: Any) -> Any:
        # A plain view: slicing np.memmap itself costs five times.
        return np.load(self._paths[number], mmap_mode="r").view(np.ndarray)


def kept_vectors(texts: Sequence[str], embed: Embed, folder: Path) -> Blocks:
    """The vectors of all texts: those that are in the folder already, and of the rest what `embed` gives.

    A block is kept as soon as it is made, under its name whole or not at all: what was stopped goes on there.

    Args:
        texts: N of them, in their order.
        embed: texts -> vectors of length 1, float32 [n, D].
        folder: for these texts and this model alone, so named by a fingerprint of both.

    Returns: blocks float32 [up to BLOCK, D], in order, each mapped when it is asked for.

    Raises: UserError where the folder cannot be written to.
    """
    blocks = {folder / f"{start:09d}.npy": texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)}
    missing = {path: part for path, part in blocks.items() if not path.is_file()}
    if missing:
        with track("embedding", len(texts), "texts") as progress:
            progress.skip(len(texts) - sum(map(len, missing.values())))
            for path, part in missing.items():
                _write(path, embed(part))
                progress.advance(len(part))
    return Blocks(blocks)


def _write(path: Path, block: np.ndarray) -> None:
    try:
        with whole(path) as file:
            np.save(file, block)
    except OSError as error:
        remedy = "Free space there, or let ZOO_CACHE name another folder."
        raise UserError(f"cannot be written ({error.strerror})", where=str(path.parent), remedy=remedy) from error


def nearest(queries: np.ndarray, blocks: Sequence[np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray]:
    """The texts with the highest cosine to each query, best first, those of one score in their own order.

    Args:
        queries: float32 [Q, D], of length 1.
        blocks: float32 [n, D] each, of length 1.
        most: how many are wanted, at least 1.

    Returns: scores float32 and numbers of the texts int64, both [Q, min(most, N)].
    """
    scores, rows = np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
    start = 0
    for block in blocks:
        here = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        found, numbers = _best(queries @ block.T, here, most)
        scores, rows = _best(np.hstack([scores, found]), np.hstack([rows, numbers]), most)
        start += len(block)
    order = np.lexsort((rows, -scores), axis=1)
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)


def _best(scores: np.ndarray, rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The `most` columns with the highest scores of each row, in no order."""
    if scores.shape[1] <= most:
        return scores, rows
    kept = np.argpartition(-scores, most - 1, axis=1)[:, :most]
    return np.take_along_axis(scores, kept, 1), np.take_along_axis(rows, kept, 1)


def nearest_pairs(blocks: Sequence[np.ndarray], most: int) -> list[Pair]:
    """The pairs of texts with the highest cosine, best first: duplicates and paraphrases.

    Every text is compared with every other: time grows with the square of their number, memory does not.

    Args:
        blocks: float32 [n, D] each, of length 1.
        most: how many are wanted, at least 1.
    """
    starts = np.cumsum([0, *map(len, blocks)])
    scores, firsts, seconds = np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64)
    with track("comparing", len(blocks) * (len(blocks) + 1) // 2, "blocks") as progress:
        for i, block in enumerate(blocks):
            for j in range(i, len(blocks)):
                found = block @ blocks[j].T
                if i == j:  # each pair once, and none with itself
                    found[np.tri(len(block), dtype=bool)] = -np.inf
                least = scores.min() if len(scores) == most else -np.inf
                here, there = np.nonzero(found > least)
                scores = np.concatenate([scores, found[here, there]])
                firsts = np.concatenate([firsts, starts[i] + here])
                seconds = np.concatenate([seconds, starts[j] + there])
                if len(scores) > most:
                    kept = np.argpartition(-scores, most - 1)[:most]
                    scores, firsts, seconds = scores[kept], firsts[kept], seconds[kept]
                progress.advance()
    order = np.lexsort((seconds, firsts, -scores))
    return [Pair(float(scores[k]), int(firsts[k]), int(seconds[k])) for k in order]
