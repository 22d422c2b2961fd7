import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.small_models import save_kinds, save_upper
from zoo.serving.server import Options, RunningServer, start


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model homes: `kinds`, `upper` (version 1) and `later` (version 2 of upper)."""
    folder = tmp_path_factory.mktemp("saved_models")
    save_kinds(folder / "kinds")
    save_upper(folder / "upper", 1)
    save_upper(folder / "later", 2, suffix="!")
    return folder


@pytest.fixture(scope="session")
def server(saved: Path) -> Iterator[RunningServer]:
    """A server of all of them."""
    with start(saved, options=Options(max_request_bytes=100_000)) as running:
        yield running


@pytest.fixture(scope="session")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def home(saved: Path, tmp_path: Path) -> Path:
    """A model home of its own, with version 1 of `upper`."""
    shutil.copytree(saved / "upper" / "1", tmp_path / "upper" / "1")
    return tmp_path / "upper"


@pytest.fixture
def swapping(home: Path) -> Iterator[RunningServer]:
    """A server of that home which looks for versions, and tries those that failed again, all the time."""
    options = Options(file_system_poll_wait_seconds=0.03, load_retry_interval_seconds=0.05, max_num_load_retries=2)
    with start(home, options=options) as running:
        yield running


@pytest.fixture
def add(saved: Path, home: Path) -> Callable[[int], None]:
    """Adds a version to the home as an export does: under a name that is no number, then renamed."""

    def add_version(number: int) -> None:
        shutil.copytree(saved / "later" / "2", home / f"new-{number}")
        (home / f"new-{number}").rename(home / str(number))

    return add_version
