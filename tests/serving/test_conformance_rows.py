"""Rows of docs/serving.md that no other file shows, and that the page itself tells the truth."""

import gzip
import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from apps.commands.serve_flags import FLAGS
from apps.serve import main
from tests.conftest import ROOT
from tests.serving.example_models import save_examples
from tests.serving.small_models import add_warmup
from tests.serving.test_config import config, label, listed
from zoo.errors import UserError
from zoo.serving.client import Client
from zoo.serving.loader import Loader
from zoo.serving.models import Models, State, Status
from zoo.serving.options import Options
from zoo.serving.servable import SessionOptions
from zoo.serving.server import start
from zoo.serving.status import Code, RequestError

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")

# Of tensorflow_model_server, without a meaning here.
NOT_HERE = [
    "grpc_socket_path",
    "enable_per_model_batching_parameters",
    "num_load_threads",
    "num_unload_threads",
    "flush_filesystem_caches",
    "tensorflow_session_config_file",
    "use_alts_credentials",
    "platform_config_file",
    "saved_model_tags",
    "grpc_channel_arguments",
    "num_request_iterations_for_warmup",
    "version",
    "remove_unused_fields_from_bundle_metagraph",
    "prefer_tflite_model",
    "num_tflite_pools",
    "num_tflite_interpreters_per_pool",
    "enable_signature_method_name_check",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
    "enable_profiler",
    "thread_pool_factory_config_file",
    "mixed_precision",
    "skip_initialize_tpu",
    "enable_serialization_as_tensor_content",
]
# Its defaults; 0 threads are four for each processor. --rest_api_port is not among them: 8501 here, none there.
DEFAULTS = {
    "port": 8500,
    "rest_api_num_threads": 0,
    "rest_api_timeout_in_ms": 30_000,
    "rest_api_enable_cors_support": False,
    "enable_batching": False,
    "batching_parameters_file": "",
    "allow_version_labels_for_unavailable_models": False,
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0,
    "model_base_path": "",
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60_000_000,
    "file_system_poll_wait_seconds": 1,
    "tensorflow_session_parallelism": 0,
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "ssl_config_file": "",
    "per_process_gpu_memory_fraction": 0.0,
    "grpc_max_threads": 0,
    "enable_model_warmup": True,
    "monitoring_config_file": "",
    "enable_grpc_healthcheck_service": False,
}


@pytest.mark.parametrize("flag", NOT_HERE)
def test_a_flag_that_is_not_here_is_refused_and_not_ignored(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["start", "models", f"--{flag}=1"])
    assert left.value.code == 2 and f"unrecognized arguments: --{flag}=1" in capsys.readouterr().err


def test_flags_have_servings_defaults() -> None:
    own = {flag.name: flag.default for flags in FLAGS.values() for flag in flags}
    assert {name: own[name] for name in DEFAULTS} == DEFAULTS


def test_every_code_has_servings_http_status() -> None:
    assert {code.name: code.http for code in Code} == {
        "OK": 200,
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }


@pytest.fixture(scope="module")
def labelled(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server of `examples` (version 3) and `upper`, whose version 1 has the label "stable"."""
    folder = tmp_path_factory.mktemp("labelled")
    save_examples(folder / "examples")
    shutil.copytree(saved / "upper", folder / "upper")
    with start(folder) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        upper = listed("upper", folder / "upper", label("stable", 1))
        server.models.reload(config(upper, listed("examples", folder / "examples")))
        yield http


def test_a_label_in_every_path(labelled: httpx.Client) -> None:
    for path in ("", "/metadata"):
        by_number = labelled.get(f"/v1/models/upper/versions/1{path}")
        assert by_number.status_code == 200
        for way in ("", "/labels/stable"):
            assert labelled.get(f"/v1/models/upper{way}{path}").content == by_number.content
    reply = labelled.post("/v1/models/upper/labels/stable:predict", json={"instances": ["a"]})
    assert reply.json() == {"predictions": ["A"]}


def test_classify_and_regress_over_http(labelled: httpx.Client) -> None:
    reply = labelled.post("/v1/models/examples/versions/3:classify", json={"examples": [{"x": 0.25}]})
    assert (reply.status_code, reply.json()) == (200, {"results": [[["low", 0.75], ["high", 0.25]]]})
    request = {"signature_name": "double", "context": {"x": 0.5}, "examples": [{}, {"x": 1.0}]}
    reply = labelled.post("/v1/models/examples:regress", json=request)
    assert (reply.status_code, reply.json()) == (200, {"results": [1.0, 2.0]})


def test_a_gzip_body_that_unpacks_to_too_much_is_empty(labelled: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.serving.rest._MOST_INFLATED", 1000)  # 100 MiB, which would take its time
    for blanks, reply in ((900, {"predictions": ["A"]}), (1000, {"error": "JSON Parse error: The document is empty"})):
        body = gzip.compress(b" " * blanks + b'{"instances": ["a"]}')
        sent = labelled.post("/v1/models/upper:predict", content=body, headers={"content-encoding": "gzip"})
        assert sent.json() == reply


def test_a_model_that_takes_too_long_is_stopped_over_rest(home: Path) -> None:
    with start(home, options=Options(rest_api_timeout_in_ms=1000)) as server:
        body = {"signature_name": "burn", "inputs": 2**31 - 1}
        reply = httpx.post(f"{server.url}/v1/models/upper:predict", json=body, timeout=60)
    assert reply.status_code == 504 and list(reply.json()) == ["error"]


def test_rest_and_grpc_cannot_share_a_port(home: Path) -> None:
    with start(home) as other:
        port = int(other.url.rsplit(":", 1)[1])
    with pytest.raises(UserError, match=f"cannot listen on port {port} for gRPC"):
        start(home, port, Options(grpc_port=port))


def test_a_model_that_is_not_loaded_yet_is_listed_and_does_not_answer(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / name / "1").mkdir(parents=True)

    def load(path: Path, name: str, version: int) -> Any:
        if name == "bad":
            raise RequestError(Code.INTERNAL, "no memory")
        return SimpleNamespace(close=lambda: None)

    models = Models(config(listed("good", tmp_path / "good")), load)
    models.start()
    try:
        with pytest.raises(RequestError, match="UNKNOWN: 1 model"):
            models.reload(config(listed("good", tmp_path / "good"), listed("bad", tmp_path / "bad")))
        assert models.status("bad") == [Status(1, State.LOADING, Code.INTERNAL, "no memory")]  # tried again in a minute
        with pytest.raises(RequestError, match=r"NOT_FOUND: Servable not found for request: Latest\(bad\)"):
            models.use("bad").__enter__()
    finally:
        models.stop()


def test_warm_up_may_be_switched_off(home: Path) -> None:
    add_warmup(home / "1", [b"x"], signature="nothing")
    with pytest.raises(RequestError, match='Serving signature key "nothing" not found'):
        Loader(Options())(home / "1", "upper", 1)
    Loader(Options(enable_model_warmup=False))(home / "1", "upper", 1).close()


def test_threads_of_tensorflow() -> None:
    assert Options(tensorflow_session_parallelism=3).session() == SessionOptions(3, 3, 0.0)
    apart = Options(tensorflow_intra_op_parallelism=2, per_process_gpu_memory_fraction=0.5)
    assert apart.session() == SessionOptions(2, 0, 0.5)


def test_how_many_requests_are_taken_at_once() -> None:
    four_each = 4 * (os.cpu_count() or 1)
    assert (Options().workers(0), Options().workers(7)) == (four_each, 7)
    assert Options(enable_batching=True).workers(0) == max(four_each, 128)  # those that wait for a batch


@pytest.mark.parametrize("over", ["REST", "gRPC"])
def test_no_more_requests_are_worked_on_than_there_are_threads(
    over: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[int] = []
    gate, two = Event(), Event()
    options = Options(grpc_port=0, **{"rest_api_num_threads" if over == "REST" else "grpc_max_threads": 2})
    with start(home, options=options) as server, ThreadPoolExecutor(4) as clients:
        with server.models.use("upper") as servable:
            run = servable.run

        def held(*args: Any, **options: Any) -> Any:
            inside.append(1)
            if len(inside) == 2:
                two.set()
            gate.wait(60)
            return run(*args, **options)

        monkeypatch.setattr(servable, "run", held)
        address = server.url if over == "REST" else f"grpc://127.0.0.1:{server.grpc_port}"
        with Client(address) as client:
            client.signature("upper")  # so that nothing but predictions is asked now
            asked = [clients.submit(client.predict, "upper", ["a"]) for _ in range(4)]
            assert two.wait(60)
            time.sleep(0.2)
            assert len(inside) == 2
            gate.set()
            assert [each.result(60) for each in asked] == [{"text": ["A"]}] * 4


# ---- the page


def rows(chapter: str) -> Iterator[list[str]]:
    """The cells of every table below a heading of the page, without the heads of the tables."""
    text = PAGE.split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("| ") and not after.startswith("|--"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("| "))]


def test_every_row_is_shown_by_a_test_or_has_a_reason() -> None:
    found = list(rows("Conformance"))
    assert len(found) > 150
    for *_, state, shown in found:
        assert state in ("yes", "partly", "no"), (state, shown)
        assert (state == "no" and len(shown) > 10) or "::" in shown or "not tested" in shown, shown


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"(test_\w+)::(test_\w+)", PAGE))
    assert len(named) > 60
    for file, test in named:
        (path,) = (ROOT / "tests" / "serving").rglob(f"{file}.py")
        assert f"\ndef {test}(" in path.read_text(), f"{file}::{test}"


def test_the_page_knows_every_flag() -> None:
    flags = {flag.name for flags in FLAGS.values() for flag in flags}
    assert set(re.findall(r"`--(\w+)`", PAGE)) >= flags | set(NOT_HERE)
