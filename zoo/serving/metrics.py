"""What operators watch: TensorFlow Serving's metrics, by their names and labels, for Prometheus.

Counting is done here, since it stands in the way of every request: a lock and an addition. The page is written by
prometheus_client, which adds the memory, the processor time and the open files of the process.

Names, labels and buckets: model_servers and servables/tensorflow/util.cc of TensorFlow Serving. Latencies are
microseconds.
"""

import re
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from threading import Lock
from typing import Any

from zoo.serving.status import Code, RequestError

PATH = "/monitoring/prometheus/metrics"


def _exponential(scale: float, growth: float, count: int) -> list[float]:
    return [scale * growth**i for i in range(count)]


_LATENCIES = _exponential(10, 1.8, 33)  # microseconds, to about 20 minutes
_SIZES = _exponential(1, 2, 15)
_OPENMETRICS_NAME = re.compile(rb"^(# \w+ :\S+)_total ", re.MULTILINE)


class Counter:
    """Counts, apart for each combination of label values.

    Args:
        name: the metric's name.
        help: what it counts.
        labels: the names of its labels.
    """

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._lock = Lock()
        self._values: dict[tuple[str, ...], int] = {}

    def add(self, labels: tuple[str, ...], amount: int = 1) -> None:
        """Counts.

        Args:
            labels: a value for each label, in order.
            amount: how many.
        """
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def family(self) -> Any:
        """What prometheus_client writes."""
        from prometheus_client.core import Metric

        family = Metric(self.name, self.help, "counter")
        with self._lock:
            values = dict(self._values)
        for labels, value in sorted(values.items()):
            family.add_sample(self.name, dict(zip(self.labels, labels, strict=True)), value)
        return family


class Histogram:
    """Counts values by size, apart for each combination of label values.

    Args:
        name: the metric's name.
        help: what it measures.
        labels: the names of its labels.
        bounds: the upper bounds of all buckets but the last, which has none.
    """

    def __init__(self, name: str, help: str, *labels: str, bounds: Sequence[float]) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._bounds = bounds
        self._lock = Lock()
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], value: float) -> None:
        """Counts a value.

        Args:
            labels: a value for each label, in order.
            value: the size.
        """
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            counts = self._counts.get(labels)
            if counts is None:
                counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
                self._sums[labels] = 0.0
            counts[bucket] += 1
            self._sums[labels] += value

    def family(self) -> Any:
        """What prometheus_client writes."""
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        bounds = [f"{bound:g}" for bound in self._bounds] + ["+Inf"]  # six digits, as Serving writes them
        with self._lock:
            counts = {labels: (list(each), self._sums[labels]) for labels, each in self._counts.items()}
        for labels, (each, total) in sorted(counts.items()):
            family.add_metric(labels, list(zip(bounds, accumulate(each), strict=True)), total)
        return family


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        serving = ":tensorflow:serving:"
        batching = serving + "batching_session:"
        self.requests = Counter(serving + "request_count", "The total number of requests.", "model_name", "status")
        self.request_latency = Histogram(
            serving + "request_latency",
            "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
            *("model_name", "API", "entrypoint"),
            bounds=_LATENCIES,
        )
        self.runtime_latency = Histogram(
            serving + "runtime_latency",
            "Distribution of wall time (in microseconds) for Tensorflow runtime.",
            *("model_name", "API", "runtime"),
            bounds=_LATENCIES,
        )
        self.warmup_latency = Histogram(
            serving + "model_warmup_latency",
            "Distribution of wall time (in microseconds) for warming up the model.",
            *("model_path", "status"),
            bounds=_LATENCIES,
        )
        self.warmup_records = Counter(
            serving + "model_warmup_records_read", "Requests of the warm-up file that were run.", "model_path", "status"
        )
        self.queuing_latency = Histogram(
            batching + "queuing_latency",
            "Distribution of wall time spent (in microseconds) in queuing",
            "thread_pool_name",
            bounds=_exponential(100, 1.2, 52),
        )
        self.input_batch_size = Histogram(
            batching + "input_batch_size", "Rows of the requests that were batched.", bounds=_SIZES
        )
        self.processed_batch_size = Histogram(
            batching + "processed_batch_size", "Rows of the batches, without padding.", bounds=_SIZES
        )
        self.padding_size = Histogram(
            batching + "padding_size", "Rows added to the batches.", "execution_batch_size", bounds=_SIZES
        )
        self.wrapped_runs = Counter(batching + "wrapped_run_count", "Total count of run calls on the wrapped session")
        self.loads = Counter(
            ":tensorflow:cc:saved_model:load_attempt_count", "Loads of SavedModels.", "model_path", "status"
        )
        self.load_latency = Counter(
            ":tensorflow:cc:saved_model:load_latency", "Microseconds spent on loading.", "model_path"
        )

    def answered(self, model: str, api: str, entrypoint: str, code: Code, seconds: float) -> None:
        """Counts a request, and how long it took where it went well.

        Args:
            model: the model's name; empty where no model of that name is known, so that strangers cannot fill memory.
            api: such as "Predict"; over REST in small letters, as in Serving.
            entrypoint: "REST" or "GRPC".
            code: how it went.
            seconds: how long it took.
        """
        if code is Code.OK:
            self.request_latency.add((model, api, entrypoint), seconds * 1e6)
        self.requests.add((model, code.name))

    @contextmanager
    def request(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Counts what is done in the block as a request; the arguments are those of `answered`."""
        began, code = time.perf_counter(), Code.OK
        try:
            yield
        except Exception as error:
            code = error.code if isinstance(error, RequestError) else Code.INTERNAL
            raise
        finally:
            self.answered(model, api, entrypoint, code, time.perf_counter() - began)

    def collect(self) -> Iterator[Any]:
        """All families, for prometheus_client."""
        for each in vars(self).values():
            yield each.family()

    def page(self) -> bytes:
        """The page in Prometheus's text format."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        # The library names counters by OpenMetrics' rule, which is younger than these names.
        return _OPENMETRICS_NAME.sub(rb"\1 ", generate_latest(registry))
