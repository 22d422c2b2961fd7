from typing import Any

import numpy as np
import pytest

from zoo.serving.tensor_proto import NAMES, array_type, data_type, fill, to_array


def proto(**fields: Any) -> Any:
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    shape = fields.pop("shape", ())
    made = TensorProto(**fields)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


@pytest.mark.parametrize("dtype", [name for name in NAMES.values() if name != "string"])
def test_numbers_go_there_and_back_as_tensorflow_reads_them(dtype: str) -> None:
    import tensorflow as tf

    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(array_type(dtype))
    ours = proto()
    fill(ours, array)
    assert NAMES[ours.dtype] == dtype == data_type(array)
    for each in (ours, tf.make_tensor_proto(array), proto(**tensor_content(array), shape=(2, 3))):
        back = to_array(each)
        assert back.dtype == array.dtype and np.array_equal(back, array)
    assert np.array_equal(tf.make_ndarray(ours), array)


def tensor_content(array: np.ndarray) -> dict[str, Any]:
    import tensorflow as tf

    return {"dtype": tf.as_dtype(array.dtype).as_datatype_enum, "tensor_content": array.tobytes()}


def test_values_that_are_left_out_are_the_last_one_or_zero_and_extra_ones_are_dropped() -> None:
    assert to_array(proto(dtype=1, float_val=[1.5, 2.5], shape=(2, 2))).tolist() == [[1.5, 2.5], [2.5, 2.5]]
    assert to_array(proto(dtype=3, int_val=[1, 2, 3], shape=(2,))).tolist() == [1, 2]
    assert to_array(proto(dtype=9, shape=(2,))).tolist() == [0, 0]
    assert to_array(proto(dtype=7, shape=(2,))).tolist() == [b"", b""]
    assert to_array(proto(dtype=7, string_val=[b"a"], shape=(3,))).tolist() == [b"a"] * 3
    assert to_array(proto(dtype=8, scomplex_val=[1, 2], shape=(2,))).tolist() == [1 + 2j, 1 + 2j]
    assert to_array(proto(dtype=6, int_val=[300])).tolist() == 44
    assert to_array(proto(dtype=1, float_val=[1.0], shape=(0, 5))).shape == (0, 5)


def test_strings_in_tensor_content_are_lengths_and_bytes() -> None:
    long = b"x" * 300
    content = bytes([2, 0xAC, 0x02, 0]) + b"ab" + long
    assert to_array(proto(dtype=7, tensor_content=content, shape=(3,))).tolist() == [b"ab", long, b""]
    for broken in (content[:-1], content + b"!", content[:2], b"\x80" * 20):
        with pytest.raises(ValueError, match="string"):
            to_array(proto(dtype=7, tensor_content=broken, shape=(3,)))


def test_a_small_message_cannot_ask_for_much_memory() -> None:
    for kind, values in ((1, {"float_val": [1.0]}), (7, {"string_val": [b"a"]}), (9, {})):
        with pytest.raises(ValueError, match="values for a tensor of"):
            to_array(proto(dtype=kind, shape=(10**6, 10**6), **values))


def test_an_array_that_is_not_in_one_piece_is_written_in_order() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    made = proto()
    fill(made, array)
    assert list(made.float_val) == [0, 3, 1, 4, 2, 5]
    with pytest.raises(ValueError, match="datetime64"):
        fill(proto(), np.zeros(1, "datetime64[s]"))
