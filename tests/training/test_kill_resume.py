"""A training that is killed at any moment ends as one that never was; the command line, real processes, SIGKILL."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from zoo.training.checkpoints import Checkpoints

STEPS, EVERY = 24, 3
RECIPE = """
task = "translate"

[data]
train = {{ source = "{folder}/train.en", target = "{folder}/train.de" }}
validation_share = 0.1

[preprocessing]
vocabulary = 45
byte_fallback = false

[model]
preset = "debug"
width = 16
feedforward = 32
encoder_layers = 1
decoder_layers = 1

[training]
steps = {steps}
evaluate_every = {every}
warmup = 4
budget = 256
accumulate = 2
clip_norm = 1.0
average_decay = 0.9
keep = 2
samples = 0
deterministic = true
"""
# On JAX TensorFlow is as good as not installed.
START = """
import sys
if sys.argv.pop(1) == "jax":
    sys.modules.update(dict.fromkeys(("tensorflow", "tensorflow_text")))
from apps.translate import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    rng, words = random.Random(0), "abcdefghij"
    # Sides of one length: every shape of the batches costs JAX seconds of compiling.
    rows = [" ".join(rng.choices(words, k=6)) for _ in range(300)]
    (folder / "train.en").write_text("".join(f"{row}\n" for row in rows))
    (folder / "train.de").write_text("".join(f"{row.upper()}\n" for row in rows))
    path = folder / "tiny.toml"
    path.write_text(RECIPE.format(folder=folder, steps=STEPS, every=EVERY))
    return path


class Training:
    """One process of `zoo translate train` in a run folder."""

    def __init__(self, recipe: Path, folder: Path, backend: str) -> None:
        self.checkpoints = folder / "checkpoints"
        self.log = folder.with_suffix(".txt")
        threads = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
        cache = {"ZOO_CACHE": str(recipe.parent / "cache"), "JAX_COMPILATION_CACHE_DIR": str(recipe.parent / "jax")}
        command = ["train", "--recipe", str(recipe), "--run", str(folder), "--backend", backend, "--quiet"]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, backend, *command],
                cwd=ROOT,
                env={**os.environ, **threads, **cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
                stdout=log,
                stderr=log,
            )

    def finish(self) -> None:
        assert self.process.wait(timeout=300) == 0, self.log.read_text()

    def kill_at(self, step: int, writing: bool, delay: float) -> None:
        """SIGKILL, as soon as the checkpoint of `step` is being written, or a while after it is there."""
        ending = ".tmp" if writing else ".safetensors"
        while not any(self._step(path) >= step for path in self.checkpoints.glob(f"step-*{ending}")):
            assert self.process.poll() is None, f"ended before update {step}\n{self.log.read_text()}"
            time.sleep(0.0005)
        time.sleep(0 if writing else delay)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @staticmethod
    def _step(path: Path) -> int:
        return int(path.name.split(".")[0].removeprefix("step-"))


def end(folder: Path) -> tuple[dict[str, np.ndarray], list[float]]:
    arrays, meta = Checkpoints(folder / "checkpoints").latest()
    assert meta["step"] == STEPS
    return arrays, meta["history"]


@pytest.mark.parametrize(
    ("backend", "kills"),
    [
        ("tensorflow", 2),
        ("jax", 1),
        pytest.param("tensorflow", 20, marks=pytest.mark.slow),
        pytest.param("jax", 20, marks=pytest.mark.slow),
    ],
)
def test_killed_and_started_again_it_ends_with_the_same_weights(
    backend: str, kills: int, recipe: Path, tmp_path: Path
) -> None:
    whole = Training(recipe, tmp_path / "whole", backend)  # beside the others, on the second core
    rng = random.Random()
    for number in range(kills):
        step = max(EVERY, round(number * STEPS / kills / EVERY) * EVERY)
        writing = number % 2 == 0
        Training(recipe, tmp_path / "killed", backend).kill_at(min(step, STEPS - EVERY), writing, rng.random() * 0.1)
    Training(recipe, tmp_path / "killed", backend).finish()
    whole.finish()
    (expected, history), (arrays, other_history) = end(tmp_path / "whole"), end(tmp_path / "killed")
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert other_history == history
