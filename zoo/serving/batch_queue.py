"""Requests that wait to be answered together, and the threads that take them: TensorFlow's SharedBatchScheduler.

What goes into which batch, when a batch may go and when the queue is full: core/kernels/batching_util/
shared_batch_scheduler.h of TensorFlow 2.20. Two things are better here. A request that gives up leaves the queue and
makes room. And nothing polls: a thread sleeps until there is a batch for it.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import inf
from threading import Condition, Lock, Thread
from typing import NamedTuple, Protocol

from zoo.serving.batching_parameters import BatchingParameters
from zoo.serving.json_tensor import Arrays
from zoo.serving.status import Code, RequestError

log = logging.getLogger(__name__)

_FULL = "The batch scheduling queue to which this task was submitted is full; "


@dataclass(eq=False)
class Task:
    """A request, or the part of one that goes into a batch.

    Attributes:
        inputs: name -> array, `rows` along the first dimension of each.
        rows: how many.
        deadline: when it is too late for an answer, by time.monotonic; inf for never.
        came: when it was asked.
        answer: the outputs: name -> array of `rows`.
    """

    inputs: Arrays
    rows: int
    deadline: float = inf
    came: float = field(default_factory=time.monotonic)
    answer: Future[Arrays] = field(default_factory=Future)

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def cut(self, sizes: Sequence[int]) -> list["Task"]:
        """The task in parts of so many rows."""
        parts, start = [], 0
        for size in sizes:
            inputs = {name: array[start : start + size] for name, array in self.inputs.items()}
            parts.append(Task(inputs, size, self.deadline, self.came))
            start += size
        return parts


class Owner(Protocol):
    """Who answers batches."""

    parameters: BatchingParameters

    def process(self, lane: "Lane", tasks: list[Task]) -> None:
        """Sets the answer of every task. Called by a thread of the scheduler, without a lock."""


class Lane(NamedTuple):
    """What may stand in one batch: the same signature, and the same outputs wanted, of the same owner."""

    owner: Owner
    signature: str
    outputs: tuple[str, ...]


@dataclass(eq=False)
class _Batch:
    tasks: list[Task] = field(default_factory=list)
    rows: int = 0
    began: float = inf


class _Queue:
    """The batches of a lane that wait. The last one is open to more; it may be empty when it is alone, others never."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self._parameters = parameters
        self._size = parameters.execution_batch_size
        self._batches: deque[_Batch] = deque([_Batch()])

    @property
    def empty(self) -> bool:
        return not self._batches[-1].tasks

    def ready_at(self) -> float:
        """When a batch may go, by time.monotonic: -inf for at once, inf while nothing waits."""
        open_ = self._batches[-1]
        if len(self._batches) > 1 or open_.rows >= self._size:
            return -inf
        return open_.began + self._parameters.batch_timeout_micros / 1e6

    def add(self, task: Task) -> list[Task]:
        """Takes a task in and returns the parts that it was divided into; it alone where it stays whole.

        Raises: RequestError UNAVAILABLE where the queue is full.
        """
        self._check_room(task.rows)
        room = self._size - self._batches[-1].rows
        parts = [task]
        if task.rows > room and self._parameters.enable_large_batch_splitting:
            whole, rest = divmod(task.rows - room, self._size)
            parts = task.cut([size for size in (room, *[self._size] * whole, rest) if size])
        for part in parts:
            if self._batches[-1].rows + part.rows > self._size:
                self._batches.append(_Batch())
            batch = self._batches[-1]
            if not batch.tasks:
                batch.began = part.came
            batch.tasks.append(part)
            batch.rows += part.rows
        return parts

    def take(self) -> list[Task]:
        """The tasks of the first batch, which is no longer here."""
        batch = self._batches.popleft()
        if not self._batches:
            self._batches.append(_Batch())
        return batch.tasks

    def remove(self, task: Task) -> None:
        """Lets a task go that nobody waits for any more."""
        for batch in self._batches:
            if task in batch.tasks:
                batch.tasks.remove(task)
                batch.rows -= task.rows
                if not batch.tasks:
                    self._batches.remove(batch)
                break
        if not self._batches:
            self._batches.append(_Batch())

    def _check_room(self, rows: int) -> None:
        waiting, open_rows = len(self._batches), self._batches[-1].rows
        most = self._parameters.max_enqueued_batches
        if self._parameters.enable_large_batch_splitting:
            room = (most - waiting) * self._size + self._size - open_rows
            if rows > room:
                text = (
                    f"task size is {rows} but scheduling capacity is only {room} (num_enqueued_batches={waiting}, "
                    f"max_enqueued_batches={most}, open_batch_size={open_rows}, max_execution_batch_size={self._size})"
                )
                raise RequestError(Code.UNAVAILABLE, _FULL + text)
        elif open_rows + rows > self._size and waiting >= max(most, 1):
            text = f"currently {waiting} batches enqueued and max_enqueued_batches is {max(most, 1)}"
            raise RequestError(Code.UNAVAILABLE, _FULL + text)


class Scheduler:
    """Threads that work on batches, lane after lane in turn. Several owners may share one, as all models of Serving do.

    Args:
        parameters: num_batch_threads and thread_pool_name; the rest is each owner's.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        lock = Lock()
        self._work, self._done = Condition(lock), Condition(lock)
        self._owners: set[Owner] = set()
        self._queues: dict[Lane, _Queue] = {}  # those with something in it, the one whose turn it is first
        self._running: Counter[Owner] = Counter()  # batches that are worked on
        self._stopping = False
        self._threads = [
            Thread(target=self._run, name=f"{parameters.thread_pool_name}_{number}", daemon=True)
            for number in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def join(self, owner: Owner) -> None:
        """Begins to take tasks for an owner."""
        with self._work:
            self._owners.add(owner)

    def leave(self, owner: Owner) -> None:
        """Takes no more tasks for an owner, and waits until those that came are answered."""
        with self._done:
            self._owners.discard(owner)
            self._work.notify()  # its batches wait for no others now
            while self._running[owner] or any(lane.owner is owner for lane in self._queues):
                self._done.wait()
            del self._running[owner]

    def submit(self, lane: Lane, task: Task) -> list[Task]:
        """Queues a task.

        Returns: the parts that it was divided into, in order, each with an answer of its own; mostly it alone.
        Raises: RequestError UNAVAILABLE where the queue is full or the owner has left.
        """
        with self._work:
            if lane.owner not in self._owners:
                raise RequestError(Code.UNAVAILABLE, "The model is being unloaded.")
            queue = self._queues.get(lane) or _Queue(lane.owner.parameters)
            parts = queue.add(task)
            self._queues[lane] = queue
            self._work.notify()
        return parts

    def withdraw(self, lane: Lane, task: Task) -> bool:
        """Takes a task back that nobody has begun to work on; returns whether there was time for that."""
        if not task.answer.cancel():
            return False
        with self._done:
            queue = self._queues.get(lane)
            if queue:
                queue.remove(task)
                if queue.empty:
                    del self._queues[lane]
                    self._done.notify_all()
        return True

    def close(self) -> None:
        """Ends the threads when nothing waits any more. Every owner must have left."""
        with self._work:
            self._stopping = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while self._work_on_one():
            pass

    def _work_on_one(self) -> bool:
        """Works on a batch. In a frame of its own: a thread that sleeps holds neither tensors nor a model."""
        batch = self._next()
        if batch is None:
            return False
        lane, tasks = batch
        try:
            tasks = [task for task in tasks if task.answer.set_running_or_notify_cancel()]
            lane.owner.process(lane, tasks)
        except Exception as error:  # a mistake of ours; nobody may wait for ever because of it
            log.exception("a batch of %s failed", lane.signature)
            for task in tasks:
                if not task.answer.done():
                    task.answer.set_exception(error)
        finally:
            with self._done:
                self._running[lane.owner] -= 1
                self._done.notify_all()
        return True

    def _next(self) -> tuple[Lane, list[Task]] | None:
        """Waits for a batch; None when the threads are to end."""
        with self._work:
            while not self._stopping:
                now, soonest = time.monotonic(), inf
                for lane, queue in self._queues.items():
                    ready = queue.ready_at() if lane.owner in self._owners else -inf
                    if ready <= now:
                        return lane, self._take(lane, queue)
                    soonest = min(soonest, ready)
                self._work.wait(soonest - now if soonest < inf else None)
            return None

    def _take(self, lane: Lane, queue: _Queue) -> list[Task]:
        tasks = queue.take()
        self._running[lane.owner] += 1
        del self._queues[lane]
        if not queue.empty:
            self._queues[lane] = queue  # the others first
        if self._queues:
            # Of the threads that sleep, one has seen what is left and knows when to wake up: a single notify a task
            # is enough, and most tasks wake nobody.
            self._work.notify()
        return tasks
