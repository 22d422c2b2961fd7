"""What the graphs of all tasks over a text encoder share: subwords, encoder, and the model to compare them with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.export.block_weights import Arrays, is_state
from zoo.export.bundle import Bundle
from zoo.export.encoder_graph import EncoderGraph
from zoo.export.encoder_weights import layout, undo_layout
from zoo.export.graph_parts import rounded
from zoo.layers.adapters import merge
from zoo.models.bert import Bert
from zoo.tasks.text_encoder import TextEncoder


class Packed(NamedTuple):
    """Texts as the encoder takes them: ids int32 [B, T], mask bool [B, T], segments int32 [B, T], cut bool [B]."""

    ids: tf.Tensor
    mask: tf.Tensor
    segments: tf.Tensor
    cut: tf.Tensor

    @property
    def inputs(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What EncoderGraph takes."""
        return self.ids, self.mask, self.segments


class TextEncoderModule(tf.Module):
    """Vocabulary and encoder in one; a task's exporter makes its signatures of them.

    Args:
        bundle: of a task over a text encoder.
        storage: dtype of the stored matrices.
    """

    def __init__(self, bundle: Bundle, storage: str) -> None:
        super().__init__(name="text_encoder")
        self.text = bundle.task.preprocessors["text"].graph()
        self.most = bundle.recipe.data.max_length
        self.model = EncoderGraph(layout(weights_of_bundle(bundle), bundle.model.config), bundle.model.config, storage)

    def pack(self, *texts: tf.Tensor) -> Packed:
        """One text or a pair for each row, cut to the most pieces that are read."""
        return Packed(*self.text.pack(texts[0], texts[1] if len(texts) > 1 else None, self.most))


def weights_of_bundle(bundle: Bundle) -> Arrays:
    """The weights of a bundle's Bert by path, adapters merged, states of seed generators left out.

    Raises: UserError where the model is of another family, or Keras is not on TensorFlow.
    """
    model = bundle.model
    if keras.config.backend() != "tensorflow":
        raise UserError("an export runs on TensorFlow", remedy="Start it anew with KERAS_BACKEND=tensorflow.")
    if not isinstance(model, Bert):
        raise UserError(f"an export of {type(model).__name__} as a text encoder is not known", remedy="Train a bert.")
    weights = bundle.weights or {each.path: keras.ops.convert_to_numpy(each) for each in model.weights}
    return merge({path: value for path, value in weights.items() if not is_state(path)})


def reference_model(bundle: Bundle, storage: str) -> Bert:
    """The model itself, in float32, with the weights as they are stored."""
    config = bundle.model.config
    stored = undo_layout(rounded(layout(weights_of_bundle(bundle), config), storage), config)
    model = Bert(config, dtype="float32")
    for variable in model.weights:
        if not is_state(variable.path):
            variable.assign(stored[variable.path.partition("/")[2]])
    return model


def weights_of(served: Any, task: TextEncoder) -> dict[str, np.ndarray]:
    """The weights of an exported model by variable path, float32; the other tasks' exporters offer it too.

    Args:
        served: the loaded SavedModel.
        task: of its recipe, preprocessors loaded.
    """
    arrays = {name: variable.numpy() for name, variable in served.model.stored.items()}
    return {f"bert/{path}": value for path, value in undo_layout(arrays, task.config).items()}


def over_texts(names: Sequence[str], answer: Callable[..., Any]) -> Any:
    """`answer`, a function of one tensor string [B] for each name, as a tf.function whose inputs have those names.

    It refuses inputs of different sizes, which TensorFlow would stretch or pair wrongly.
    """
    specs = [tf.TensorSpec([None], tf.string, name=name) for name in names]

    def named(*texts: tf.Tensor) -> Any:
        rows = tf.size(texts[0])
        same = [
            tf.debugging.assert_equal(tf.size(text), rows, f"a {name} for each {names[0]}")
            for name, text in zip(names[1:], texts[1:], strict=True)
        ]
        with tf.control_dependencies(same):
            texts = tuple(tf.identity(text) for text in texts)
        return answer(*texts)

    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    named.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return tf.function(named, input_signature=specs, autograph=False)


def limits_of(bundle: Bundle) -> dict[str, Any]:
    """How the graph bounds its own work."""
    return {"pieces": bundle.recipe.data.max_length}
