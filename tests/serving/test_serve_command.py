import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from apps.serve import main
from tests.conftest import ROOT, run_python
from zoo.serving.server import RunningServer


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
        (["ask", "nobody", "a"], "Servable not found for request: Latest(nobody)"),
    ],
)
def test_mistakes_in_asking(
    server: RunningServer, capsys: pytest.CaptureFixture[str], line: list[str], complaint: str
) -> None:
    assert main([*line, "--server", server.url]) == 2
    assert complaint in capsys.readouterr().err


def test_a_folder_without_models_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--rest_api_port", "0"]) == 2
    assert "no model is here, nor in the folders below." in capsys.readouterr().err


@pytest.fixture
def process(home: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """`python -m apps.serve HOME` and the address that it says."""
    command = [sys.executable, "-m", "apps.serve", str(home), "--rest_api_port", "0"]
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


def test_it_serves_until_sigterm(process: tuple[subprocess.Popen, str]) -> None:
    server, url = process
    assert httpx.post(f"{url}/v1/models/upper:predict", json={"inputs": ["a"]}).json() == {"outputs": ["A"]}
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
    assert "upper version 1 is unloaded" in server.stderr.read()
