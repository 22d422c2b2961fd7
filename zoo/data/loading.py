"""From prepared rows and a plan to batches in memory, ahead of the training, on Grain (random access, threads).

The n-th update is a function of its number alone, so a training resumes anywhere by naming the next number, and each
process can make its own part of every update.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Lock
from typing import Any, Protocol

import grain
import numpy as np

from zoo.data.plan import Batch, Plan, Shape
from zoo.errors import UserError

UPDATES_AHEAD = 8  # some seconds of a slow training, some dozen megabytes at most

Row = dict[str, Any]
Arrays = dict[str, np.ndarray]


class Rows(Protocol):
    """Rows by number; `zoo.data.prepared.Prepared` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Row: ...


def updates(
    prepared: Rows,
    plan: Plan,
    make_batch: Callable[[list[Row], Shape], Arrays],
    *,
    start: int = 0,
    transform: Callable[[Row, np.random.Generator], Row] | None = None,
    seed: int = 0,
    shard: tuple[int, int] = (0, 1),
    threads: int = 2,
) -> Iterator[tuple[int, list[Arrays]]]:
    """The updates of a training, endlessly, epoch after epoch.

    Args:
        prepared: the rows that the plan was made for.
        plan: which rows make which update.
        make_batch: (rows, shape) -> arrays padded to `shape`; it may get fewer rows than `shape.rows`, even none.
        start: number of the first update; update n belongs to epoch ``n // plan.updates``.
        transform: made anew of each row each time it is drawn, with a generator from (seed, epoch, row): what comes
            out depends neither on the order of work nor on where a training was resumed.
        seed: for `transform`.
        shard: (index of this process, number of processes): process i gets batches i, i + n, … of each update.
        threads: that prepare updates ahead; 0 makes each when it is asked for.

    Yields: (number, the batches of this process). Closing the iterator, or dropping it, ends its threads.
    """
    if plan.group % shard[1]:
        raise UserError(
            f"{plan.group} batches an update cannot be divided among {shard[1]} processes",
            remedy="Choose the number of batches an update as a multiple of the number of processes.",
        )
    source = _Updates(prepared, plan, make_batch, transform, seed, shard)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=UPDATES_AHEAD if threads else 0)
    iterator = iter(grain.MapDataset.source(source).to_iter_dataset(options))
    grain.experimental.set_next_index(iterator, start)
    return _numbered(iterator, start)


def _numbered(iterator: grain.DatasetIterator, start: int) -> Iterator[tuple[int, list[Arrays]]]:
    with closing(iterator):
        yield from enumerate(iterator, start)


class _Updates:
    """Updates by their number over all epochs, as a source that Grain reads from several threads."""

    def __init__(
        self,
        prepared: Rows,
        plan: Plan,
        make_batch: Callable[[list[Row], Shape], Arrays],
        transform: Callable[[Row, np.random.Generator], Row] | None,
        seed: int,
        shard: tuple[int, int],
    ) -> None:
        self._prepared = prepared
        self._plan = plan
        self._make_batch = make_batch
        self._transform = transform
        self._seed = seed
        self._shard = shard
        self._epochs: dict[int, list[list[Batch]]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> list[Arrays]:
        epoch, place = divmod(number, self._plan.updates)
        index, count = self._shard
        return [
            self._make_batch(self._read(batch, epoch), batch.shape) for batch in self._epoch(epoch)[place][index::count]
        ]

    def _read(self, batch: Batch, epoch: int) -> list[Row]:
        numbers = batch.rows[batch.rows >= 0].tolist()
        rows = [self._prepared[number] for number in numbers]
        if self._transform is None:
            return rows
        return [
            self._transform(row, np.random.default_rng((self._seed, epoch, number)))
            for number, row in zip(numbers, rows, strict=True)
        ]

    def _epoch(self, epoch: int) -> list[list[Batch]]:
        """The updates of an epoch; this and the one before are kept, as threads stand on both sides of its end."""
        with self._lock:
            if epoch not in self._epochs:
                self._epochs = {known: updates for known, updates in self._epochs.items() if known == epoch - 1}
                self._epochs[epoch] = self._plan.epoch(epoch)
            return self._epochs[epoch]
