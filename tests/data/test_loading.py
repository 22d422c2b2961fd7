import threading
import time
from itertools import islice

import numpy as np
import pytest

from tests.conftest import run_python
from zoo.data.loading import updates
from zoo.data.plan import Plan
from zoo.errors import UserError


class Rows:
    """Rows that are their own numbers, `length` times."""

    def __init__(self, lengths):
        self.lengths = lengths

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, row):
        return {"ids": np.full(self.lengths[row, 0], row, np.int32)}


def make_batch(rows, shape):
    ids = np.full((shape.rows, shape.lengths[0]), -1, np.int32)
    for place, row in enumerate(rows):
        ids[place, : len(row["ids"])] = row["ids"]
    return {"ids": ids}


def noise(row, rng):
    return {"ids": row["ids"] * 1000 + rng.integers(1000)}


LENGTHS = np.random.default_rng(0).integers(1, 30, (500, 1))
ROWS = Rows(LENGTHS)


def plan(group=1):
    return Plan(LENGTHS, 200, 3, group=group)


def assert_same(a, b):
    assert [number for number, _ in a] == [number for number, _ in b]
    for (_, left), (_, right) in zip(a, b, strict=True):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            np.testing.assert_array_equal(one["ids"], other["ids"], strict=True)


@pytest.mark.parametrize("threads", [0, 3])
def test_updates_are_the_plans_batches_epoch_after_epoch(threads):
    wanted = plan(group=2)
    loaded = islice(updates(ROWS, wanted, make_batch, threads=threads), 2 * wanted.updates + 3)
    planned = [update for epoch in range(3) for update in wanted.epoch(epoch)]
    for expected, (number, update) in enumerate(loaded):
        assert number == expected
        for batch, arrays in zip(planned[number], update, strict=True):
            assert arrays["ids"].shape == (batch.shape.rows, *batch.shape.lengths)
            rows = [np.append(np.full(LENGTHS[row, 0], row), -1)[0] for row in batch.rows if row >= 0]
            assert arrays["ids"][: len(rows), 0].tolist() == rows
            assert (arrays["ids"] >= 0).sum() == LENGTHS[batch.rows[batch.rows >= 0]].sum()
    assert number == 2 * wanted.updates + 2


def test_a_resumed_training_gets_what_the_whole_one_got():
    epoch = plan().updates
    whole = list(islice(updates(ROWS, plan(), make_batch, transform=noise, seed=5), 2 * epoch + 4))
    for start in (0, 1, epoch - 1, epoch, epoch + 7):
        resumed = updates(ROWS, plan(), make_batch, start=start, transform=noise, seed=5, threads=start % 3)
        assert_same(list(islice(resumed, len(whole) - start)), whole[start:])


def test_a_transform_depends_on_seed_epoch_and_row_alone():
    def drawn(seed, group, first):
        wanted = plan(group)
        several = islice(updates(ROWS, wanted, make_batch, start=first, transform=noise, seed=seed), wanted.updates)
        found = np.concatenate([batch["ids"][:, 0] for _, update in several for batch in update])
        return {int(value) // 1000: int(value) % 1000 for value in found if value >= 0}

    one = drawn(5, 1, 0)
    assert sorted(one) == list(range(500))
    assert one == drawn(5, 4, 0)  # other batches, in another order
    for other in (drawn(6, 1, 0), drawn(5, 1, plan().updates)):
        assert sum(one[row] == other[row] for row in one) < 10


def test_processes_share_every_update():
    whole = list(islice(updates(ROWS, plan(4), make_batch, transform=noise), 20))
    parts = [list(islice(updates(ROWS, plan(4), make_batch, transform=noise, shard=(i, 2)), 20)) for i in (0, 1)]
    together = [(number, [even[0], odd[0], even[1], odd[1]]) for (number, even), (_, odd) in zip(*parts, strict=True)]
    assert_same(together, whole)
    with pytest.raises(UserError, match="4 batches an update cannot be divided among 3 processes"):
        updates(ROWS, plan(4), make_batch, shard=(0, 3))


def test_threads_end_with_the_iterator_and_errors_come_through():
    def grain_threads():
        return [thread for thread in threading.enumerate() if thread.name.startswith("grain")]

    iterator = updates(ROWS, plan(), make_batch)
    next(iterator)
    assert grain_threads()
    iterator.close()
    deadline = time.monotonic() + 5
    while grain_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not grain_threads()

    def broken(row, rng):
        raise UserError("this row is broken")

    with pytest.raises(UserError, match="this row is broken"):
        next(updates(ROWS, plan(), make_batch, transform=broken))


def test_a_process_ends_with_an_iterator_open():
    """And without TensorFlow: loading must work where it is not installed."""
    code = """
        from tests.data.test_loading import ROWS, make_batch, plan
        from zoo.data.loading import updates
        iterator = updates(ROWS, plan(), make_batch)
        print(next(iterator)[0], next(iterator)[0])
        """
    assert run_python(code, blocked=["tensorflow"], timeout=60).split() == ["0", "1"]


def test_loading_takes_little_of_a_core():
    """At 20,000 tokens a second (a training on two cores) the input may take 3 % of a core."""
    rows = Rows(np.random.default_rng(0).integers(20, 30, (20_000, 1)))
    wanted = Plan(rows.lengths, 4096, 0)
    list(islice(updates(rows, wanted, make_batch), 3))
    start = time.process_time()
    for _ in islice(updates(rows, wanted, make_batch), wanted.updates):
        pass
    assert (time.process_time() - start) * 20_000 / rows.lengths.sum() < 0.03
