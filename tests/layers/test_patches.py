from itertools import product

import keras
import numpy as np
import pytest

from tests.arrays import array, assert_near, normal, scatter
from zoo.layers.patches import ConvolutionalStem, LeadingTokens, Patches, keep_patches, random_patches
from zoo.layers.pooling import AttentionPooling, SequencePooling

SEED = keras.random.SeedGenerator(1)


def make(kind: type, *arguments, **choices):
    layer = kind(*arguments, seed_generator=keras.random.SeedGenerator(1), **choices)
    layer.build()
    return scatter(layer)


def windows(images: np.ndarray, size: int, stride: int) -> np.ndarray:
    """[B, Y, X, C] -> [B, rows, columns, size, size, C], after a margin of size // 2 zeros."""
    margin = size // 2
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    places = [range(0, padded.shape[axis] - size + 1, stride) for axis in (1, 2)]
    cut = [padded[:, y : y + size, x : x + size] for y, x in product(*places)]
    return np.stack(cut, axis=1).reshape(len(images), *map(len, places), size, size, -1)


def test_a_token_is_the_projection_of_its_square_row_by_row():
    images = normal(2, 6, 9, 2)
    layer = make(Patches, (6, 9, 2), 3, 5)
    kernel, bias = array(layer.projection.kernel), array(layer.projection.bias)
    squares = [images[:, y : y + 3, x : x + 3].reshape(2, -1) for y in (0, 3) for x in (0, 3, 6)]
    assert_near(layer(images), np.stack([square @ kernel + bias for square in squares], axis=1))


def test_patches_equal_a_convolution():
    images = normal(2, 8, 12, 3)
    layer = make(Patches, (8, 12, 3), 4, 6)
    kernel = array(layer.projection.kernel).reshape(4, 4, 3, 6)
    expected = array(keras.ops.conv(images, kernel, strides=4)) + array(layer.projection.bias)
    assert_near(layer(images), expected.reshape(2, 6, 6))


@pytest.mark.parametrize("kernel, stride, tokens", [(3, 1, 4), (7, 2, 1), (1, 1, 4)])
def test_the_stem_by_hand(kernel: int, stride: int, tokens: int):
    """Two layers of convolution, relu and maximum; the image is not square."""
    size = (8, 16, 3) if stride == 1 else (16, 32, 3)
    images = normal(2, *size)
    stem = make(ConvolutionalStem, size, 2, kernel, stride, 4, 6)
    x = images
    for layer in stem.convolutions:
        x = np.maximum(np.einsum("byxijc,ijcd->byxd", windows(x, kernel, stride), array(layer.kernel)), 0)
        x = windows(x, 3, 2).max(axis=(3, 4))
    assert x.shape[1:] == ((2, 4, 6) if stride == 1 else (1, 2, 6))
    assert [layer.bias for layer in stem.convolutions] == [None, None]
    assert_near(stem(images), x.reshape(2, 2 * tokens, 6))


@pytest.mark.parametrize("kind, choices", [(Patches, (4, 6)), (ConvolutionalStem, (2, 3, 1, 4, 6))])
def test_images_of_another_size_are_refused(kind: type, choices: tuple):
    """Without this, an image of twice the size would be taken for several."""
    layer = make(kind, (8, 8, 3), *choices)
    with pytest.raises(ValueError, match=r"Images of \[16, 16, 3\] for a model of \[8, 8, 3\]"):
        layer(normal(1, 16, 16, 3))


def test_leading_tokens_stand_before_those_of_every_image():
    layer = make(LeadingTokens, 2, 6)
    x = normal(3, 4, 6)
    assert_near(layer(x), np.concatenate([np.stack([array(layer.table)] * 3), x], axis=1))


def test_kept_patches_come_in_the_order_asked_for():
    x = normal(2, 5, 3)
    kept = np.array([[4, 0], [1, 1]], "int32")
    assert_near(keep_patches(x, kept), np.stack([x[0, [4, 0]], x[1, [1, 1]]]))


def test_random_patches_are_different_ones_and_each_as_likely():
    kept = array(random_patches(600, 10, 4, SEED))
    assert kept.dtype == np.int32 and kept.shape == (600, 4)
    assert (np.diff(kept, axis=1) > 0).all() and kept.min() == 0 and kept.max() == 9
    counts = np.bincount(kept.reshape(-1), minlength=10)  # each 240 ± 12
    assert (np.abs(counts - 240) < 60).all()
    assert (array(random_patches(600, 10, 4, SEED)) != kept).any()


def test_sequence_pooling_by_hand():
    layer, x = make(SequencePooling, 6), normal(3, 5, 6)
    scores = np.exp(x @ array(layer.score.kernel) + array(layer.score.bias))[:, :, 0]
    shares = scores / scores.sum(axis=1, keepdims=True)
    assert_near(layer(x), np.einsum("bt,btd->bd", shares, x))


def test_attention_pooling_by_hand():
    """One head: the learned query over all tokens, then x + network(norm(x))."""
    layer, x = make(AttentionPooling, 6, 8, 1, "relu", 1e-6), normal(3, 5, 6)

    def dense(layer, x):
        return x @ array(layer.kernel) + array(layer.bias)

    attention, network = layer.attention, layer.feedforward
    scores = dense(attention.key, x) @ dense(attention.query, array(layer.query))[0] / np.sqrt(6)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    pooled = dense(attention.output_projection, np.einsum("bt,btd->bd", shares, dense(attention.value, x)))
    unit = (pooled - pooled.mean(-1, keepdims=True)) / np.sqrt(pooled.var(-1, keepdims=True) + 1e-6)
    normed = unit * array(layer.norm.gamma) + array(layer.norm.beta)
    assert_near(layer(x), pooled + dense(network.outer, np.maximum(dense(network.inner, normed), 0)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_poolers_take_half_precision(dtype: str):
    x = keras.ops.cast(normal(2, 5, 8), dtype)
    for kind, choices in ((SequencePooling, (8,)), (AttentionPooling, (8, 16, 2, "gelu", 1e-6))):
        layer = make(kind, *choices, dtype=f"mixed_{dtype}")
        found = layer(x)
        assert keras.backend.standardize_dtype(found.dtype) == dtype
        exact = kind(*choices, seed_generator=SEED)
        exact.build()
        exact.set_weights([array(weight) for weight in layer.weights])
        assert_near(found, exact(array(x)), 0.05)
