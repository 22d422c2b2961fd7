"""Warm-up: the requests that an export carries are answered once before its version is served.

The file is TensorFlow Serving's (servables/tensorflow/saved_model_warmup_util.cc): `assets.extra/
tf_serving_warmup_requests`, a TFRecord of PredictionLog. As there, any mistake in it fails the load of the version.
"""

from typing import Any

from zoo.serving import answers
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError, invalid

FILE = "assets.extra/tf_serving_warmup_requests"
MOST_RECORDS = 1000

_ANSWERS = {
    "predict_log": answers.predict,
    "classify_log": answers.classify,
    "regress_log": answers.regress,
    "multi_inference_log": answers.multi_inference,
}


def replay(servable: Servable) -> int:
    """Runs the warm-up requests of a version; returns how many there were, 0 where it has no file.

    Raises: RequestError with Serving's code and text.
    """
    path = servable.path / FILE
    if not path.exists():
        return 0
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    count = 0
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    try:
        for count, record in enumerate(records, start=1):
            if count > MOST_RECORDS:
                raise invalid(f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {path}")
            _run(servable, PredictionLog.FromString(record))
    except tf.errors.DataLossError as error:
        remark = ". Please verify your warmup data is in TFRecord format."
        raise RequestError(Code.DATA_LOSS, error.message + remark) from None
    except DecodeError:
        raise invalid(f"Failed to parse warmup record: {record!r:.100} from {path}") from None
    return count


def _run(servable: Servable, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind not in _ANSWERS:
        number = log.DESCRIPTOR.fields_by_name[kind].number if kind else 0
        raise RequestError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
    _ANSWERS[kind](servable, getattr(log, kind).request)
