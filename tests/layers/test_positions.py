import numpy as np
import pytest

from tests.arrays import array, assert_near, normal
from zoo.layers.positions import Positions, sinusoidal_table


@pytest.mark.parametrize("width", [16, 7])
def test_sinusoidal_table_is_the_formula_of_the_paper(width: int):
    """PE(pos, 2i) = sin(pos / 10000^(2i/D)), PE(pos, 2i + 1) = cos of the same; in float64, rounded at the end."""
    table = sinusoidal_table(2000, width)
    assert table.dtype == np.float32
    for position in (0, 1, 999, 1999):
        for column in range(width):
            angle = position / 10000.0 ** ((column - column % 2) / width)
            expected = np.cos(angle) if column % 2 else np.sin(angle)
            assert table[position, column] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parity
def test_sinusoidal_table_equals_keras_nlp():
    keras_nlp = pytest.importorskip("keras_nlp")
    expected = keras_nlp.layers.SinePositionEncoding()(np.zeros((1, 20, 16), "float32"))
    assert_near(sinusoidal_table(20, 16), array(expected)[0])


@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_each_token_gets_the_vector_of_its_position(kind: str):
    layer = Positions(kind, 12, 8)
    layer.build()
    table, x = array(layer.table), normal(3, 5, 8)
    assert_near(layer(x), x + table[:5])
    position = np.array([0, 7, 3], "int32")
    assert_near(layer(x, position), x + np.stack([table[start : start + 5] for start in position]))


@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_an_offset_leaves_the_first_rows_of_the_table_out(kind: str):
    layer = Positions(kind, 12, 8, offset=2)
    layer.build()
    table, x = array(layer.table), normal(3, 5, 8)
    assert table.shape == (14, 8)
    assert_near(layer(x), x + table[2:7])
    position = np.array([0, 7, 3], "int32")
    assert_near(layer(x, position), x + np.stack([table[start + 2 : start + 7] for start in position]))


@pytest.mark.parametrize("dtype, error", [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_half_precision_rounds_the_table_and_nothing_before_it(dtype: str, error: float):
    """Angles computed in half precision would be wrong by whole turns at these positions."""
    layer = Positions("sinusoidal", 2000, 8, dtype=dtype)
    layer.build()
    found = array(layer(np.zeros((1, 2, 8), dtype), np.array([1990], "int32")))
    assert found[0] == pytest.approx(sinusoidal_table(2000, 8)[1990:1992], abs=error)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match='"sinusoidal" or "learned", not "rotary"'):
        Positions("rotary", 10, 8)
