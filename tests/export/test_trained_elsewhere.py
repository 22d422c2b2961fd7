"""Training where TensorFlow is not installed, export where it is."""

import json

import numpy as np
import pytest

import zoo
from apps.commands.export import export_run
from tests.conftest import run_python
from tests.export.conftest import tiny_recipe
from zoo import recipe as recipes
from zoo.run import Run

TEXTS = ["one two", "six five four three", "three"]

TRAIN = """
    import json, sys
    from apps.translate import app
    recipe, folder, *texts = sys.argv[1:]
    assert app.main(["train", "--recipe", recipe, "--run", folder, "--quiet"]) == 0
    from zoo.run import Run
    run = Run.open(folder)
    answers = run.task.predict_n_best(run.model(), texts)
    print(json.dumps([[best, [float(score) for score in scores]] for best, scores in answers]))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_an_export_answers_as_the_backend_that_trained(backend, tmp_path, monkeypatch):
    pytest.importorskip(backend)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    recipes.write(tiny_recipe(tmp_path), tmp_path / "tiny.toml")
    arguments = (str(tmp_path / "tiny.toml"), str(tmp_path / "run"), *TEXTS)
    printed = run_python(TRAIN, *arguments, backend=backend, blocked=["tensorflow"], timeout=600)
    expected = json.loads(printed.splitlines()[-1])

    home = tmp_path / "home"
    export_run(Run.open(tmp_path / "run"), home)
    rows = list(zoo.load(home).rows("n_best", TEXTS))
    for (texts, scores), row in zip(expected, rows, strict=True):
        count = min(len(texts), len(row["texts"]))
        assert list(row["texts"])[:count] == texts[:count]
        np.testing.assert_allclose(list(row["scores"])[:count], scores[:count], rtol=1e-4)
