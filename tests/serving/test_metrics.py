import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.small_models import add_warmup
from zoo.errors import UserError
from zoo.serving import settings
from zoo.serving.metrics import PATH, Metrics
from zoo.serving.server import Options, start
from zoo.serving.status import Code


@pytest.fixture
def began() -> float:
    """When the test began, by time.monotonic."""
    return time.monotonic()


@pytest.fixture
def watched(home: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    """A server of one model with a warm-up request, whose metrics are elsewhere than usual."""
    add_warmup(home / "1", [b"x", b"y"])
    file = tmp_path / "monitoring.config"
    file.write_text('prometheus_config { enable: true path: "/watch" }')
    with (
        start(home, options=Options(monitoring_config_file=file)) as server,
        httpx.Client(base_url=server.url, timeout=30) as http,
    ):
        yield http


def test_requests_are_counted_by_servings_names(began: float, watched: httpx.Client, home: Path) -> None:
    for text in ("a", "b"):
        watched.post("/v1/models/upper:predict", json={"instances": [text]})
    watched.post("/v1/models/upper:predict", json={"instances": [1]})
    watched.post("/v1/models/upper/versions/9:predict", json={"instances": ["a"]})
    watched.post("/v1/models/nobody-1:predict", json={"instances": ["a"]})
    watched.post("/v1/models/nobody-2:predict", json={"instances": ["a"]})
    reply = watched.get("/watch")
    assert reply.headers["content-type"] == "text/plain"
    lines = reply.text.splitlines()
    assert [line for line in lines if ":request_count" in line] == [
        "# HELP :tensorflow:serving:request_count The total number of requests.",
        "# TYPE :tensorflow:serving:request_count counter",
        ':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"} 2.0',  # strangers fill no memory
        ':tensorflow:serving:request_count{model_name="upper",status="INVALID_ARGUMENT"} 1.0',
        ':tensorflow:serving:request_count{model_name="upper",status="NOT_FOUND"} 1.0',
        ':tensorflow:serving:request_count{model_name="upper",status="OK"} 2.0',
    ]
    served = 'API="predict",entrypoint="REST",model_name="upper"'
    assert f":tensorflow:serving:request_latency_count{{{served}}} 2.0" in lines  # of those that went well
    assert ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="upper",runtime="TF1"} 2.0' in lines
    path = f'model_path="{home / "1"}",status="success"'
    assert f":tensorflow:serving:model_warmup_records_read{{{path}}} 2.0" in lines
    assert f":tensorflow:serving:model_warmup_latency_count{{{path}}} 1.0" in lines
    assert f":tensorflow:cc:saved_model:load_attempt_count{{{path}}} 1.0" in lines
    (loading,) = (line for line in lines if line.startswith(":tensorflow:cc:saved_model:load_latency{"))
    assert 1_000 < float(loading.rpartition(" ")[2]) < 1e6 * (time.monotonic() - began)
    assert watched.get(PATH).status_code == 404  # it is elsewhere


def test_there_are_no_metrics_unless_asked_for(http: httpx.Client) -> None:
    reply = http.get(PATH)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html")


def test_buckets_are_servings() -> None:
    metrics = Metrics()
    for microseconds in (10, 11, 1e12):
        metrics.answered("m", "Predict", "GRPC", Code.OK, microseconds / 1e6)
    labels = 'API="Predict",entrypoint="GRPC",'
    pattern = re.escape(f":tensorflow:serving:request_latency_bucket{{{labels}") + r'le="(.+?)",model_name="m"} (.+)'
    buckets = dict(re.findall(pattern, metrics.page().decode()))
    assert list(buckets)[:6] == ["10", "18", "32.4", "58.32", "104.976", "188.957"]
    assert (len(buckets), list(buckets)[-2:]) == (34, ["1.47476e+09", "+Inf"])
    assert [buckets[each] for each in ("10", "18", "1.47476e+09", "+Inf")] == ["1.0", "2.0", "2.0", "3.0"]


def test_nothing_is_lost_among_threads() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(500):
            metrics.answered("m", "Predict", "GRPC", Code.OK, 0.001)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    page = metrics.page().decode()
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 4000.0' in page
    assert ':request_latency_count{API="Predict",entrypoint="GRPC",model_name="m"} 4000.0' in page


def test_monitoring_files(tmp_path: Path) -> None:
    file = tmp_path / "monitoring.config"
    for text, path in [
        ("", None),
        ("prometheus_config { enable: false }", None),
        ("prometheus_config { enable: true }", PATH),
        ('prometheus_config { enable: true, path: "/x" }', "/x"),
    ]:
        file.write_text(text)
        assert settings.metrics_path(file) == path
    file.write_text("prometheus { }")
    with pytest.raises(UserError, match="Error parsing text-format tensorflow.serving.MonitoringConfig: 1:1"):
        settings.metrics_path(file)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        settings.metrics_path(tmp_path / "no")


def test_certificate_files(tmp_path: Path) -> None:
    file = tmp_path / "ssl.config"
    file.write_text('server_key: "KEY\\n" server_cert: "CERT\\n"')
    assert settings.certificates(file) == (b"KEY\n", b"CERT\n", b"")
    file.write_text('server_key: "KEY" server_cert: "CERT" custom_ca: "CA"')
    assert settings.certificates(file).authorities == b""
    file.write_text('server_key: "KEY" server_cert: "CERT" custom_ca: "CA" client_verify: true')
    assert settings.certificates(file).authorities == b"CA"
    file.write_text('server_key: "KEY"')
    with pytest.raises(UserError, match="server_key and server_cert are needed"):
        settings.certificates(file)
    file.write_text('server_key: "KEY" server_cert: "CERT" client_verify: true')
    with pytest.raises(UserError, match="client_verify needs custom_ca"):
        settings.certificates(file)


def test_the_flag_alone_gives_them_at_their_usual_place() -> None:
    assert Options(metrics=True).metrics_path() == PATH and Options().metrics_path() == ""


def test_batches_are_counted(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "batching_parameters.txt"
    file.write_text("max_batch_size { value: 4 } allowed_batch_sizes: 4 thread_pool_name { value: 'pool' }")
    options = Options(enable_batching=True, batching_parameters_file=file, metrics=True)
    with start(home, options=options) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        asked = http.post("/v1/models/upper:predict", json={"instances": ["a", "b", "c"]})
        assert asked.json() == {"predictions": ["A", "B", "C"]}
        lines = http.get(PATH).text.splitlines()
        many = http.post("/v1/models/upper:predict", json={"instances": ["a"] * 5})
    assert many.json() == {"error": "Task size 5 is larger than maximum input batch size 4"}
    name = ":tensorflow:serving:batching_session:"
    assert {
        f'{name}queuing_latency_count{{thread_pool_name="pool"}} 1.0',
        f"{name}wrapped_run_count 1.0",
        f"{name}input_batch_size_sum 3.0",
        f"{name}processed_batch_size_sum 3.0",
        f'{name}padding_size_sum{{execution_batch_size="4"}} 1.0',
    } <= set(lines)
