import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zoo.serving import json_reply, json_tensor, json_text
from zoo.serving.status import Code, RequestError

NUMBERS = {
    "float": np.float32,
    "double": np.float64,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
}
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, max_side=3)


def decode(body: bytes, **dtypes: str) -> dict[str, np.ndarray]:
    return json_tensor.decode(json_text.parse(body), dtypes)[0]


def complaint(body: bytes, **dtypes: str) -> str:
    with pytest.raises(RequestError) as caught:
        json_tensor.decode(json_text.parse(body), dtypes)
    return str(caught.value)


def assert_same(got: np.ndarray, sent: np.ndarray) -> None:
    assert got.shape == sent.shape and got.dtype == sent.dtype
    np.testing.assert_array_equal(got, sent)  # NaN equals NaN here


@settings(deadline=None, max_examples=120)
@given(st.sampled_from(sorted(NUMBERS)), SHAPES, st.data())
def test_numbers_come_back_bit_for_bit(dtype: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    sent = data.draw(arrays.arrays(NUMBERS[dtype], shape))
    columns = json_reply.encode({"x": sent}, in_rows=False)
    assert_same(decode(columns.replace(b"outputs", b"inputs"), x=dtype)["x"], sent)
    if sent.ndim:
        rows = json_reply.encode({"x": sent, "y": sent}, in_rows=True)
        back = decode(rows.replace(b"predictions", b"instances"), x=dtype, y=dtype)
        assert_same(back["x"], sent)
        assert_same(back["y"], sent)


@settings(deadline=None, max_examples=50)
@given(arrays.arrays(object, SHAPES, elements=st.binary(max_size=8) | st.text(max_size=8).map(str.encode)))
def test_strings_and_bytes_come_back_byte_for_byte_even_where_they_are_no_utf8(sent: np.ndarray) -> None:
    reply = json_reply.encode({"text": sent, "raw_bytes": sent}, in_rows=False)
    back = decode(reply.replace(b"outputs", b"inputs"), text="string", raw_bytes="string")
    assert_same(back["text"], sent)
    assert_same(back["raw_bytes"], sent)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=60) | st.text('[]{}",:1.e-x\\uNaInfity b64instances', max_size=60).map(str.encode))
def test_whatever_comes_is_read_or_refused_as_the_clients_fault(body: bytes) -> None:
    for dtype in ("float", "string", "half"):
        try:
            json_tensor.decode(json_text.parse(body), {"x": dtype})
        except RequestError as error:
            assert error.code in (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b64", "x", "y"]), inner),
        max_leaves=8,
    )
)
def test_the_fast_way_and_the_one_that_explains_agree(value: object) -> None:
    # An array comes out exactly where Serving's walk over the values finds nothing to say.
    for dtype in ("float", "int32", "uint64", "bool", "string"):
        array = json_tensor._array(value, dtype)
        try:
            size = json_tensor._count(value, dtype, json_tensor._shape(value), 0)
        except RequestError:
            assert array is None
        else:
            assert array is not None and array.size == size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3.0"),
        (9000000, "9e+06"),
        (999999, "999999.0"),
        (0.00003, "3e-05"),
        (555557.5, "555557.5"),
        (0.2, "0.2"),
        (1 / 3, "0.333333343"),
        (-0.0, "-0.0"),
        (np.nan, "NaN"),
        (-np.inf, "-Infinity"),
    ],
)
def test_a_float_is_written_as_serving_writes_it(value: float, text: str) -> None:
    reply = json_reply.encode({"y": np.array(value, np.float32)}, in_rows=False).decode()
    assert re.search(r'"outputs": (\S+)', reply)[1] == text


def test_replies_are_laid_out_as_servings_pretty_printer_does() -> None:
    one = {"y": np.array([[2.5, 3], [4.5, 5]], np.float32)}
    assert json_reply.encode(one, in_rows=True).decode() == '{\n    "predictions": [[2.5, 3.0], [4.5, 5.0]\n    ]\n}'
    assert json_reply.encode({"y": one["y"][0]}, in_rows=False).decode() == (
        '{\n    "outputs": [\n        2.5,\n        3.0\n    ]\n}'
    )
    two = {"text": np.array([b"a", b"b"], object), "n": np.array([1, 2])}
    assert json_reply.encode(two, in_rows=True).decode() == (
        '{\n    "predictions": [\n'
        '        {\n            "n": 1,\n            "text": "a"\n        },\n'
        '        {\n            "n": 2,\n            "text": "b"\n        }\n'
        "    ]\n}"
    )


def test_an_empty_batch_is_an_empty_list() -> None:
    for shape in ((0,), (0, 2), (0, 1, 2)):
        empty = {"a": np.zeros(shape, np.float32), "b": np.zeros((0, 3), np.int32)}
        assert json.loads(json_reply.encode(empty, in_rows=True)) == {"predictions": []}
    assert json.loads(json_reply.encode({"a": np.zeros((2, 0))}, in_rows=True)) == {"predictions": [[], []]}
    assert decode(b'{"inputs": [[], []]}', x="float")["x"].shape == (2, 0)


def test_small_integers_wrap_as_in_cpp_and_doubles_beyond_a_float_are_infinite() -> None:
    assert decode(b'{"instances": [300, -1]}', x="uint8")["x"].tolist() == [44, 255]
    assert decode(b'{"instances": [1e300, -1e300]}', x="float")["x"].tolist() == [np.inf, -np.inf]
    assert decode(b'{"instances": [100000000000000000000]}', x="double")["x"].tolist() == [1e20]


def test_base64_may_hold_blanks_and_lack_its_padding_as_in_absl() -> None:
    body = b'{"instances": [{"b64": "aGVs bG8="}, {"b64": "aGVsbG8"}, {"b64": "aGVsbG8."}, {"b64": ""}]}'
    assert decode(body, x="string")["x"].tolist() == [b"hello", b"hello", b"hello", b""]


def test_a_byte_order_mark_and_bytes_behind_the_value_are_ignored() -> None:
    assert decode(b'\xef\xbb\xbf {"instances": [1]} and more', x="int32")["x"].tolist() == [1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b" \n", "The document is empty. at offset: 2"),
        (b"instances = [1, 2]", "Invalid value. at offset: 0"),
        (b'{"instances": [1, 2', "Missing a comma or ] after an array element. at offset: 19"),
        (b'{"instances": {"a": "]"', "Missing a comma or } after an object member. at offset: 23"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b"{1: 2}", "Missing a name for object member. at offset: 1"),
        ('{"ü": }'.encode(), "Invalid value. at offset: 7"),
        (b'{"a": "\\ud800"}', "The surrogate pair in string is invalid. at offset: 7"),
        (b'{"a": "\\q"}', "Invalid escape character in string. at offset: 7"),
        (b'{"instances": [1' + b"0" * 400 + b"]}", "Number too big to be stored in double. at offset: 0"),
        (b'{"instances": [1' + b"0" * 9000 + b"]}", "Number too big to be stored in double. at offset: 0"),
        (b"[" * 100_000, "Terminate parsing due to Handler error. at offset: 0"),
    ],
)
def test_what_is_no_json_is_refused_in_rapidjsons_words(body: bytes, reason: str) -> None:
    assert complaint(body, x="float") == f"INVALID_ARGUMENT: JSON Parse error: {reason}"


def test_a_value_that_an_error_quotes_is_cut() -> None:
    text = complaint(b'{"instances": ["' + b"x" * 10_000_000 + b'"]}', x="float")
    quoted = re.search("JSON Value: (.*) Type: String is not of expected type: float", text)[1]
    assert quoted == '"' + "x" * 255
