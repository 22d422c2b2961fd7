import errno
import importlib
import os
import subprocess
import sys
import textwrap
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from apps import cli
from tests.conftest import ROOT
from zoo.errors import UserError
from zoo.recipe import option


@dataclass(frozen=True)
class Training:
    steps: int = option(100, "updates in all", low=1)


def schema() -> dict[str, type]:
    return {"training": Training}


def demo() -> cli.CommandLine:
    app = cli.CommandLine("demo", "A demonstration.\n\n    python -m apps.demo train")

    @app.command(cli.recipe_arguments(schema), cli.run_argument, cli.from_argument)
    def train(args: Namespace) -> None:
        """Train it.

        At length.
        """
        print(cli.read_recipe(args, "demo", schema()).training.steps, args.run, args.start_from)

    @app.command()
    def fail_with(args: Namespace) -> int:
        """Fail."""
        raise FAILURES[os.environ["FAILURE"]]

    @app.command()
    def seven(args: Namespace) -> int:
        """Return an exit code."""
        return 7

    return app


FAILURES = {
    "user": UserError("empty.", where="my.en:3", remedy="Fill it."),
    "full": OSError(errno.ENOSPC, "No space left on device", "model.bin"),
    "other": OSError(errno.EACCES, "Permission denied", "model.bin"),
    "stop": KeyboardInterrupt(),
    "extra": ModuleNotFoundError("No module named 'tensorflow_text'", name="tensorflow_text"),
    "module": ModuleNotFoundError("No module named 'zoo.thing'", name="zoo.thing"),
}


def test_a_command_gets_its_arguments(tmp_path: Path, capsys):
    (tmp_path / "r.toml").write_text('task = "demo"\n[training]\nsteps = 3\n')
    recipe = ["--recipe", str(tmp_path / "r.toml")]
    assert demo().main(["train", *recipe, "--set", "training.steps=4", "--run", "r", "--from", "h"]) == 0
    assert capsys.readouterr().out == "4 r h\n"
    assert demo().main(["seven"]) == 7


def test_help_shows_docstrings_as_they_stand_and_the_fields_of_the_recipe(capsys):
    app = demo()
    assert "A demonstration.\n\n    python -m apps.demo train\n" in app.parser.format_help()
    assert "train     Train it.\n" in app.parser.format_help()
    with pytest.raises(SystemExit) as ended:
        app.main(["train", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "Train it.\n\nAt length.\n" in out
    assert "[training]\n  steps  int  100  updates in all (at least 1)\n" in out


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        ("user", 2, "error: my.en:3: empty.\n  Fill it.\n"),
        ("full", 2, "error: model.bin: no space left on the disk.\n  Free some, then start the same command again.\n"),
        ("extra", 2, 'error: tensorflow_text is not installed.\n  pip install ".[tensorflow]"\n'),
        ("stop", 130, "stopped.\n"),
    ],
)
def test_what_the_user_can_mend_is_a_message(monkeypatch, capsys, failure: str, code: int, message: str):
    monkeypatch.setenv("FAILURE", failure)
    assert demo().main(["fail-with"]) == code
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize("failure", ["other", "module"])
def test_what_is_our_mistake_keeps_its_traceback(monkeypatch, failure: str):
    monkeypatch.setenv("FAILURE", failure)
    with pytest.raises(type(FAILURES[failure])):
        demo().main(["fail-with"])


def test_a_recipe_is_asked_for_and_must_be_for_the_task(tmp_path: Path, capsys):
    assert demo().main(["train"]) == 2
    assert "no recipe was named" in capsys.readouterr().err
    (tmp_path / "r.toml").write_text('task = "other"\n')
    assert demo().main(["train", "--recipe", str(tmp_path / "r.toml")]) == 2
    assert 'this recipe is for the task "other", not "demo"' in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error():
    code = """
        import sys
        from apps.cli import CommandLine
        app = CommandLine("demo", "")
        @app.alone()
        def demo(args):
            for n in range(100_000):
                print(n)
        sys.exit(app.main([]))
        """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("blocked", "environment", "wish", "backend"),
    [
        ((), "", "", "tensorflow"),
        (("tensorflow",), "", "", "jax"),
        (("tensorflow", "jax"), "", "", "torch"),
        ((), "jax", "", "jax"),
        ((), "jax", "tensorflow", "tensorflow"),
    ],
)
def test_the_backend(monkeypatch, blocked: tuple[str, ...], environment: str, wish: str, backend: str):
    # Which ones are installed differs between machines: pretend that all are, less the blocked.
    monkeypatch.setattr(cli, "find_spec", lambda name: name in cli.BACKENDS and name not in blocked)
    monkeypatch.setenv("KERAS_BACKEND", environment)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    assert cli.choose_backend(wish or None) == backend
    assert os.environ["KERAS_BACKEND"] == backend


def test_jax_is_chosen_where_it_has_a_gpu(monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: True)
    monkeypatch.setattr(cli.shutil, "which", lambda name: name)
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    assert cli.choose_backend() == "jax"


def test_a_backend_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"jax is not installed.\n  pip install \"\.\[jax\]\""):
        cli.choose_backend("jax")
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(UserError, match="Known: tensorflow, jax, torch"):
        cli.choose_backend()


def test_a_process_keeps_its_backend(monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(config=SimpleNamespace(backend=lambda: "jax")))
    with pytest.raises(UserError, match="Keras already runs in this process, and not on torch"):
        cli.choose_backend("torch")
    assert cli.choose_backend("jax") == "jax"


def test_zoo_lists_the_files_and_hands_on_to_them(capsys):
    assert "cli" not in cli.tasks()
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out and line in out for name, line in cli.tasks().items())
    assert cli.main(["transalte"]) == 2
    assert 'unknown task "transalte".' in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.tasks())
def test_a_file_names_itself_in_its_help(name: str):
    app = importlib.import_module(f"apps.{name}").app
    assert app.parser.prog in (f"zoo {name}", f"python -m apps.{name}")
