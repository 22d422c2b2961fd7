"""Warm-up requests, which TensorFlow Serving answers once before a version is served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

FILE = "tf_serving_warmup_requests"
BATCHES = (1, 8)  # the first requests of a server are seldom larger


def write(folder: Path, name: str, signatures: Iterable[str], texts: Sequence[str]) -> None:
    """Writes a request for each signature and size of batch into `folder`, a version's assets.extra.

    Args:
        name: of the model, as it will be served.
        texts: inputs to take; a longest and a shortest are among the requests.
    """
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, PredictLog

    by_length = sorted(texts, key=len) or [""]
    with tf.io.TFRecordWriter(str(folder / FILE)) as file:
        for signature in signatures:
            for size in BATCHES:
                step = max(1, (len(by_length) - 1) // max(size - 1, 1))
                chosen = (by_length[::-step] * size)[:size]
                request = PredictRequest()
                request.model_spec.name = name
                request.model_spec.signature_name = signature
                request.inputs["text"].CopyFrom(tf.make_tensor_proto(chosen, tf.string))
                file.write(PredictionLog(predict_log=PredictLog(request=request)).SerializeToString())
