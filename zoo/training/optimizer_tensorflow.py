"""AdamW's update in one pass over a variable and its state, where Keras makes ten."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def fused(optimizer: keras.optimizers.AdamW, gradient: Any, variable: Any, learning_rate: Any) -> bool:
    """Updates a variable and its mean and variance by TensorFlow's kernel of Adam, which computes as Keras does.

    Returns: whether it did; what several devices mirror is left to Keras.
    """
    index = optimizer._get_variable_index(variable)
    state = [variable, optimizer._momentums[index], optimizer._velocities[index]]
    state = [each.value if isinstance(each, keras.Variable) else each for each in state]
    if any(isinstance(each, tf.distribute.DistributedValues) for each in state):
        return False
    step = tf.cast(optimizer.iterations.value + 1, "float32")
    tf.raw_ops.ResourceApplyAdam(
        **{name: each.handle for name, each in zip(("var", "m", "v"), state, strict=True)},
        beta1_power=tf.pow(optimizer.beta_1, step),
        beta2_power=tf.pow(optimizer.beta_2, step),
        lr=tf.cast(learning_rate, "float32"),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=gradient,
    )
    return True
