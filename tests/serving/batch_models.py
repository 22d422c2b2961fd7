"""A SavedModel to batch requests for, and a gate before it."""

from collections.abc import Sequence
from pathlib import Path
from threading import Condition, Event
from typing import Any

import numpy as np

from zoo.serving.servable import Servable


def save_rows(path: Path) -> Path:
    """Writes a SavedModel whose signatures tell rows, widths and batches apart, and fail where they should."""
    import tensorflow as tf

    vector = tf.TensorSpec([None], tf.float32, name="x")
    matrix = tf.TensorSpec([None, None], tf.float32, name="x")
    texts = tf.TensorSpec([None], tf.string, name="text")

    class Rows(tf.Module):
        @tf.function(input_signature=[vector])
        def double(self, x: Any) -> dict[str, Any]:
            return {"y": x * 2, "batch": tf.fill(tf.shape(x), tf.size(x))}

        @tf.function(input_signature=[texts, tf.TensorSpec([None, 2], tf.int32, name="pair")])
        def join(self, text: Any, pair: Any) -> dict[str, Any]:
            return {"text": tf.strings.join([text, tf.strings.as_string(pair[:, 0] + pair[:, 1])])}

        @tf.function(input_signature=[vector])
        def root(self, x: Any) -> dict[str, Any]:
            bad = tf.boolean_mask(x, x < 0)
            check = tf.debugging.Assert(tf.size(bad) == 0, [tf.strings.as_string(bad)])
            with tf.control_dependencies([check]):
                return {"y": tf.sqrt(x)}

        @tf.function(input_signature=[matrix])
        def total(self, x: Any) -> dict[str, Any]:
            return {"y": tf.reduce_sum(x, 1)}

        @tf.function(input_signature=[texts])
        def letters(self, text: Any) -> dict[str, Any]:
            return {"letters": tf.strings.bytes_split(text).to_tensor()}  # as wide as the longest of the batch

        @tf.function(input_signature=[vector])
        def scalar(self, x: Any) -> dict[str, Any]:
            return {"y": tf.reduce_sum(x)}

        @tf.function(input_signature=[vector])
        def first(self, x: Any) -> dict[str, Any]:
            return {"y": x[:1]}

    module = Rows()
    signatures = {name: getattr(module, name) for name in ("join", "root", "total", "letters", "scalar", "first")}
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.double, **signatures})
    return path


class Gate:
    """A Servable whose calls wait while the gate is shut, and are noted; closing it does not close the Servable.

    Attributes:
        calls: the inputs of each call, in order.
        closed: whether close was called.
    """

    def __init__(self, servable: Servable) -> None:
        self._servable, self._open, self._came = servable, Event(), Condition()
        self.calls: list[dict[str, np.ndarray]] = []
        self.timeouts: list[int | None] = []
        self.closed = False
        self._open.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servable, name)

    def run(
        self, signature: str, inputs: Any, outputs: Sequence[str] = (), *, timeout_ms: int | None = None
    ) -> dict[str, np.ndarray]:
        with self._came:
            self.calls.append(dict(inputs))
            self.timeouts.append(timeout_ms)
            self._came.notify_all()
        assert self._open.wait(60)
        assert not self.closed
        return self._servable.run(signature, inputs, outputs)

    def close(self) -> None:
        self.closed = True

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def wait_for(self, calls: int) -> None:
        """Waits until so many calls have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.calls) >= calls, 60)

    def sizes(self) -> list[int]:
        """The rows of each call."""
        return [len(next(iter(inputs.values()))) for inputs in self.calls]
