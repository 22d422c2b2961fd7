"""The graph of a classifier of images: signatures serving_default and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.export.block_weights import is_state
from zoo.export.bundle import Bundle, Exported
from zoo.export.keras_graph import KerasGraph, inner, rounded
from zoo.export.keras_graph import weights_of as weights_by_path
from zoo.layers.adapters import merge
from zoo.tasks.classify_images import ClassifyImages
from zoo.tasks.image_encoder import ImageEncoder


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle of the task classify_images.

    Raises: UserError where Keras is not on TensorFlow.
    """
    task = bundle.task
    assert isinstance(task, ClassifyImages)
    weights = merge(bundle.weights or {each.path: keras.ops.convert_to_numpy(each) for each in bundle.model.weights})
    module = ImageModule(bundle, weights, storage)
    labels = tf.constant(task.labels.names)
    one_input = [tf.TensorSpec([None], tf.string, name="image_bytes")]

    @tf.function(input_signature=one_input, autograph=False)
    def shared(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Probabilities float32 [B, C], all 0 where the image is not one; ok bool [B]."""
        images, ok, _ = module.image.encode(image_bytes)
        return tf.nn.softmax(module.model.run({"images": images})) * tf.cast(ok, tf.float32)[:, None], ok

    @tf.function(input_signature=one_input, autograph=False)
    def serving_default(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        shares, ok = shared(image_bytes)
        label = tf.where(ok, tf.gather(labels, tf.argmax(shares, axis=1)), "")
        return {"label": label, "score": tf.reduce_max(shares, axis=1), "ok": ok}

    @tf.function(input_signature=one_input, autograph=False)
    def probabilities(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        shares, _ = shared(image_bytes)
        return {"labels": tf.broadcast_to(labels[None], tf.shape(shares)), "probabilities": shares}

    return Exported(
        module=module,
        functions={"serving_default": serving_default, "probabilities": probabilities},
        settled={"serving_default": {}, "probabilities": {}},
        limits={"pixels": bundle.recipe.preprocessing.most_pixels},
        reference=_Reference(task, reference_model(bundle, weights, storage)),
        close=frozenset({"label"}),  # on the edge between two classes
    )


class ImageModule(tf.Module):
    """Reader of images and encoder in one."""

    def __init__(self, bundle: Bundle, weights: Any, storage: str) -> None:
        super().__init__(name="image_encoder")
        self.image = bundle.task.preprocessors["image"].graph()
        model = type(bundle.model)(bundle.model.config, dtype="float32")
        self.model = KerasGraph(model, weights, storage)


def reference_model(bundle: Bundle, weights: Any, storage: str) -> keras.Model:
    """The model itself, in float32, with the weights as they are stored."""
    model = type(bundle.model)(bundle.model.config, dtype="float32")
    stored = {inner(path): value for path, value in rounded(weights, storage).items()}
    for variable in model.weights:
        if not is_state(variable.path):
            variable.assign(stored[inner(variable.path)])
    return model


def weights_of(served: Any, task: ImageEncoder) -> dict[str, np.ndarray]:
    """The weights of an exported model by variable path, float32."""
    return weights_by_path(served.model.stored, task.recipe.model.family)


class _Reference:
    """The model itself, asked through the host face of the preprocessor."""

    def __init__(self, task: ClassifyImages, model: keras.Model) -> None:
        self.task, self.model = task, model

    def __call__(self, raws: Sequence[bytes]) -> dict[str, list[Any]]:
        ok = [self.task.reads(raw) for raw in raws]
        shares = self.task.probabilities(self.model, [raw for raw, each in zip(raws, ok, strict=True) if each])
        found = iter([(self.task.labels.names[row.argmax()], float(row.max())) for row in shares])
        answers = [next(found) if each else ("", 0.0) for each in ok]
        return {"label": [label for label, _ in answers], "score": [score for _, score in answers], "ok": ok}
