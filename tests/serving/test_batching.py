import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Condition
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.batch_models import Gate, save_rows
from zoo.errors import UserError
from zoo.serving.batching import Batched, BatchingParameters, Ran, Scheduler, read_parameters
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError

HOUR = 3_600_000_000  # microseconds

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def servable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servable]:
    servable = Servable(save_rows(tmp_path_factory.mktemp("rows") / "1"), "rows", 1)
    yield servable
    servable.close()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as clients:
        yield clients


class Counting(Scheduler):
    """Knows how many requests it was given."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.submitted, self._changed = 0, Condition()
        super().__init__(parameters)

    def submit(self, *task: Any) -> Any:
        try:
            return super().submit(*task)
        finally:
            with self._changed:
                self.submitted += 1
                self._changed.notify_all()

    def wait_for(self, submitted: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.submitted >= submitted, 60)


class Bench:
    """A batched model behind a gate, with clients that ask it."""

    def __init__(self, servable: Servable, clients: ThreadPoolExecutor, **parameters: Any) -> None:
        self.gate, self._clients = Gate(servable), clients
        self.ran: list[Ran] = []
        chosen = BatchingParameters(**{"num_batch_threads": 1, **parameters})
        self.scheduler = Counting(chosen)
        self.batched = Batched(self.gate, chosen, self.scheduler, observe=self.ran.append)

    def ask(self, *values: Any, signature: str = "serving_default", **options: Any) -> Future[Arrays]:
        """Asks with these rows, after all that were asked before."""
        inputs = values[0] if values and isinstance(values[0], dict) else {"x": np.array(values, np.float32)}
        before = self.scheduler.submitted
        asked = self._clients.submit(self.batched.run, signature, inputs, **options)
        while self.scheduler.submitted == before and not asked.done():
            time.sleep(0.001)
        return asked

    def occupy(self) -> Future[Arrays]:
        """Shuts the gate, with a request of one row before it, so that all others wait."""
        self.gate.shut()
        asked = self.ask(0.0)
        self.gate.wait_for(len(self.gate.calls) or 1)
        return asked


@pytest.fixture
def bench(servable: Servable, clients: ThreadPoolExecutor) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**parameters: Any) -> Bench:
        made.append(Bench(servable, clients, **parameters))
        return made[-1]

    yield make
    for each in made:
        each.gate.open()
        each.batched.close()
        each.scheduler.close()


def error_of(asked: Future[Arrays]) -> tuple[Code, str]:
    with pytest.raises(RequestError) as caught:
        asked.result(60)
    return caught.value.code, caught.value.message


REQUESTS = st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), min_size=1, max_size=16)


@settings(max_examples=40)
@given(
    REQUESTS,
    st.fixed_dictionaries(
        {
            "max_batch_size": st.integers(5, 9),
            "batch_timeout_micros": st.sampled_from([0, 300]),
            "num_batch_threads": st.integers(1, 3),
            "enable_large_batch_splitting": st.booleans(),
        }
    ),
    st.booleans(),
    st.booleans(),
)
def test_every_request_gets_its_own_rows(
    servable: Servable, requests: list[list[int]], parameters: dict[str, Any], filled_up: bool, bad: bool
) -> None:
    if parameters["enable_large_batch_splitting"]:
        parameters["max_execution_batch_size"] = 4
    most = parameters.get("max_execution_batch_size", parameters["max_batch_size"])
    sizes = (2, most) if filled_up else ()
    batched = Batched(
        Gate(servable), BatchingParameters(max_enqueued_batches=100, allowed_batch_sizes=sizes, **parameters)
    )

    def ask(request: list[int]) -> np.ndarray | Code:
        sign = -1 if bad and request[0] % 3 == 0 else 1
        try:
            return batched.run("root", {"x": sign * np.array(request, np.float32) ** 2})["y"]
        except RequestError as error:
            return error.code

    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(ask, requests))
    batched.close()
    for request, answer in zip(requests, answers, strict=True):
        if bad and request[0] % 3 == 0 and any(request):
            assert answer == Code.INVALID_ARGUMENT
        else:
            np.testing.assert_allclose(answer, request)


def test_what_waits_goes_together_when_a_thread_is_free(bench: Callable[..., Bench]) -> None:
    test = bench()
    first = test.occupy()
    others = [test.ask(float(n), float(n + 1)) for n in range(5)]
    test.gate.open()
    np.testing.assert_array_equal(first.result(60)["batch"], [1])
    for n, other in enumerate(others):
        answer = other.result(60)
        np.testing.assert_array_equal(answer["y"], [2 * n, 2 * n + 2])
        np.testing.assert_array_equal(answer["batch"], [10, 10])
    assert test.gate.sizes() == [1, 10]


def test_a_batch_waits_until_it_is_full_or_its_time_is_over(bench: Callable[..., Bench]) -> None:
    test = bench(max_batch_size=3, batch_timeout_micros=HOUR)
    asked = [test.ask(1.0), test.ask(2.0)]
    assert not test.gate.calls
    asked.append(test.ask(3.0))
    assert [each.result(60)["batch"].item() for each in asked] == [3, 3, 3]
    soon = bench(max_batch_size=3, batch_timeout_micros=1000)
    assert soon.ask(1.0).result(60)["batch"].item() == 1


def test_signatures_and_sets_of_outputs_are_batched_apart(bench: Callable[..., Bench]) -> None:
    test = bench()
    test.occupy()
    half = test.ask(1.0, outputs=["y"])
    both = [test.ask(2.0, outputs=["y", "batch"]), test.ask(3.0, outputs=["batch", "y"]), test.ask(4.0)]
    root = test.ask(9.0, signature="root")
    test.gate.open()
    assert half.result(60).keys() == {"y"} and half.result()["y"] == [2.0]
    assert [each.result(60)["batch"].item() for each in both] == [3, 3, 3]
    assert root.result(60)["y"] == [3.0]
    assert test.gate.sizes() == [1, 1, 3, 1]


def test_one_bad_request_fails_alone_at_the_cost_of_few_calls(bench: Callable[..., Bench]) -> None:
    test = bench()
    test.occupy()
    values = [float(n**2) for n in range(16)]
    values[5] = -7.0
    asked = [test.ask(value, signature="root") for value in values]
    test.gate.open()
    for n, each in enumerate(asked):
        if n == 5:
            code, message = error_of(each)
            assert code == Code.INVALID_ARGUMENT and "-7" in message
        else:
            assert each.result(60)["y"] == [n]
    assert len(test.gate.calls) - 1 == 1 + 2 * 4  # all, then both halves of what fails: 8, 4, 2, 1
    assert len(test.ran) == 2


def test_several_bad_ones_each_get_their_own_error(bench: Callable[..., Bench]) -> None:
    test = bench()
    test.occupy()
    asked = [test.ask(value, signature="root") for value in (-3.0, 4.0, -5.0, 9.0)]
    test.gate.open()
    assert "-3" in error_of(asked[0])[1] and "-5" in error_of(asked[2])[1]
    assert asked[1].result(60)["y"] == [2.0] and asked[3].result(60)["y"] == [3.0]


def test_a_full_queue_refuses_at_once_with_servings_text(bench: Callable[..., Bench]) -> None:
    test = bench(max_batch_size=2, max_enqueued_batches=2)
    test.occupy()
    waiting = [test.ask(1.0, 2.0), test.ask(3.0)]
    full = "The batch scheduling queue to which this task was submitted is full; "
    assert error_of(test.ask(4.0, 5.0)) == (
        Code.UNAVAILABLE,
        full + "currently 2 batches enqueued and max_enqueued_batches is 2",
    )
    waiting.append(test.ask(6.0))  # for this one there is room
    test.gate.open()
    assert [each.result(60)["y"].tolist() for each in waiting] == [[2, 4], [6], [12]]
    assert test.gate.sizes() == [1, 2, 2]

    parts = bench(
        max_batch_size=9, max_execution_batch_size=3, max_enqueued_batches=2, enable_large_batch_splitting=True
    )
    parts.occupy()
    parts.ask(1.0)
    assert error_of(parts.ask(*[0.0] * 6)) == (
        Code.UNAVAILABLE,
        full + "task size is 6 but scheduling capacity is only 5 (num_enqueued_batches=1, max_enqueued_batches=2, "
        "open_batch_size=1, max_execution_batch_size=3)",
    )


def test_a_request_that_gives_up_leaves_the_queue(bench: Callable[..., Bench]) -> None:
    test = bench(max_batch_size=2, max_enqueued_batches=1)
    running = test.occupy()
    late = test.ask(1.0, timeout_ms=30)
    assert error_of(late) == (
        Code.DEADLINE_EXCEEDED,
        "Run() timeout exceeded while waiting in batching queue",
    )
    others = test.ask(2.0, 3.0, timeout_ms=60_000)  # it has left its place
    test.gate.open()
    assert running.result(60)["y"] == [0.0] and others.result(60)["y"].tolist() == [4.0, 6.0]
    assert test.gate.sizes() == [1, 2]
    assert test.gate.timeouts[0] is None and 0 < test.gate.timeouts[1] <= 60_000


def test_nobody_waits_for_a_model_past_his_deadline(bench: Callable[..., Bench]) -> None:
    test = bench()
    test.gate.shut()
    asked = test.ask(1.0, timeout_ms=30)
    test.gate.wait_for(1)
    assert error_of(asked) == (Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")
    test.gate.open()
    assert test.ask(2.0).result(60)["y"] == [4.0]


def test_a_failed_batch_is_not_tried_again_for_those_that_have_given_up(bench: Callable[..., Bench]) -> None:
    test = bench(batch_timeout_micros=HOUR, max_batch_size=2)
    test.gate.shut()
    asked = [test.ask(4.0, signature="root", timeout_ms=30), test.ask(-1.0, signature="root")]
    test.gate.wait_for(1)
    assert error_of(asked[0])[0] == Code.DEADLINE_EXCEEDED
    test.gate.open()
    assert error_of(asked[1])[0] == Code.INVALID_ARGUMENT
    assert [each["x"].tolist() for each in test.gate.calls] == [[4.0, -1.0], [-1.0]]


def test_a_limit_of_the_server_holds_for_requests_without_one(servable: Servable) -> None:
    gate = Gate(servable)
    gate.shut()
    batched = Batched(gate, BatchingParameters(), timeout_ms=30)
    with pytest.raises(RequestError, match="DEADLINE_EXCEEDED"):
        batched.run("serving_default", {"x": np.ones(1, np.float32)})
    gate.open()
    batched.close()


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


def test_a_request_stays_whole_unless_large_ones_are_split(bench: Callable[..., Bench]) -> None:
    whole = bench(max_batch_size=4)
    whole.occupy()
    asked = [whole.ask(1.0, 2.0, 3.0), whole.ask(4.0, 5.0)]
    whole.gate.open()
    assert [each.result(60)["batch"].tolist() for each in asked] == [[3, 3, 3], [2, 2]]

    split = bench(max_batch_size=9, max_execution_batch_size=3, enable_large_batch_splitting=True)
    split.occupy()
    asked = [split.ask(0.0, 1.0), split.ask(2.0, 3.0, 4.0, 5.0, 6.0)]
    split.gate.open()
    assert [each.result(60)["y"].tolist() for each in asked] == [[0.0, 2.0], [4.0, 6.0, 8.0, 10.0, 12.0]]
    assert asked[1].result()["batch"].tolist() == [3, 3, 3, 3, 1]
    assert split.gate.sizes() == [1, 3, 3, 1]


def test_the_parts_of_a_request_keep_several_threads_busy(bench: Callable[..., Bench]) -> None:
    test = bench(max_batch_size=9, max_execution_batch_size=2, enable_large_batch_splitting=True, num_batch_threads=3)
    test.gate.shut()
    asked = test.ask(*map(float, range(6)))
    test.gate.wait_for(3)  # all at once, though a single request came
    test.gate.open()
    assert asked.result(60)["y"].tolist() == [0, 2, 4, 6, 8, 10]


def test_a_part_that_fails_fails_its_whole_request_and_no_other(bench: Callable[..., Bench]) -> None:
    test = bench(max_batch_size=9, max_execution_batch_size=2, enable_large_batch_splitting=True)
    test.occupy()
    asked = [test.ask(1.0, signature="root"), test.ask(4.0, 9.0, -2.0, signature="root"), test.ask(1.0)]
    test.gate.open()
    assert asked[0].result(60)["y"] == [1.0] and error_of(asked[1])[0] == Code.INVALID_ARGUMENT
    assert asked[2].result(60)["y"] == [2.0]


def test_parts_of_unequal_width_are_refused_and_not_mixed_up(bench: Callable[..., Bench]) -> None:
    test = bench(max_batch_size=4, max_execution_batch_size=1, enable_large_batch_splitting=True)
    code, message = error_of(test.ask({"text": np.array([b"ab", b"c"], object)}, signature="letters"))
    assert code == Code.FAILED_PRECONDITION and message.startswith("Output 'letters' has different shapes")
    same = test.ask({"text": np.array([b"ab", b"cd"], object)}, signature="letters")
    assert same.result(60)["letters"].tolist() == [[b"a", b"b"], [b"c", b"d"]]


def test_close_answers_what_waits_and_refuses_what_comes_later(bench: Callable[..., Bench]) -> None:
    test = bench(batch_timeout_micros=HOUR, max_batch_size=2, max_enqueued_batches=9)
    test.gate.shut()
    running = [test.ask(0.0), test.ask(1.0)]
    test.gate.wait_for(1)
    waiting = [test.ask(2.0), test.ask(3.0), test.ask(4.0)]  # the last one for an hour
    with ThreadPoolExecutor(1) as operator:
        closing = operator.submit(test.batched.close)
        while error_of(test.ask(5.0, timeout_ms=1))[0] != Code.UNAVAILABLE:
            pass
        assert not closing.done() and not test.gate.closed
        test.gate.open()
        closing.result(60)
    assert test.gate.closed
    assert [each.result(60)["y"].item() for each in running + waiting] == [0, 2, 4, 6, 8]
    assert error_of(test.ask(5.0)) == (Code.UNAVAILABLE, "The model is being unloaded.")


def test_models_share_threads_in_turn(servable: Servable, clients: ThreadPoolExecutor) -> None:
    parameters = BatchingParameters(max_batch_size=1, num_batch_threads=1)
    scheduler, gates = Counting(parameters), [Gate(servable), Gate(servable)]
    busy, other = [Batched(gate, parameters, scheduler) for gate in gates]
    gates[0].shut()
    inputs = {"x": np.ones(1, np.float32)}
    asked = [clients.submit(busy.run, "serving_default", inputs) for _ in range(4)]
    scheduler.wait_for(4)
    asked.append(clients.submit(other.run, "serving_default", inputs))
    scheduler.wait_for(5)
    gates[1].shut()
    gates[0].open()
    gates[1].wait_for(1)
    # At most the one that ran and the one whose turn it was came before; the other two wait.
    assert len(gates[0].calls) <= 2 and sum(each.done() for each in asked) <= 2
    gates[1].open()
    busy.close()
    assert all(each.result(60)["y"] == [2.0] for each in asked)
    assert clients.submit(other.run, "serving_default", inputs).result(60)["y"] == [2.0]
    other.close()
    scheduler.close()


def test_a_mistake_of_the_server_is_answered_too(servable: Servable) -> None:
    def observe(ran: Ran) -> None:
        raise ZeroDivisionError

    batched = Batched(Gate(servable), BatchingParameters(), observe=observe)
    with pytest.raises(ZeroDivisionError):
        batched.run("serving_default", {"x": np.ones(1, np.float32)})
    batched.close()


def test_all_else_is_the_servables_own(bench: Callable[..., Bench], servable: Servable) -> None:
    batched = bench().batched
    assert (batched.name, batched.version, batched.path) == (servable.name, servable.version, servable.path)
    assert batched.signatures is servable.signatures and batched.signature_defs() == servable.signature_defs()


def write(folder: Path, text: str) -> Path:
    (folder / "batching_parameters.txt").write_text(text)
    return folder / "batching_parameters.txt"


def test_a_file_of_parameters(tmp_path: Path) -> None:
    text = """
        max_batch_size { value: 8 }  # a remark
        batch_timeout_micros { value: 0 }
        max_enqueued_batches: { value: 5 }
        num_batch_threads { value: 3 }
        allowed_batch_sizes: 2
        allowed_batch_sizes: 8
        pad_variable_length_inputs: true
    """
    assert read_parameters(write(tmp_path, text)) == BatchingParameters(
        max_batch_size=8,
        batch_timeout_micros=0,
        max_enqueued_batches=5,
        num_batch_threads=3,
        thread_pool_name="batch_threads",
        allowed_batch_sizes=(2, 8),
        pad_variable_length_inputs=True,
    )
    empty = read_parameters(write(tmp_path, ""))
    assert (empty.max_batch_size, empty.batch_timeout_micros, empty.max_enqueued_batches) == (1000, 0, 10)
    assert empty.num_batch_threads >= 1 and not empty.enable_large_batch_splitting
    split = "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 }"
    assert read_parameters(write(tmp_path, split)).execution_batch_size == 4
    assert read_parameters(write(tmp_path, "max_execution_batch_size { value: 4 }")).execution_batch_size == 1000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("max_batch { value: 8 }", 'has no field named "max_batch"'),
        ("max_batch_size: 8", "1:"),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            "allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 1000",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 5 allowed_batch_sizes: 4",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            (
                "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
                "max_execution_batch_size { value: 2 } allowed_batch_sizes: 4"
            ),
            "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last entry was 4; expected 2",
        ),
        (
            (
                "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
                "max_execution_batch_size { value: 8 }"
            ),
            "input_batch_size_limit must be greater than or equal to max_execution_batch_size",
        ),
    ],
)
def test_mistakes_in_a_file_of_parameters(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_parameters(path)
    assert complaint in caught.value.problem and caught.value.where == str(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_parameters(tmp_path / "none.txt")
