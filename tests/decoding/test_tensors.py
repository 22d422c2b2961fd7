import numpy as np
import pytest
from keras import ops

from zoo.decoding.tensors import pick, top_k


@pytest.mark.parametrize("k", [1, 3, 12])
def test_top_k_orders_equal_values_by_their_index(k):
    rng = np.random.default_rng(0)
    for values in ([0.0, 1.0], [-np.inf, 0.0, 1.0], [-np.inf]):
        x = rng.choice(np.array(values, "float32"), (40, 12))
        expected = np.argsort(-x, axis=-1, kind="stable")[:, :k]
        found, indices = map(ops.convert_to_numpy, top_k(ops.convert_to_tensor(x), k))
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(found, np.take_along_axis(x, expected, axis=-1))
        assert indices.dtype == np.int32


def test_pick_takes_each_rows_own_elements():
    x = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    index = np.array([[2, 0], [1, 1]], "int32")
    found = pick(ops.convert_to_tensor(x), ops.convert_to_tensor(index))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [x[0, [2, 0]], x[1, [1, 1]]])
