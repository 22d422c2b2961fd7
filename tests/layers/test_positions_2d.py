import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.arrays import array, assert_near, normal
from zoo.layers.positions_2d import GridPositions, resample_positions, sine_table_2d

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def test_sine_positions_are_those_of_the_plain_baselines():
    """Sine and cosine of the column, then of the row, at rates 10000 ** (-i / (D / 4 - 1))."""
    table = sine_table_2d((3, 5), 12)
    assert table.dtype == np.float32 and table.shape == (15, 12)
    for row in range(3):
        for column in range(5):
            for i, rate in enumerate((1.0, 0.01, 0.0001)):
                found = table[row * 5 + column, i::3]
                expected = [np.sin(column * rate), np.cos(column * rate), np.sin(row * rate), np.cos(row * rate)]
                assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("width", [4, 10])
def test_a_width_without_four_parts_is_refused(width: int):
    with pytest.raises(ValueError, match="a multiple of 4, at least 8"):
        sine_table_2d((2, 2), width)


@pytest.mark.parametrize("kind", ["learned", "sine"])
def test_each_patch_gets_the_vector_of_its_place(kind: str):
    layer, x = GridPositions(kind, (2, 3), 8), normal(4, 6, 8)
    layer.build()
    assert len(layer.trainable_variables) == (kind == "learned")
    assert_near(layer(x), x + array(layer.table))
    if kind == "sine":
        assert (array(layer.table) == sine_table_2d((2, 3), 8)).all()


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match='"learned" or "sine", not "rotary"'):
        GridPositions("rotary", (2, 2), 8)


def test_the_weights_of_the_cubic_by_hand():
    """A quarter of the way from the second to the third of four, Keys's cubic with a = -0.75."""
    table = np.array([[1.0], [10.0], [100.0], [1000.0]])
    found = resample_positions(table, (1, 4), (1, 8))[3, 0]
    assert found == pytest.approx(-0.10546875 * 1 + 0.87890625 * 10 + 0.26171875 * 100 - 0.03515625 * 1000)
    assert resample_positions(table, (4, 1), (8, 1))[3, 0] == pytest.approx(found)


@pytest.mark.parity
@pytest.mark.parametrize("old, new", [((4, 4), (7, 5)), ((5, 3), (2, 8)), ((14, 14), (24, 24)), ((1, 2), (3, 3))])
def test_resampling_equals_torch(old: tuple, new: tuple):
    torch = pytest.importorskip("torch")
    table = normal(2 + old[0] * old[1], 6)
    grid = torch.from_numpy(table[2:].reshape(1, *old, 6)).permute(0, 3, 1, 2)
    moved = torch.nn.functional.interpolate(grid, size=new, mode="bicubic", align_corners=False)
    expected = np.concatenate([table[:2], moved.permute(0, 2, 3, 1).reshape(-1, 6).numpy()])
    found = resample_positions(table, old, new)
    assert found.dtype == np.float32
    assert_near(found, expected)


@settings(deadline=None, max_examples=40)
@given(old=SIDES, new=SIDES, leading=st.integers(0, 3), value=st.floats(-2, 2))
def test_what_is_alike_everywhere_stays_so_and_leading_rows_stay(old, new, leading, value):
    table = np.concatenate([normal(leading, 2), np.full((old[0] * old[1], 2), value, "float32")])
    found = resample_positions(table, old, new)
    assert found.shape == (leading + new[0] * new[1], 2)
    assert (found[:leading] == table[:leading]).all()
    assert found[leading:] == pytest.approx(np.float32(value), abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(old=SIDES, new=SIDES)
def test_rows_and_columns_are_alike(old, new):
    """To resample the transposed grid is to transpose the resampled one."""
    table = normal(old[0] * old[1], 2)
    turned = table.reshape(*old, 2).swapaxes(0, 1).reshape(-1, 2)
    found = resample_positions(turned, old[::-1], new[::-1]).reshape(*new[::-1], 2).swapaxes(0, 1)
    assert_near(found.reshape(-1, 2), resample_positions(table, old, new))


def test_the_same_grid_changes_nothing():
    table = normal(7, 3)
    assert (resample_positions(table, (2, 3), (2, 3)) == table).all()


def test_a_table_smaller_than_its_grid_is_refused():
    with pytest.raises(ValueError, match="5 rows are too few for a grid of 2 × 3 patches"):
        resample_positions(normal(5, 3), (2, 3), (4, 4))
