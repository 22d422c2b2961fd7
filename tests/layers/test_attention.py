import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tests.arrays import DTYPES, array, assert_near, normal, scatter
from tests.layers.reference import keras_attention, random_mask
from zoo.layers.attention import Attention, causal_mask, visible_keys

ROWS, TARGET, SOURCE, WIDTH, HEADS = 3, 5, 7, 16, 4


def make_attention(**choices) -> Attention:
    layer = Attention(WIDTH, HEADS, seed_generator=keras.random.SeedGenerator(1), **choices)
    layer.build(None)
    return scatter(layer)


@pytest.fixture(scope="module")
def attention() -> Attention:
    return make_attention()


X, MEMORY = normal(ROWS, TARGET, WIDTH, seed=1), normal(ROWS, SOURCE, WIDTH, seed=2)


@pytest.mark.parity
@pytest.mark.parametrize("memory", [None, MEMORY], ids=["self", "cross"])
def test_equals_keras_multi_head_attention(attention: Attention, memory: np.ndarray | None):
    keys = X if memory is None else memory
    mask = random_mask(ROWS, TARGET, keys.shape[1])
    expected, expected_weights = keras_attention(attention)(X, keys, attention_mask=mask, return_attention_scores=True)
    assert_near(attention(X, mask[:, None], memory=memory), expected)
    found, weights = attention(X, mask[:, None], memory=memory, weights=True)
    assert_near(found, expected)
    assert_near(weights, expected_weights)


def test_weights_are_shares_of_what_may_be_seen(attention: Attention):
    mask = random_mask(ROWS, 1, TARGET, SOURCE)
    weights = array(attention(X, mask, memory=MEMORY, weights=True)[1])
    assert weights.shape == (ROWS, HEADS, TARGET, SOURCE)
    assert weights.sum(-1) == pytest.approx(1.0, abs=1e-6)
    assert (weights[~np.broadcast_to(mask, weights.shape)] == 0).all()


@settings(max_examples=10)
@given(st.integers(0, 2**31))
def test_the_order_of_the_keys_does_not_matter(attention: Attention, seed: int):
    order = np.random.default_rng(seed).permutation(SOURCE)
    mask = random_mask(ROWS, 1, TARGET, SOURCE, seed=seed)
    expected = attention(X, mask, memory=MEMORY)
    assert_near(attention(X, mask[..., order], memory=MEMORY[:, order]), expected)


@pytest.mark.parametrize("weights", [False, True], ids=["fused", "plain"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_query_that_sees_nothing_sees_everything_and_leaves_the_others_alone(dtype: str, weights: bool):
    """Everything, so that it is finite with every kernel and the same on every backend."""
    attention = make_attention(dtype=dtype)
    x, mask = ops.cast(X, dtype), random_mask(ROWS, 1, TARGET, TARGET)
    mask[1] = True
    expected = array(attention(x, mask))
    mask[1] = mask[2, 0, 3] = False
    found = attention(x, mask, weights=weights)
    if weights:
        found, shares = found
        assert np.isfinite(array(shares)).all()
    found = array(found)
    assert np.isfinite(found).all()
    tolerance = 1e-5 if dtype == "float32" else 1e-2  # in half precision the two ways round in another order
    assert_near(found[:2], expected[:2], tolerance)
    assert_near(found[2, [0, 1, 2, 4]], expected[2, [0, 1, 2, 4]], tolerance)


def test_visible_keys_changes_only_rows_that_see_nothing():
    mask = np.array([[True, False], [False, False], [True, True]])[None, None]
    assert array(visible_keys(mask))[0, 0].tolist() == [[True, False], [True, True], [True, True]]


def test_causal_mask_shows_the_past_and_the_present():
    assert array(causal_mask(3)).tolist() == [[[[True, False, False], [True, True, False], [True, True, True]]]]


def step(attention: Attention, *arguments: np.ndarray):
    return attention.step(*map(ops.convert_to_tensor, arguments))


def cache_of(length: int) -> np.ndarray:
    """Full of what an earlier use left there: nothing of it may be seen."""
    return 100.0 * normal(ROWS, length, HEADS, WIDTH // HEADS, seed=9)


@pytest.mark.parametrize("sizes", [[1] * 5, [3, 2], [1, 3, 1], [5]])
def test_steps_over_a_cache_equal_the_causal_attention_at_once(attention: Attention, sizes: list[int]):
    expected = array(attention(X, causal_mask(TARGET)))
    keys, values = cache_of(8), cache_of(8)
    position = 0
    for size in sizes:
        places = np.full(ROWS, position, "int32")
        found, keys, values = step(attention, X[:, position : position + size], places, keys, values)
        assert_near(found, expected[:, position : position + size])
        position += size


def test_rows_of_a_step_may_stand_at_different_positions(attention: Attention):
    expected = array(attention(X, causal_mask(TARGET)))
    starts = np.array([0, 2, 1], "int32")
    keys = values = np.zeros((ROWS, 8, HEADS, WIDTH // HEADS), "float32")
    # The prefixes are read at once, padded to the longest; then each row goes on behind its own.
    _, keys, values = step(attention, X[:, :2], np.zeros(ROWS, "int32"), keys, values)
    next_three = np.stack([X[row, start : start + 3] for row, start in enumerate(starts)])
    found, _, _ = step(attention, next_three, starts, keys, values)
    assert_near(found, np.stack([expected[row, start : start + 3] for row, start in enumerate(starts)]))


def test_a_draft_can_be_taken_back(attention: Attention):
    expected = array(attention(X, causal_mask(TARGET)))
    keys = values = np.zeros((ROWS, 8, HEADS, WIDTH // HEADS), "float32")
    _, keys, values = step(attention, X[:, :2], np.zeros(ROWS, "int32"), keys, values)
    draft = normal(ROWS, 3, WIDTH, seed=5)
    _, keys, values = step(attention, draft, np.full(ROWS, 2, "int32"), keys, values)
    found, _, _ = step(attention, X[:, 2:4], np.full(ROWS, 2, "int32"), keys, values)
    assert_near(found, expected[:, 2:4])


def test_hypotheses_share_the_memory_of_their_sentence(attention: Attention):
    hypotheses = 2
    x = normal(ROWS * hypotheses, 3, WIDTH, seed=4)
    mask = random_mask(ROWS, SOURCE)
    keys, values = attention.project_memory(ops.convert_to_tensor(MEMORY))
    found = attention.step_memory(*map(ops.convert_to_tensor, (x, keys, values, mask)))
    own_mask = mask.repeat(hypotheses, axis=0)[:, None, None]
    assert_near(found, attention(x, own_mask, memory=MEMORY.repeat(hypotheses, axis=0)))


def test_normalised_queries_and_keys_by_hand():
    attention = make_attention(qk_epsilon=1e-6)

    def heads(dense, norm) -> np.ndarray:
        x = (X @ array(dense.kernel) + array(dense.bias)).reshape(ROWS, TARGET, HEADS, -1)
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * array(norm.gamma) + array(norm.beta)

    queries, keys = heads(attention.query, attention.query_norm), heads(attention.key, attention.key_norm)
    scores = np.exp(np.einsum("bthd,bshd->bhts", queries, keys) / np.sqrt(WIDTH / HEADS))
    expected = scores / scores.sum(axis=-1, keepdims=True)
    found, weights = attention(X, weights=True)
    assert_near(weights, expected)
    assert_near(attention(X), found)  # the framework's fused product where it has one
    larger = attention.query.kernel
    larger.assign(1000 * array(larger))
    attention.query.bias.assign(1000 * array(attention.query.bias))
    assert_near(attention(X, weights=True)[1], expected, 1e-4)


def test_normalised_keys_stand_in_the_cache():
    attention = make_attention(qk_epsilon=1e-6)
    keys = values = np.zeros((ROWS, 8, HEADS, WIDTH // HEADS), "float32")
    _, keys, values = step(attention, X[:, :2], np.zeros(ROWS, "int32"), keys, values)
    found, _, _ = step(attention, X[:, 2:], np.full(ROWS, 2, "int32"), keys, values)
    assert_near(found, array(attention(X, causal_mask(TARGET)))[:, 2:])


def test_dropout_of_weights_is_for_training_alone(attention: Attention):
    mask = random_mask(ROWS, 1, TARGET, TARGET)
    dropped = make_attention(dropout=0.5)
    assert_near(dropped(X, mask), attention(X, mask))
    first, second = (array(dropped(X, mask, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0.01
    assert_near(dropped(X, mask, training=True, weights=True)[1], attention(X, mask, weights=True)[1])


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide the width 16"):
        Attention(16, 3)
