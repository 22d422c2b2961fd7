import json
import logging
import os
import re
import signal
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from apps.commands import serve as commands
from apps.commands.serve_flags import start_flags
from apps.serve import main
from tests.conftest import ROOT, run_python
from tests.serving.certificates import needs_openssl, self_signed
from zoo.serving.model_config import check, read
from zoo.serving.server import Options, RunningServer, start


def test_help_and_the_client_load_neither_tensorflow_nor_keras() -> None:
    code = """
        import sys, time
        began = time.process_time()
        import apps.serve
        try:
            apps.serve.main(["--help"])
        except SystemExit:
            pass
        assert time.process_time() - began < 0.5
        import zoo.serving.client
        print("loaded:", [name for name in ("tensorflow", "keras", "numpy", "uvicorn") if name in sys.modules])
    """
    assert run_python(code).endswith("loaded: []\n")


def test_ask_prints_a_line_for_each_row(server: RunningServer, capsys: pytest.CaptureFixture[str]) -> None:
    address = ["--server", server.url]
    assert main(["ask", "upper", "a", "ß", *address]) == 0
    assert capsys.readouterr().out == '{"text": "A"}\n{"text": "ß"}\n'
    assert main(["ask", "upper", "hi", "--signature", "measured", *address]) == 0
    assert capsys.readouterr().out == '{"length": 2, "raw_bytes": {"b64": "aGk="}, "text": "HI"}\n'
    assert main(["ask", "kinds", "1.5", "3", *address]) == 0
    assert capsys.readouterr().out == '{"y": 0.75}\n{"y": 1.5}\n'
    assert main(["ask", "kinds", "1", "2", "--signature", "uneven", *address]) == 0
    assert capsys.readouterr().out == '{"a": [1.0, 2.0], "b": [1.0]}\n'  # no rows that belong together


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (["ask", "kinds", "one"], "one: the input x takes float, in JSON."),
        (["ask", "kinds", "a_bol=true", "--signature", "echo"], 'the signature has 11 inputs. Did you mean "a_bool"?'),
        (["ask", "upper", "a", "--bearer_token_file=/no/token"], "/no/token: cannot be read as a token: "),
        (
            ["ask", "upper", "a", "--certificate=ca.pem"],
            "a certificate is for TLS, which this address does not ask for",
        ),
        (["ask", "nobody", "a"], "Servable not found for request: Latest(nobody)"),
    ],
)
def test_mistakes_in_asking(
    server: RunningServer, capsys: pytest.CaptureFixture[str], line: list[str], complaint: str
) -> None:
    assert main([*line, "--server", server.url]) == 2
    assert complaint in capsys.readouterr().err


@needs_openssl
def test_ask_brings_a_token_over_tls(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, certificate = self_signed(tmp_path)
    (tmp_path / "token").write_text("sesame\n")
    config = tmp_path / "ssl.config"
    pem = {"server_key": key, "server_cert": certificate}
    config.write_text("\n".join(f"{name}: {json.dumps(file.read_text())}" for name, file in pem.items()))
    options = Options(token="sesame", tls_key=key, tls_certificate=certificate, grpc_port=0, ssl_config_file=config)
    with start(home, options=options) as server:
        for address in (server.url, f"grpcs://localhost:{server.grpc_port}"):
            line = ["ask", "upper", "a", "--server", address, "--certificate", str(certificate)]
            assert main([*line, "--bearer_token_file", str(tmp_path / "token")]) == 0
            assert capsys.readouterr().out == '{"text": "A"}\n'
            assert main(line) == 2
            assert re.search("the server answered (401|UNAUTHENTICATED): ", capsys.readouterr().err)


def test_a_folder_without_models_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--rest_api_port", "0", "--port", "0"]) == 2
    assert "no model is here, nor in the folders below." in capsys.readouterr().err


@pytest.fixture
def process(home: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """`python -m apps.serve HOME` and the address that it says."""
    command = [sys.executable, "-m", "apps.serve", str(home), "--rest_api_port", "0", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ}) as process:
        try:
            found = None
            for line in process.stderr:
                if found := re.search(r"serving upper at (http://127\.0\.0\.1:\d+)", line):
                    break
            assert found, "the server has ended"
            yield process, found[1]
        finally:
            process.kill()


def parsed(*line: str) -> Namespace:
    parser = ArgumentParser()
    start_flags(parser)
    return parser.parse_args(line)


def test_the_flags_defaults_are_those_of_the_options() -> None:
    assert commands.options(parsed("models")) == Options(grpc_port=8500)


def test_flags_are_read_as_tensorflow_reads_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    line = "--model_base_path=/m --port=0 --enable_model_warmup=false --rest_api_enable_cors_support --metrics=1"
    more = f"--load_retry_interval_micros 1500000 --max_request_mib 2 --bearer_token_file {tmp_path / 'token'}"
    assert commands.options(parsed(*line.split(), *more.split())) == Options(
        model_name="default",
        enable_model_warmup=False,
        rest_api_enable_cors_support=True,
        metrics=True,
        load_retry_interval_seconds=1.5,
        max_request_bytes=2 * 2**20,
        token="sesame",
    )
    # as in the entry point of Serving's image, with a configuration behind it
    both = parsed("--model_name=model", "--model_base_path=/models/model", "--model_config_file=/models.config")
    assert commands.options(both).model_config_file == "/models.config"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (["models", "--model_name=m"], "models: this does not go together with --model_name."),
        (["--model_name=m"], "--model_name names the model of --model_base_path."),
        (["--model_base_path=m"], "Expected model default to have an absolute path or URI; got base_path()=m"),
        (["models", "--bearer_token_file=/no/token"], "/no/token: cannot be read as a token: "),
        (["models", "--rest_api_tls_key=key.pem"], "key.pem: TLS needs both a key and a certificate."),
        (["models", "--monitoring_config_file=/no/file"], "/no/file: cannot be read: No such file or directory."),
    ],
)
def test_flags_that_do_not_go_together(capsys: pytest.CaptureFixture[str], line: list[str], complaint: str) -> None:
    assert main(["start", *line, "--rest_api_port=0", "--port=0"]) == 2
    assert complaint in capsys.readouterr().err


def test_a_list_of_models_is_written(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", str(saved), "--base_path", "/models", "--output", str(tmp_path / "models.config")]) == 0
    homes = [(each.name, str(each.base_path)) for each in check(read(tmp_path / "models.config"), None)]
    assert homes == [("kinds", "/models/kinds"), ("later", "/models/later"), ("upper", "/models/upper")]
    assert main(["config", str(saved)]) == 0
    (tmp_path / "printed").write_text(capsys.readouterr().out)
    assert check(read(tmp_path / "printed"), None)[0].base_path == saved.resolve() / "kinds"
    assert main(["config", str(saved), "--output", "/no/folder/models.config"]) == 2
    assert "/no/folder/models.config: cannot be written: No such file" in capsys.readouterr().err


def test_a_model_is_audited(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["audit", str(saved / "upper" / "1"), "--no-run", "--json"])
    report = capsys.readouterr().out
    assert code == 1 and '"burn"' in report  # a signature without a batch
    assert main(["audit", str(saved / "nothing")]) == 2


def test_a_log_line_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("ä\n")
    except ValueError:
        record = logging.makeLogRecord({"msg": "%s failed", "args": ("x",), "levelno": 40, "exc_info": sys.exc_info()})
    record.created, record.msecs, record.name, record.levelname = 0.25, 250.0, "zoo", "ERROR"
    line = commands.JsonLines().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("traceback").endswith("ValueError: ä\n")
    assert said == {"time": "1970-01-01T00:00:00.250Z", "level": "ERROR", "logger": "zoo", "message": "x failed"}


def test_it_serves_until_sigterm(process: tuple[subprocess.Popen, str]) -> None:
    server, url = process
    assert httpx.post(f"{url}/v1/models/upper:predict", json={"inputs": ["a"]}).json() == {"outputs": ["A"]}
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
    assert "upper version 1 is unloaded" in server.stderr.read()
