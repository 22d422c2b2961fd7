"""One tiny run and its export, shared by all tests of the export."""

from pathlib import Path

import numpy as np
import pytest

from apps.commands.export import export_run
from zoo import recipe as recipes
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.tasks.translate import Translate
from zoo.train import train

WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs"}


def tiny_recipe(folder: Path) -> Recipe:
    """A recipe for a few updates on number words, which are written into the folder."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(list(WORDS), rng.integers(1, 6)) for _ in range(120)]
    for name, words in (("en", lambda w: w), ("de", WORDS.get)):
        text = "".join(" ".join(words(w) for w in row) + "\n" for row in rows)
        (folder / f"a.{name}").write_text(text, encoding="utf-8")
    files = {"source": str(folder / "a.en"), "target": str(folder / "a.de")}
    tables = {
        "data": {"train": files, "test": files, "validation_share": 0.1},
        "preprocessing": {"vocabulary": 300},
        "model": {"preset": "debug", "norm": "pre"},
        "training": {"steps": 60, "warmup": 10, "budget": 512, "peak_rate": 5e-3, "evaluate_every": 60, "samples": 0},
        "decoding": {"beam": 3},
        "export": {"max_source": 32, "source_language": "en", "target_language": "de"},
    }
    return recipes.made("translate", "tiny", "A recipe for tests.", tables, Translate.schema())


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run by `tiny_recipe`."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(folder / "cache"))
        train(Run(folder / "run", tiny_recipe(folder)))
    return Run.open(folder / "run")


@pytest.fixture(scope="session")
def home(run, tmp_path_factory):
    """Its model home with version 1."""
    folder = tmp_path_factory.mktemp("homes") / "tiny"
    assert export_run(run, folder) == folder / "1"
    return folder
