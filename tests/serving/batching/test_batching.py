"""Requests that come together share a call: who gets what, when, and who fails."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.batch_models import Gate
from tests.serving.batching.helpers import HOUR, Bench, error_of
from zoo.serving.batching import Batched, BatchingParameters
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError

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
