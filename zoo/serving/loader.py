"""From a folder to a version that is ready to answer: loaded, batched where that is wanted, warmed up, measured."""

import time
from pathlib import Path
from typing import cast

from zoo.errors import UserError
from zoo.serving import memory
from zoo.serving.batching import Batched, BatchingParameters, Ran, Scheduler, read_parameters
from zoo.serving.metrics import Metrics
from zoo.serving.options import Options
from zoo.serving.servable import Servable
from zoo.serving.warmup import replay


class Loader:
    """Loads versions as the options say.

    Args:
        options: how to serve.
    Attributes:
        metrics: where loads and runs are counted.
    Raises: UserError for options that do not go together.
    """

    def __init__(self, options: Options) -> None:
        self.metrics = Metrics()
        self._warm_up = options.enable_model_warmup
        self._timeout_ms = options.rest_api_timeout_in_ms
        self._session = options.session()
        self._parameters = _parameters(options)
        self._scheduler = Scheduler(self._parameters) if self._parameters else None  # one for all models, as in Serving

    def __call__(self, path: Path, name: str, version: int) -> Servable:
        """A version that is ready to answer.

        Raises: RequestError with the code and text of whatever is wrong with it.
        """
        plain = servable = Servable(path, name, version, self._timeout_ms, self._session)
        if self._parameters:
            batched = Batched(
                plain, self._parameters, self._scheduler, timeout_ms=self._timeout_ms, observe=self._count
            )
            servable = cast(Servable, batched)
        try:
            if self._warm_up:
                self._replay(servable)
        except BaseException:
            servable.close()
            raise
        memory.settle()
        plain.on_run = lambda seconds: self.metrics.runtime_latency.add((name, "Predict", "TF1"), seconds * 1e6)
        return servable

    def close(self) -> None:
        """Ends its threads, when all that it has loaded is closed."""
        if self._scheduler:
            self._scheduler.close()

    def _count(self, ran: Ran) -> None:
        rows = sum(ran.rows)
        for waited in ran.waited:
            self.metrics.queuing_latency.add((ran.pool,), waited * 1e6)
        for each in ran.rows:
            self.metrics.input_batch_size.add((), each)
        self.metrics.processed_batch_size.add((), rows)
        self.metrics.padding_size.add((str(rows + ran.padding),), ran.padding)
        self.metrics.wrapped_runs.add(())

    def _replay(self, servable: Servable) -> None:
        began, status = time.perf_counter(), "fail"
        records = 0
        try:
            records = replay(servable)
            status = "success"
        finally:
            if records or status == "fail":
                labels = str(servable.path), status
                self.metrics.warmup_latency.add(labels, (time.perf_counter() - began) * 1e6)
                self.metrics.warmup_records.add(labels, records)


def _parameters(options: Options) -> BatchingParameters | None:
    file = options.batching_parameters_file
    if options.enable_batching:
        return read_parameters(file) if file else BatchingParameters()
    if file:
        raise UserError(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true.",
            where=str(file),
        )
    return None
