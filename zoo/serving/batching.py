"""Dynamic batching across requests: those that come at the same time for the same signature share a call of the model.

The rules, the texts and the codes are TensorFlow Serving's (batching/batching_session.cc, with a queue for each
signature and set of outputs). Where Serving lets strangers suffer for each other, this does not: a batch that fails is
divided and tried again, so that one request's bad input fails that request alone; and nobody waits past his deadline.
"""

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, NamedTuple

from zoo.serving.batch_arrays import Form, count_rows, forms, join, merge, misfits, split
from zoo.serving.batch_queue import Lane, Scheduler, Task
from zoo.serving.batching_parameters import BatchingParameters, read_parameters
from zoo.serving.json_tensor import Arrays
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError, invalid

__all__ = ["Batched", "BatchingParameters", "Ran", "Scheduler", "read_parameters"]

_HOPELESS = (Code.DEADLINE_EXCEEDED, Code.CANCELLED)  # smaller batches would fare no better


class Ran(NamedTuple):
    """What is told of each batch, for metrics.

    Attributes:
        pool: the name of the threads.
        rows: of each request in it.
        padding: rows that were added.
        waited: seconds that each request has waited.
    """

    pool: str
    rows: tuple[int, ...]
    padding: int
    waited: tuple[float, ...]


class Batched:
    """A Servable whose calls are batched; all else is the Servable's own.

    Only what fits the signature is batched. A request that does not, is called by itself: it fails as it would have
    failed without batching, and no other can suffer.

    Args:
        servable: what is called, and closed in the end.
        parameters: how requests are batched.
        scheduler: the threads, shared with other models as in Serving; None for threads of its own.
        timeout_ms: how long a request may take that says nothing of it, the time in the queue included; 0 for ever.
        observe: is told of each batch; by any thread.
    """

    def __init__(
        self,
        servable: Servable,
        parameters: BatchingParameters,
        scheduler: Scheduler | None = None,
        *,
        timeout_ms: int = 0,
        observe: Callable[[Ran], None] | None = None,
    ) -> None:
        self.parameters = parameters
        self._servable, self._timeout_ms, self._observe = servable, timeout_ms, observe
        self._forms: dict[str, dict[str, Form]] = forms(servable)
        self._own = Scheduler(parameters) if scheduler is None else None
        self._scheduler = scheduler or self._own
        self._scheduler.join(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servable, name)

    def run(
        self, signature: str, inputs: Arrays, outputs: Sequence[str] = (), *, timeout_ms: int | None = None
    ) -> Arrays:
        """Calls a signature, together with whoever else asks for it. To be called from many threads at once.

        Args:
            signature: its name.
            inputs: name -> array, for every input, with the rows along the first dimension; strings as arrays of bytes.
            outputs: the outputs wanted; all where empty.
            timeout_ms: how long it may take, the time in the queue included; None for the server's own limit.
        Raises: RequestError as Servable.run does, and
            INVALID_ARGUMENT for inputs without a common number of rows, or with too many;
            UNAVAILABLE, at once, where the queue is full;
            DEADLINE_EXCEEDED when the time is over, wherever the request stands then;
            FAILED_PRECONDITION where requests of unequal shapes meet, or an output is not by rows.
        """
        found = self._servable.signatures.get(signature)
        if found is None or found.inputs.keys() != inputs.keys() or not found.fetches.keys() >= set(outputs):
            return self._servable.run(signature, inputs, outputs, timeout_ms=timeout_ms)  # which says what is wrong
        rows, most = count_rows(inputs), self.parameters.max_batch_size
        if rows > most:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {most}")
        if not rows or not all(self._forms[signature][name].takes(array) for name, array in inputs.items()):
            return self._servable.run(signature, inputs, outputs, timeout_ms=timeout_ms)
        timeout_ms = timeout_ms or self._timeout_ms
        task = Task(inputs, rows)
        if timeout_ms:
            task.deadline = task.came + timeout_ms / 1e3
        return self._ask(Lane(self, signature, tuple(sorted(set(outputs) or found.fetches))), task)

    def close(self) -> None:
        """Answers what waits, then closes the Servable. Requests that come later are refused."""
        self._scheduler.leave(self)
        if self._own:
            self._own.close()
        self._servable.close()

    def process(self, lane: Lane, tasks: list[Task]) -> None:
        """Answers the tasks of a batch; called by the scheduler."""
        if not tasks:
            return  # all have given up
        if self._observe:
            now, sizes = time.monotonic(), tuple(task.rows for task in tasks)
            waited = tuple(now - task.came for task in tasks)
            padding = self.parameters.padding(sum(sizes))
            self._observe(Ran(self.parameters.thread_pool_name, sizes, padding, waited))
        pad = self.parameters.pad_variable_length_inputs
        errors = misfits([task.inputs for task in tasks], self._forms[lane.signature], pad)
        for task, error in zip(tasks, errors, strict=True):
            if error:
                task.answer.set_exception(error)
        self._answer(lane, tasks)

    def _ask(self, lane: Lane, task: Task) -> Arrays:
        parts = self._scheduler.submit(lane, task)
        try:
            answers = [part.answer.result(None if part.deadline == inf else part.left()) for part in parts]
        except BaseException as error:
            withdrawn = [self._scheduler.withdraw(lane, part) for part in parts]
            if isinstance(error, TimeoutError):
                raise _too_late(waiting=any(withdrawn)) from None
            raise
        return answers[0] if len(answers) == 1 else join(answers)

    def _answer(self, lane: Lane, tasks: list[Task]) -> None:
        """Calls the model for all of them; where it fails, for each half, until those are alone that it fails for."""
        tasks = [task for task in tasks if not task.answer.done() and not _refuse_late(task)]
        error = self._call(lane, tasks) if tasks else None
        if error is None:
            return
        if len(tasks) == 1 or (isinstance(error, RequestError) and error.code in _HOPELESS):
            _refuse(tasks, error)
            return
        half = len(tasks) // 2
        self._answer(lane, tasks[:half])
        self._answer(lane, tasks[half:])

    def _call(self, lane: Lane, tasks: list[Task]) -> Exception | None:
        """Calls the model for all of them; returns what went wrong with that."""
        rows = [task.rows for task in tasks]
        padding = self.parameters.padding(sum(rows))
        left = max(task.left() for task in tasks)  # as Serving does: the most patient one decides
        timeout_ms = None if left == inf else max(1, int(left * 1e3))
        try:
            inputs = merge([task.inputs for task in tasks], padding, self.parameters.pad_variable_length_inputs)
            outputs = self._servable.run(lane.signature, inputs, lane.outputs, timeout_ms=timeout_ms)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may be the fault of one of them
            return error
        try:
            answers = split(outputs, rows, padding)
        except RequestError as error:  # the model's fault, whatever the batch
            _refuse(tasks, error)
            return None
        for task, answer in zip(tasks, answers, strict=True):
            task.answer.set_result(answer)
        return None


def _refuse(tasks: Sequence[Task], error: Exception) -> None:
    for task in tasks:
        # Several threads will raise it, and each writes into it.
        own = RequestError(error.code, error.message, http=error.http) if isinstance(error, RequestError) else error
        task.answer.set_exception(own)


def _refuse_late(task: Task) -> bool:
    late = task.left() <= 0
    if late:
        task.answer.set_exception(_too_late(waiting=True))
    return late


def _too_late(waiting: bool) -> RequestError:
    text = "Run() timeout exceeded while waiting in batching queue" if waiting else "Timed out waiting for notification"
    return RequestError(Code.DEADLINE_EXCEEDED, text)
