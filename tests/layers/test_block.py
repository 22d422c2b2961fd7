import warnings

import keras
import numpy as np
import pytest
from keras import ops

from tests.arrays import array, assert_near, normal, scatter
from tests.layers.reference import keras_nlp_block, random_mask
from zoo.layers.attention import causal_mask
from zoo.layers.block import Block, BlockConfig, Residual
from zoo.layers.feedforward import FeedForward
from zoo.layers.stack import Stack

ROWS, TARGET, SOURCE, WIDTH = 3, 5, 7, 16
X, MEMORY = normal(ROWS, TARGET, WIDTH, seed=1), normal(ROWS, SOURCE, WIDTH, seed=2)
MASK, MEMORY_MASK = random_mask(ROWS, TARGET), random_mask(ROWS, SOURCE, seed=1)
CAUSAL = np.tril(np.ones((TARGET, TARGET), bool)) & MASK[:, None]  # [B, T, T]


def config(**changes) -> BlockConfig:
    return BlockConfig(**{"width": WIDTH, "feedforward": 32, "heads": 4, "dropout": 0.0, **changes})


def make(kind: type, *arguments, **choices):
    layer = kind(*arguments, keras.random.SeedGenerator(1), **choices)
    layer.build(None)
    return scatter(layer)


@pytest.mark.parity
@pytest.mark.parametrize("norm, activation", [("post", "relu"), ("pre", "gelu")])
def test_encoder_block_equals_keras_nlp(norm: str, activation: str):
    pytest.importorskip("keras_nlp")
    block = make(Block, config(norm=norm, activation=activation))
    theirs = keras_nlp_block(block, norm, activation)
    assert_near(block(X, MASK[:, None, None]), theirs(X, padding_mask=MASK))


@pytest.mark.parity
@pytest.mark.parametrize("norm, activation", [("post", "relu"), ("pre", "gelu")])
def test_decoder_block_equals_keras_nlp(norm: str, activation: str):
    pytest.importorskip("keras_nlp")
    block = make(Block, config(norm=norm, activation=activation), cross=True)
    theirs = keras_nlp_block(block, norm, activation)
    found = block(X, CAUSAL[:, None], memory=MEMORY, memory_mask=MEMORY_MASK[:, None, None])
    expected = theirs(X, MEMORY, decoder_padding_mask=MASK, encoder_padding_mask=MEMORY_MASK)
    assert_near(found, expected)


@pytest.fixture(scope="module", params=["post", "pre"])
def decoder(request: pytest.FixtureRequest) -> Stack:
    return make(Stack, 2, config(norm=request.param), cross=True)


def test_output_with_weights_is_the_output(decoder: Stack):
    block, masks = decoder.blocks[0], {"memory": MEMORY, "memory_mask": MEMORY_MASK[:, None, None]}
    out, weights = block(X, CAUSAL[:, None], **masks, weights=True)
    assert_near(out, block(X, CAUSAL[:, None], **masks))
    assert weights.shape == (ROWS, 4, TARGET, SOURCE)


def test_attention_of_a_stack_is_that_of_its_blocks(decoder: Stack):
    masks = {"memory": MEMORY, "memory_mask": MEMORY_MASK[:, None, None]}
    shown = array(decoder.attention(X, CAUSAL[:, None], **masks))
    x = X
    for block, expected in zip(decoder.blocks, shown, strict=True):
        x, weights = block(x, CAUSAL[:, None], **masks, weights=True)
        assert_near(weights, expected)


def test_a_block_without_memory_shows_its_self_attention():
    weights = array(make(Block, config())(X, MASK[:, None, None], weights=True)[1])
    assert weights.shape == (ROWS, 4, TARGET, TARGET)
    assert (weights.transpose(0, 3, 1, 2)[~MASK] == 0).all()


def test_only_pre_norm_closes_with_a_norm(decoder: Stack):
    masks = {"memory": MEMORY, "memory_mask": MEMORY_MASK[:, None, None]}
    x = X
    for block in decoder.blocks:
        x = block(x, CAUSAL[:, None], **masks)
    assert (decoder.norm is not None) == decoder.blocks[0].around_attention.pre
    assert_near(decoder(X, CAUSAL[:, None], **masks), x if decoder.norm is None else decoder.norm(x))


def test_steps_of_a_block_equal_the_whole(decoder: Stack):
    block = decoder.blocks[0]
    expected = block(X, causal_mask(TARGET), memory=MEMORY, memory_mask=MEMORY_MASK[:, None, None])
    memory = (*block.cross.project_memory(ops.convert_to_tensor(MEMORY)), ops.convert_to_tensor(MEMORY_MASK))
    cache = (ops.zeros((ROWS, 8, 4, WIDTH // 4)),) * 2
    for start, end in ((0, 3), (3, 4), (4, 5)):
        x, position = ops.convert_to_tensor(X[:, start:end]), ops.full((ROWS,), start, "int32")
        found, cache = block.step(x, position, cache, memory)
        assert_near(found, array(expected)[:, start:end])


def test_layer_scale_weighs_what_a_part_adds():
    frame = Residual(config(norm="pre", layer_scale=0.25), keras.random.SeedGenerator(1))
    frame.build(None)
    x, out = ops.convert_to_tensor(X), ops.convert_to_tensor(X[::-1].copy())
    assert_near(frame.close(x, out), X + 0.25 * X[::-1])
    frame.scale.assign(np.arange(WIDTH))
    assert_near(frame.close(x, out), X + np.arange(WIDTH) * X[::-1])


def test_without_a_mask_everything_is_seen():
    stack = make(Stack, 2, config(norm="pre"))
    everything = np.ones((1, 1, 1, TARGET), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras has its own thoughts about arguments of this name
        assert_near(stack(X), stack(X, everything))
    assert_near(stack.attention(X), stack.attention(X, everything))


def test_drop_path_grows_with_depth():
    stack = make(Stack, 4, config(drop_path=0.4))
    for block, rate in zip(stack.blocks, (0.1, 0.2, 0.3, 0.4), strict=True):
        frames = (block.around_attention, block.around_feedforward)
        assert [frame.drop_path.rate for frame in frames] == pytest.approx([rate] * 2)


def test_drop_path_passes_a_row_by_the_part():
    frame = make(Residual, config(norm="pre", drop_path=0.5))
    x, out = normal(40, 3, WIDTH), normal(40, 3, WIDTH, seed=1)
    added = array(frame.close(ops.convert_to_tensor(x), ops.convert_to_tensor(out), training=True)) - x
    kept = np.abs(added).max(axis=(1, 2)) > 1e-6
    assert 8 <= kept.sum() <= 32
    assert_near(added[kept], 2 * out[kept])


def test_dropout_stands_in_the_feed_forward_network_after_the_activation():
    network = make(FeedForward, WIDTH, 32, "relu", 0.5)
    plain, dropped = (array(network(X, training=training)) for training in (False, True))
    assert np.abs(plain - dropped).max() > 0.01
    inner = np.maximum(X @ array(network.inner.kernel) + array(network.inner.bias), 0)
    assert_near(plain, inner @ array(network.outer.kernel) + array(network.outer.bias))


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match='"post" or "pre", not "Pre"'):
        make(Block, config(norm="Pre"))
