"""Small SavedModels that the tests of the server serve."""

from pathlib import Path
from typing import Any

import numpy as np


def save_upper(home: Path, version: int, suffix: str = "") -> Path:
    """Writes a version whose `serving_default` gives a text in capitals, with a suffix that tells versions apart."""
    import tensorflow as tf

    texts = tf.TensorSpec([None], tf.string, name="text")

    class Upper(tf.Module):
        @tf.function(input_signature=[texts])
        def upper(self, text: Any) -> dict[str, Any]:
            return {"text": tf.strings.upper(text) + suffix}

        @tf.function(input_signature=[texts])
        def measured(self, text: Any) -> dict[str, Any]:
            return {"text": tf.strings.upper(text), "length": tf.strings.length(text), "raw_bytes": text}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="steps")])
        def burn(self, steps: Any) -> dict[str, Any]:
            start = (tf.constant(0), tf.eye(8))
            count, _ = tf.while_loop(lambda i, _: i < steps, lambda i, x: (i + 1, x @ x), start)
            return {"steps": count}

    module = Upper()
    return _save(module, home, version, serving_default=module.upper, measured=module.measured, burn=module.burn)


def save_kinds(home: Path) -> Path:
    """Writes a version with signatures for each kind of value and of mistake."""
    import tensorflow as tf

    names = ("float64", "int8", "uint8", "int16", "int32", "int64", "uint32", "uint64", "float32", "bool", "string")
    specs = {f"a_{name}": tf.TensorSpec(None, getattr(tf, name), name=f"a_{name}") for name in names}
    vector = tf.TensorSpec([None], tf.float32, name="x")

    class Kinds(tf.Module):
        @tf.function
        def echo(self, **inputs: Any) -> dict[str, Any]:
            return {name: tf.identity(value) for name, value in inputs.items()}

        @tf.function(input_signature=[vector])
        def half(self, x: Any) -> dict[str, Any]:
            return {"y": x / 2}

        @tf.function(input_signature=[vector])
        def scalar(self, x: Any) -> dict[str, Any]:
            return {"sum": tf.reduce_sum(x)}

        @tf.function(input_signature=[vector])
        def uneven(self, x: Any) -> dict[str, Any]:
            return {"a": x, "b": x[:1]}

        @tf.function(input_signature=[vector])
        def positive(self, x: Any) -> dict[str, Any]:
            with tf.control_dependencies([tf.debugging.assert_positive(x, "x must be positive")]):
                return {"root": tf.sqrt(x)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, name="x")])
        def half_precision(self, x: Any) -> dict[str, Any]:
            return {"y": tf.cast(x, tf.float32)}

        @tf.function(input_signature=[vector])
        def to_half_precision(self, x: Any) -> dict[str, Any]:
            return {"y": tf.cast(x, tf.float16)}

    module = Kinds()
    signatures = {name: getattr(module, name) for name in ("scalar", "uneven", "positive")}
    signatures |= {"half_precision": module.half_precision, "to_half_precision": module.to_half_precision}
    return _save(
        module, home, 1, serving_default=module.half, echo=module.echo.get_concrete_function(**specs), **signatures
    )


def add_warmup(version: Path, texts: list[bytes], signature: str = "serving_default") -> None:
    """Adds a warm-up file with a record for each text."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    folder = version / "assets.extra"
    folder.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for text in texts:
            log = PredictionLog()
            log.predict_log.request.model_spec.signature_name = signature
            log.predict_log.request.inputs["text"].CopyFrom(tf.make_tensor_proto(np.array([text], object)))
            writer.write(log.SerializeToString())


def _save(module: Any, home: Path, version: int, **signatures: Any) -> Path:
    import tensorflow as tf

    path = home / str(version)
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path
