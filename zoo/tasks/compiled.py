"""A model outside training, compiled once: batches of numpy arrays in, numpy arrays out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

# What was compiled for each model; goes when the model goes.
_COMPILED: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()


def compiled(model: Any) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """The model as a function of its inputs by name; float32."""
    import keras
    from keras import ops

    if model not in _COMPILED:
        reference = weakref.ref(model)  # the model itself would keep its own entry, and so itself, alive
        module = import_module(f"zoo.decoding.compile_{keras.config.backend()}")
        _COMPILED[model] = module.compiled(
            lambda inputs: ops.cast(reference()(inputs, training=False), "float32"), model.variables
        )
    run = _COMPILED[model]
    return lambda batch: ops.convert_to_numpy(
        run({name: ops.convert_to_tensor(value) for name, value in batch.items()})
    )
