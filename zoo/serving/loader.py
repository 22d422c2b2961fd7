"""From a folder to a version that is ready to answer: loaded, warmed up, measured."""

import time
from pathlib import Path

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

    def __call__(self, path: Path, name: str, version: int) -> Servable:
        """A version that is ready to answer.

        Raises: RequestError with the code and text of whatever is wrong with it.
        """
        servable = Servable(path, name, version, self._timeout_ms, self._session)
        try:
            if self._warm_up:
                self._replay(servable)
        except BaseException:
            servable.close()
            raise
        servable.on_run = lambda seconds: self.metrics.runtime_latency.add((name, "Predict", "TF1"), seconds * 1e6)
        return servable

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
