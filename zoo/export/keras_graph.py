"""A family's own model as an exported graph: what has no graph made for speed is served by what was trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.export.block_weights import is_state

SMALL = 2  # variables of fewer axes are not worth half precision: norms and biases


class KerasGraph(tf.Module):
    """A model that computes in float32 with weights as they are stored.

    Args:
        model: of any family; its variables are not part of the graph.
        weights: by variable path; states of seed generators among them are left out.
        storage: dtype of the matrices.

    Raises: UserError where Keras is not on TensorFlow.
    """

    def __init__(self, model: keras.Model, weights: Mapping[str, Any], storage: str) -> None:
        super().__init__(name="keras_graph")
        if keras.config.backend() != "tensorflow":
            raise UserError("an export runs on TensorFlow", remedy="Start it anew with KERAS_BACKEND=tensorflow.")
        given = {inner(path): value for path, value in weights.items() if not is_state(path)}
        self.stored = {
            path: tf.Variable(tf.cast(value, stored_as(value, storage)), trainable=False, name=path)
            for path, value in given.items()
        }
        places = {inner(variable.path): variable for variable in model.weights if not is_state(variable.path)}
        if places.keys() != given.keys():
            raise ValueError(f"weights and model differ in {sorted(places.keys() ^ given.keys())}")
        self.run = self._over(model, places)

    def _over(self, model: keras.Model, places: Mapping[str, Any]) -> Callable[..., Any]:
        """A function of the inputs; what it closes over is not tracked, so the model's variables are not saved."""

        def run(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
            mapping = [(places[path], tf.cast(value, "float32")) for path, value in self.stored.items()]
            with keras.StatelessScope(state_mapping=mapping):
                return model(inputs, training=False)

        return run


def inner(path: str) -> str:
    """A variable's path without the model's name, which is the user's choice, and with dots: a name in a SavedModel."""
    return path.partition("/")[2].replace("/", ".")


def stored_as(value: Any, storage: str) -> str:
    """The dtype in which a weight is stored."""
    return storage if np.ndim(value) >= SMALL else "float32"


def rounded(weights: Mapping[str, Any], storage: str) -> dict[str, np.ndarray]:
    """Weights by path, float32, as they come back from where `KerasGraph` stores them."""
    return {
        path: tf.cast(tf.cast(value, stored_as(value, storage)), "float32").numpy()
        for path, value in weights.items()
        if not is_state(path)
    }


def weights_of(stored: Mapping[str, Any], model: str) -> dict[str, np.ndarray]:
    """The weights of a loaded graph by variable path, float32.

    Args:
        stored: its variables.
        model: the name before every path.
    """
    return {f"{model}/{path.replace('.', '/')}": tf.cast(value, "float32").numpy() for path, value in stored.items()}
