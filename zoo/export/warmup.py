"""Warm-up requests, which TensorFlow Serving answers once before a version is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.export.bundle import by_input, size_of
from zoo.tasks.task import Signature

FILE = "tf_serving_warmup_requests"
BATCHES = (1, 8)  # the first requests of a server are seldom larger
MOST_RECORDS = 1000  # more, and TensorFlow Serving does not load the version


class Request(NamedTuple):
    """A predict request: name of an input -> array, strings as bytes; the outputs wanted, all where empty."""

    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: tuple[str, ...] = ()


def write(folder: Path, name: str, signatures: Mapping[str, Signature], raws: Sequence[Any]) -> None:
    """Writes a request for each signature and size of batch into `folder`, a version's assets.extra.

    Args:
        name: of the model, as it will be served.
        signatures: their inputs name what is sent.
        raws: inputs to take, values or tuples of them; a longest and a shortest are among the requests.
    """
    by_length = sorted(raws, key=size_of)
    requests = []
    for signature, promised in signatures.items():
        for size in BATCHES if by_length else ():
            step = max(1, (len(by_length) - 1) // max(size - 1, 1))
            chosen = (by_length[::-step] * size)[:size]
            inputs = by_input(list(promised.inputs), chosen)
            requests.append(Request(signature, {key: _strings(values) for key, values in inputs.items()}))
    write_requests(folder / FILE, name, requests)


def _strings(values: list[Any]) -> np.ndarray:
    return np.array([value.encode() if isinstance(value, str) else value for value in values], object)


def write_requests(path: Path, name: str, requests: Iterable[Request]) -> None:
    """Writes requests to the model `name` as TensorFlow Serving reads them, a TFRecord of PredictionLog."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, PredictLog

    with tf.io.TFRecordWriter(str(path)) as file:
        for each in requests:
            request = PredictRequest(output_filter=each.outputs)
            request.model_spec.name = name
            request.model_spec.signature_name = each.signature
            for key, value in each.inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            file.write(PredictionLog(predict_log=PredictLog(request=request)).SerializeToString())


def read_requests(path: Path) -> Iterator[Request]:
    """The requests of a warm-up file.

    Raises: ValueError where TensorFlow Serving would not take it.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    try:
        for count, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
            if count >= MOST_RECORDS:
                raise ValueError(f"it holds more than {MOST_RECORDS:,} requests")
            yield _request(PredictionLog.FromString(record), f"request {count}")
    except (tf.errors.OpError, DecodeError) as error:
        raise ValueError(f"it cannot be read: {' '.join(str(error).split())}") from None


def _request(log: Any, which: str) -> Request:
    import tensorflow as tf

    if not log.HasField("predict_log"):
        raise ValueError(f"{which} is not a PredictLog")
    request = log.predict_log.request
    inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
    return Request(request.model_spec.signature_name or "serving_default", inputs, tuple(request.output_filter))
