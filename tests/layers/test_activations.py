import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.layers.activations import activation


@given(st.floats(-8, 8))
def test_gelu_is_exact(x: float) -> None:
    value = float(activation("gelu")(keras.ops.convert_to_tensor([x]))[0])
    assert value == pytest.approx(0.5 * x * (1 + math.erf(x / math.sqrt(2))), abs=2e-6)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="elsewhere the gradient is the backend's own")
def test_the_gradient_of_gelu_is_that_of_tensorflow() -> None:
    import tensorflow as tf

    x, upstream = (np.random.default_rng(seed).normal(size=(3, 50)).astype("float32") * 3 for seed in (0, 1))
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours, theirs = activation("gelu")(x), tf.nn.gelu(x, approximate=False)
    found, expected = (tape.gradient(y, x, upstream).numpy() for y in (ours, theirs))
    assert np.abs(found - expected).max() < 2e-6
    half = tf.cast(x, "bfloat16")
    assert activation("gelu")(half).dtype == "bfloat16"
