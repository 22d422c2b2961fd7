"""Rows that do not go together, padding, and what is called by itself."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.serving.batching.helpers import Arrays, Bench, error_of
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError


def test_batches_are_filled_up_to_an_allowed_size_with_copies_of_a_row(bench: Callable[..., Bench]) -> None:
    test = bench(max_batch_size=8, allowed_batch_sizes=(1, 4, 8))
    test.occupy()
    asked = [test.ask(1.0, 4.0, signature="root"), test.ask(9.0, signature="root")]
    test.gate.open()
    assert [each.result(60)["y"].tolist() for each in asked] == [[1.0, 2.0], [3.0]]
    np.testing.assert_array_equal(test.gate.calls[1]["x"], [1, 4, 9, 9])
    assert [(ran.rows, ran.padding) for ran in test.ran] == [((1,), 0), ((2, 1), 1)]
    assert test.ran[1].pool == "model_server_batch_threads" and all(waited > 0 for waited in test.ran[1].waited)


def matrix(*shape: int, value: float = 1.0) -> dict[str, np.ndarray]:
    return {"x": np.full(shape, value, np.float32)}


def test_unequal_shapes_are_refused_where_padding_is_off(bench: Callable[..., Bench], servable: Servable) -> None:
    test = bench()
    test.occupy()
    odd, *usual = [test.ask(matrix(1, width), signature="total") for width in (3, 2, 2)]
    test.gate.open()
    tensor = servable.signatures["total"].feeds["x"]
    assert error_of(odd) == (
        Code.FAILED_PRECONDITION,
        (
            f"Tensors with name '{tensor}' from different tasks have different shapes and padding is turned off.Set "
            "pad_variable_length_inputs to true, or ensure that all tensors with the same namehave equal dimensions "
            "starting with the first dim."
        ),
    )
    assert [each.result(60)["y"].tolist() for each in usual] == [[2.0], [2.0]]


def test_padding_repeats_the_first_value_as_serving_does(bench: Callable[..., Bench]) -> None:
    test = bench(pad_variable_length_inputs=True)
    test.occupy()
    wide = {"x": np.array([[1, 2, 3], [4, 5, 6]], np.float32)}
    asked = [test.ask(each, signature="total") for each in (wide, matrix(1, 2, value=7.0), matrix(1, 0))]
    test.gate.open()
    assert asked[0].result(60)["y"].tolist() == [6.0, 15.0] and asked[1].result(60)["y"].tolist() == [21.0]
    assert error_of(asked[2]) == (Code.INVALID_ARGUMENT, "Got empty tensor in batch of non-empty tensors.")
    np.testing.assert_array_equal(test.gate.calls[1]["x"], [[1, 2, 3], [4, 5, 6], [7, 7, 7]])


def test_strings_and_several_inputs(bench: Callable[..., Bench]) -> None:
    test = bench()
    test.occupy()
    asked = [
        test.ask({"pair": np.array(pairs, np.int32), "text": np.array(texts, object)}, signature="join")
        for pairs, texts in (([[1, 2]], [b"a"]), ([[3, 4], [5, 6]], ["ß".encode(), b""]))
    ]
    test.gate.open()
    assert [each.result(60)["text"].tolist() for each in asked] == [[b"a3"], ["ß7".encode(), b"11"]]
    assert test.gate.sizes() == [1, 3]


@pytest.mark.parametrize(
    "inputs",
    [
        {"text": np.array([b"a"], object), "pair": np.zeros((1, 3), np.int32)},  # not the shape of the signature
        {"text": np.array([b"a"], object), "pair": np.zeros((1, 2), np.int64)},  # nor the type
        {"text": np.array([b"a"], object)},
        {"text": np.empty(0, object), "pair": np.zeros((0, 2), np.int32)},
    ],
)
def test_what_does_not_fit_the_signature_goes_alone(
    bench: Callable[..., Bench], servable: Servable, inputs: dict[str, np.ndarray]
) -> None:
    test = bench()

    def result_of(call: Callable[[], Arrays]) -> tuple[Code, str] | list[bytes]:
        try:
            return call()["text"].tolist()
        except RequestError as error:
            return error.code, error.message

    assert result_of(test.ask(inputs, signature="join").result) == result_of(lambda: servable.run("join", inputs))
    assert test.scheduler.submitted == 0


@pytest.mark.parametrize(
    ("inputs", "signature", "text"),
    [
        (matrix(), "serving_default", "Batching Run() input tensors must have at least one dimension"),
        (
            {"text": np.array([b"a"], object), "pair": np.zeros((2, 2), np.int32)},
            "join",
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (matrix(5), "serving_default", "Task size 5 is larger than maximum input batch size 4"),
    ],
)
def test_requests_that_cannot_be_batched(
    bench: Callable[..., Bench], inputs: dict[str, np.ndarray], signature: str, text: str
) -> None:
    assert error_of(bench(max_batch_size=4).ask(inputs, signature=signature)) == (Code.INVALID_ARGUMENT, text)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("scalar", "Batched output tensor has 0 dimensions"),
        (
            "first",
            (
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors"
            ),
        ),
    ],
)
def test_outputs_that_are_not_by_rows_are_an_error(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, signature: str, text: str
) -> None:
    test = bench()
    assert error_of(test.ask(1.0, 2.0, signature=signature)) == (Code.FAILED_PRECONDITION, text)
    assert len(test.gate.calls) == 1  # trying again would not help
    assert not caplog.records  # the model's fault, not the server's


def test_what_is_unknown_is_said_as_without_batching(bench: Callable[..., Bench]) -> None:
    test = bench()
    assert error_of(test.ask(1.0, signature="none")) == (
        Code.FAILED_PRECONDITION,
        'Serving signature key "none" not found.',
    )
    code, message = error_of(test.ask(1.0, outputs=["z"]))
    assert code == Code.INVALID_ARGUMENT and message.startswith("output tensor alias not found in signature: z")
