"""Runs: a folder belongs to one recipe; training goes on where it stopped; weights that exist are gone on from."""

import json

import numpy as np
import pytest

from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.run import Run, Start, only_one
from zoo.tasks.translate import Translate
from zoo.train import train

WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = [rng.choice(list(WORDS), rng.integers(1, 6)) for _ in range(120)]
    (folder / "a.en").write_text("".join(" ".join(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "a.de").write_text("".join(" ".join(WORDS[w] for w in row) + "\n" for row in rows), encoding="utf-8")
    return {"source": str(folder / "a.en"), "target": str(folder / "a.de")}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def made(files, **training):
    tables = {
        "data": {"train": files, "validation_share": 0.1},
        "preprocessing": {"vocabulary": 300},
        "model": {"preset": "debug", "width": 16, "feedforward": 16, "encoder_layers": 1, "decoder_layers": 1},
        "training": {"steps": 8, "warmup": 2, "budget": 256, "evaluate_every": 4, "samples": 1, **training},
        "decoding": {"beam": 1},
        "export": {"max_source": 32},
    }
    return recipes.made("translate", "tiny", "", tables, Translate.schema())


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        train(Run(folder, made(files)))
    return folder


def test_a_run_is_whole(trained):
    assert {path.name for path in trained.iterdir()} >= {
        "recipe.toml", "environment.json", "preprocessor", "checkpoints", "log.csv", "samples.txt", "curve.png"
    }  # fmt: skip
    log = Run.open(trained)
    rows = (trained / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "4", "8"]
    assert json.loads((trained / "environment.json").read_text())["keras"]
    assert len(log.task.predict(log.model(), ["one two", ""])) == 2


def test_a_finished_run_is_not_trained_again(trained, files):
    before = (trained / "log.csv").read_text()
    assert train(Run(trained, made(files))) == {}
    assert (trained / "log.csv").read_text() == before


def test_a_folder_belongs_to_one_recipe(trained, files, tmp_path):
    with pytest.raises(UserError, match=r"training\.peak_rate is 0\.001, here 0\.01"):
        train(Run(trained, made(files, peak_rate=0.01)))
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(UserError, match="holds no run"):
        train(Run(tmp_path, made(files)))


def test_one_process_at_a_time(trained):
    with only_one(trained), pytest.raises(UserError, match="another process"), only_one(trained):
        pass


def test_an_interrupted_training_ends_as_one_that_was_not(trained, files, tmp_path):
    class Stop:
        """A callback that presses Ctrl-C in the fifth update, once."""

        def __new__(cls):
            import keras

            class Callback(keras.callbacks.Callback):
                def on_train_batch_end(self, batch, logs=None):
                    if batch == 4:
                        raise KeyboardInterrupt

            return Callback()

    run = Run(tmp_path / "run", made(files, deterministic=True))
    with pytest.raises(KeyboardInterrupt):
        train(run, callbacks=[Stop()])
    assert run.checkpoints.latest()[1]["step"] == 5
    train(Run(run.folder, run.recipe))
    resumed = Run.open(run.folder).weights("last")
    whole = Run(tmp_path / "whole", made(files, deterministic=True))
    train(whole)
    expected = whole.weights("last")
    assert resumed.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)


def test_going_on_from_weights_that_exist(trained, files, tmp_path):
    start = Start.of(Run.open(trained))
    run = Run(tmp_path / "more", made(files, steps=4, peak_rate=0.0))
    train(run, start_from=start)
    for name, array in run.weights("last").items():
        if name in start.weights and "seed" not in name and name.startswith("model/"):
            np.testing.assert_array_equal(start.weights[name], array, err_msg=name)
    assert run.task.preprocessors["source"].fingerprint == start.preprocessors["source"].fingerprint


def test_a_vocabulary_too_large_is_said_before_any_work(files, tmp_path):
    recipe = made(files)
    recipe = recipes.made(
        "translate", "large", "", {"data": {"train": files}, "preprocessing": {"vocabulary": 5000}}, Translate.schema()
    )
    with pytest.raises(UserError, match="vocabulary"):
        train(Run(tmp_path / "large", recipe))
