"""Keras and KerasNLP layers that hold the weights of ours."""

from typing import Any

import keras
import numpy as np

from tests.arrays import array
from zoo.layers.attention import Attention
from zoo.layers.block import Block, Residual


def keras_attention(ours: Attention) -> keras.layers.MultiHeadAttention:
    theirs = keras.layers.MultiHeadAttention(ours.heads, ours.head_width)
    theirs.build((None, None, ours.width), (None, None, ours.width))
    set_attention(theirs, ours)
    return theirs


def set_attention(theirs: keras.layers.MultiHeadAttention, ours: Attention) -> None:
    heads = (ours.heads, ours.head_width)
    names = ("query", "key", "value")
    for name, dense in zip(names, (ours.query, ours.key, ours.value), strict=True):
        kernel, bias = array(dense.kernel), array(dense.bias)
        getattr(theirs, f"{name}_dense").set_weights([kernel.reshape(-1, *heads), bias.reshape(heads)])
    kernel, bias = array(ours.output_projection.kernel), array(ours.output_projection.bias)
    theirs.output_dense.set_weights([kernel.reshape(*heads, -1), bias])


def keras_nlp_block(ours: Block, norm: str, activation: str) -> Any:
    """A TransformerDecoder where ours has cross-attention, else a TransformerEncoder."""
    import keras_nlp

    kind = keras_nlp.layers.TransformerDecoder if ours.cross else keras_nlp.layers.TransformerEncoder
    theirs = kind(
        intermediate_dim=ours.feedforward.feedforward,
        num_heads=ours.attention.heads,
        activation=activation,
        layer_norm_epsilon=ours.around_attention.norm.epsilon,
        normalize_first=norm == "pre",
    )
    shape = (None, None, ours.attention.width)
    theirs.build(*[shape] * (2 if ours.cross else 1))
    # KerasNLP has no public way to a part of its layers.
    set_attention(theirs._self_attention_layer, ours.attention)
    _set_norm(theirs._self_attention_layer_norm, ours.around_attention)
    if ours.cross:
        set_attention(theirs._cross_attention_layer, ours.cross)
        _set_norm(theirs._cross_attention_layer_norm, ours.around_cross)
    theirs._feedforward_intermediate_dense.set_weights([array(w) for w in ours.feedforward.inner.weights])
    theirs._feedforward_output_dense.set_weights([array(w) for w in ours.feedforward.outer.weights])
    _set_norm(theirs._feedforward_layer_norm, ours.around_feedforward)
    return theirs


def _set_norm(theirs: keras.layers.LayerNormalization, ours: Residual) -> None:
    theirs.set_weights([array(ours.norm.gamma), array(ours.norm.beta)])


def random_mask(*shape: int, seed: int = 0) -> np.ndarray:
    """bool, half of it True; every query sees its first key."""
    mask = np.random.default_rng(seed).random(shape) < 0.5
    mask[..., 0] = True
    return mask
