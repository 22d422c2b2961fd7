"""The habits of the house that no linter knows."""

import ast
import os
import re
from importlib import import_module
from pathlib import Path

import pytest

from apps.cli import tasks
from tests.conftest import ROOT, run_python

SOURCES = sorted(path for folder in ("zoo", "apps", "tests") for path in (ROOT / folder).rglob("*.py"))
WRITTEN = [
    path
    for pattern in (
        "*.md",
        "*.toml",
        "*.txt",
        "Makefile",
        "docs/**/*",
        ".github/**/*",
        ".ci/*",
        "zoo/**/*",
        "apps/**/*",
    )
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix not in (".pyc", ".png")
]
LONGEST_FILE, LONGEST_FUNCTION, SLOWEST_START = 400, 60, 0.5
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|Users|work|mnt|tmp)/\w+")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_are_short(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE, "look for the second thing that this file is about"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{node.name} is too long"


def test_no_file_names_a_path_of_some_machine():
    found = {name(path): MACHINE_PATH.findall(path.read_text(encoding="utf-8", errors="replace")) for path in WRITTEN}
    assert {path: paths for path, paths in found.items() if paths} == {}


FREE_OF_KERAS = """
heavy = {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
assert not heavy, heavy
"""
HELP = """
import contextlib, io, sys
from importlib import import_module
main = import_module(sys.argv[1]).main
for command in ([], *([each] for each in sys.argv[2:])):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as shown:
        main([*command, "--help"])
    assert "usage:" in shown.getvalue()
"""


def seconds(code: str, *arguments: str) -> float:
    """Processor time that a fresh Python takes for the code: other work on the machine does not add to it."""
    before = os.times()
    run_python(code, *arguments)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_importing_zoo_is_fast_and_loads_no_keras():
    assert seconds("import sys, zoo" + FREE_OF_KERAS) < SLOWEST_START


@pytest.mark.parametrize("module", ["apps.cli", *(f"apps.{task}" for task in tasks())])
def test_every_help_is_fast_and_loads_no_keras(module: str):
    app = getattr(import_module(module), "app", None)
    assert seconds(HELP + FREE_OF_KERAS, module, *(app.commands if app else ())) < SLOWEST_START
