"""A batched model behind a gate, and what the tests of batching ask it with."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from typing import Any

import numpy as np
import pytest

from tests.serving.batch_models import Gate
from zoo.serving.batching import Batched, BatchingParameters, Ran, Scheduler
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError

HOUR = 3_600_000_000  # microseconds

Arrays = dict[str, np.ndarray]


class Counting(Scheduler):
    """Knows how many requests it was given."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.submitted, self._changed = 0, Condition()
        super().__init__(parameters)

    def submit(self, *task: Any) -> Any:
        try:
            return super().submit(*task)
        finally:
            with self._changed:
                self.submitted += 1
                self._changed.notify_all()

    def wait_for(self, submitted: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.submitted >= submitted, 60)


class Bench:
    """A batched model behind a gate, with clients that ask it."""

    def __init__(self, servable: Servable, clients: ThreadPoolExecutor, **parameters: Any) -> None:
        self.gate, self._clients = Gate(servable), clients
        self.ran: list[Ran] = []
        chosen = BatchingParameters(**{"num_batch_threads": 1, **parameters})
        self.scheduler = Counting(chosen)
        self.batched = Batched(self.gate, chosen, self.scheduler, observe=self.ran.append)

    def ask(self, *values: Any, signature: str = "serving_default", **options: Any) -> Future[Arrays]:
        """Asks with these rows, after all that were asked before."""
        inputs = values[0] if values and isinstance(values[0], dict) else {"x": np.array(values, np.float32)}
        before = self.scheduler.submitted
        asked = self._clients.submit(self.batched.run, signature, inputs, **options)
        while self.scheduler.submitted == before and not asked.done():
            time.sleep(0.001)
        return asked

    def occupy(self) -> Future[Arrays]:
        """Shuts the gate, with a request of one row before it, so that all others wait."""
        self.gate.shut()
        asked = self.ask(0.0)
        self.gate.wait_for(len(self.gate.calls) or 1)
        return asked


def error_of(asked: Future[Arrays]) -> tuple[Code, str]:
    with pytest.raises(RequestError) as caught:
        asked.result(60)
    return caught.value.code, caught.value.message
