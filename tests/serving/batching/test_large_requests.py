"""Requests larger than a batch, closing, threads that models share."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.serving.batch_models import Gate
from tests.serving.batching.helpers import HOUR, Bench, Counting, error_of
from zoo.serving.batching import Batched, BatchingParameters, Ran
from zoo.serving.servable import Servable
from zoo.serving.status import Code


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
