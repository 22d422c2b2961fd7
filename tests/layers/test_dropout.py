import keras
import numpy as np
import pytest

from tests.arrays import array
from zoo.layers.dropout import Dropout

ONES = np.ones((100, 20, 10), "float32")


def generator(seed: int = 1) -> keras.random.SeedGenerator:
    return keras.random.SeedGenerator(seed)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_becomes_zero_and_the_rest_is_scaled_up(rate: float):
    out = array(Dropout(rate, generator())(ONES, training=True))
    assert np.unique(out) == pytest.approx([0, 1 / (1 - rate)], rel=1e-4)  # TensorFlow's rate is one of 65,536
    deviation = (rate * (1 - rate) / out.size) ** 0.5
    assert (out == 0).mean() == pytest.approx(rate, abs=5 * deviation)


@pytest.mark.parametrize("rate", [1e-6, 1 - 1e-6])
def test_a_rate_near_the_ends_is_none_of_them(rate: float):
    out = array(Dropout(rate, generator())(ONES, training=True))
    assert np.isfinite(out).all() and (out == 0).mean() == pytest.approx(rate, abs=1e-3)


def test_whole_rows_live_or_die_together():
    rows = array(Dropout(0.5, generator(), whole_rows=True)(ONES, training=True)).reshape(len(ONES), -1)
    assert (rows == rows[:, :1]).all()
    assert set(rows[:, 0].tolist()) == {0.0, 2.0}
    assert (rows[:, 0] == 0).mean() == pytest.approx(0.5, abs=0.25)


def test_nothing_happens_outside_training_or_at_rate_zero():
    seeds = generator()
    before = array(seeds.state)
    assert (array(Dropout(0.5, seeds)(ONES)) == ONES).all()
    assert (array(Dropout(0.0, seeds)(ONES, training=True)) == ONES).all()
    assert (array(seeds.state) == before).all()  # nothing was drawn


def test_the_seed_decides_the_whole_sequence():
    def draws(seed: int) -> np.ndarray:
        layer = Dropout(0.5, generator(seed))
        return np.stack([array(layer(ONES[:5], training=True)) for _ in range(2)])

    assert (draws(1) == draws(1)).all()
    assert (draws(1) != draws(2)).any()
    first, second = draws(1)
    assert (first != second).any()


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float):
    with pytest.raises(ValueError, match="dropout rate"):
        Dropout(rate, generator())


def test_what_is_kept_is_linear_and_has_the_mean_of_before():
    seeds = generator()
    layer = Dropout(0.25, seeds)
    out = array(layer(ONES, training=True))
    seeds.state.assign(generator().state)
    assert (array(layer(2 * ONES, training=True)) == 2 * out).all()  # linear in x under one seed
    assert out.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_stays(dtype: str):
    out = Dropout(0.3, generator(), dtype=dtype)(keras.ops.ones((3, 5), dtype), training=True)
    assert keras.backend.standardize_dtype(out.dtype) == dtype
    assert out.shape == (3, 5)
