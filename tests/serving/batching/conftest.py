from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serving.batch_models import save_rows
from tests.serving.batching.helpers import Bench
from zoo.serving.servable import Servable


@pytest.fixture(scope="module")
def servable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servable]:
    servable = Servable(save_rows(tmp_path_factory.mktemp("rows") / "1"), "rows", 1)
    yield servable
    servable.close()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as clients:
        yield clients


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
