"""What tests of layers and models share: arrays of tensors, the house's tolerance, weights that are nothing special."""

from typing import Any

import keras
import numpy as np

DTYPES = ("float32", "bfloat16", "float16")


def array(x: Any) -> np.ndarray:
    """A tensor of the backend as numpy; half precisions as float32."""
    return keras.ops.convert_to_numpy(keras.ops.cast(x, "float32") if "float" in str(x.dtype) else x)


def assert_near(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """max |a - b| <= tolerance * max |b|, the house's measure of parity."""
    found, expected = array(found), array(expected)
    assert found.shape == expected.shape
    difference, size = np.abs(found - expected).max(), np.abs(expected).max()
    assert difference <= tolerance * size, f"differs by {difference:.2e}, {difference / size:.2e} of the greatest"


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal values, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def scatter(layer: Any, seed: int = 0, size: float = 0.1) -> Any:
    """Moves every weight a little: a bias of 0 and a scale of 1 would hide what is done with them."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(array(variable) + size * rng.normal(size=variable.shape))
    return layer
