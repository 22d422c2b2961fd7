"""A training that is killed at any moment ends as one that never was; the command line, real processes, SIGKILL."""

import contextlib
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

EVERY = 4  # updates between two checkpoints
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
clip_norm = 1.0
average_decay = 0.9
keep = 2
samples = 0
deterministic = true
"""
# Imports what a training imports, once, and forks at each line of standard input: a process with the arguments of the
# line runs `zoo translate`. No thread has been started when it forks. On JAX, TensorFlow is as good as not installed.
SERVER = """
import os, sys

if sys.argv[1] == "jax":
    sys.modules.update(dict.fromkeys(("tensorflow", "tensorflow_text")))
import apps.commands.translate, zoo.models.seq2seq, zoo.train, zoo.training.devices
from apps.translate import main

zoo.training.devices._backend()
for line in sys.stdin:
    arguments = line.split()
    if arguments[0] == "wait":
        print(os.waitstatus_to_exitcode(os.waitpid(int(arguments[1]), 0)[1]), flush=True)
        continue
    child = os.fork()
    if not child:
        sys.stdout, code = sys.stderr, 1
        try:
            code = main(arguments)
        finally:
            os._exit(code)
    print(child, flush=True)
"""


def write_recipe(folder: Path, steps: int) -> Path:
    rng, words = random.Random(0), "abcdefghij"
    # Sides of one length: every shape of the batches costs JAX seconds of compiling.
    rows = [" ".join(rng.choices(words, k=6)) for _ in range(300)]
    (folder / "train.en").write_text("".join(f"{row}\n" for row in rows))
    (folder / "train.de").write_text("".join(f"{row.upper()}\n" for row in rows))
    path = folder / "tiny.toml"
    path.write_text(RECIPE.format(folder=folder, steps=steps, every=EVERY))
    return path


class Trainings:
    """Processes of `zoo translate train`, with one recipe and one backend."""

    def __init__(self, recipe: Path, backend: str, log: Path) -> None:
        self.recipe, self.backend, self.log = recipe, backend, log
        threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        compiled = {"JAX_COMPILATION_CACHE_DIR": str(log.parent), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        environment = {"ZOO_CACHE": str(log.parent), **dict.fromkeys(threads, "1"), **compiled}
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, backend],
            cwd=ROOT,
            env={**os.environ, **environment, "KERAS_BACKEND": backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def start(self, folder: Path) -> int:
        """Starts one in a run folder and returns its process id."""
        return self._ask(f"train --recipe {self.recipe} --run {folder} --backend {self.backend} --quiet")

    def finish(self, process: int) -> None:
        assert self._ask(f"wait {process}") == 0, self.log.read_text()

    def kill(self, process: int, folder: Path, checkpoints: int, writing: bool, delay: float) -> None:
        """SIGKILL, as soon as it writes its checkpoint of this number, or some seconds after it wrote that."""
        step = _steps(folder, "safetensors") + checkpoints * EVERY
        deadline = time.monotonic() + 200
        while _steps(folder, "tmp" if writing else "safetensors") < step:
            assert time.monotonic() < deadline, f"never came to update {step}\n{self.log.read_text()}"
            time.sleep(0.001)
        time.sleep(0 if writing else delay)
        os.kill(process, signal.SIGKILL)
        assert self._ask(f"wait {process}") == -signal.SIGKILL, "it had ended before it was killed"

    def _ask(self, line: str) -> int:
        self.server.stdin.write(f"{line}\n")
        self.server.stdin.flush()
        answer = self.server.stdout.readline()
        assert answer, self.log.read_text()
        return int(answer)


def _steps(folder: Path, ending: str) -> int:
    """The updates of the newest checkpoint in a run folder; 0: there is none."""
    with contextlib.suppress(FileNotFoundError):
        names = (name for name in os.listdir(folder / "checkpoints") if name.endswith(ending))
        return max((int(name.split(".")[0].removeprefix("step-")) for name in names), default=0)
    return 0


def end(folder: Path, steps: int) -> tuple[dict[str, np.ndarray], list[float]]:
    arrays, meta = Checkpoints(folder / "checkpoints").latest()
    assert meta["step"] == steps
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
def test_killed_and_started_again_it_ends_with_the_same_weights(backend: str, kills: int, tmp_path: Path) -> None:
    steps = (2 * kills + 2) * EVERY  # more than two checkpoints a process, so that each is killed before the end
    trainings = Trainings(write_recipe(tmp_path, steps), backend, tmp_path / "log.txt")
    never, killed = tmp_path / "never", tmp_path / "killed"
    beside = trainings.start(never)
    rng = random.Random()
    for number in range(kills):
        writing = number % 2 == 0
        checkpoints = 1 if number < 2 else rng.randint(int(writing), 2)
        trainings.kill(trainings.start(killed), killed, checkpoints, writing, rng.random() * 0.2)
    trainings.finish(trainings.start(killed))
    trainings.finish(beside)
    trainings.server.communicate()
    (expected, history), (arrays, other_history) = end(never, steps), end(killed, steps)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert other_history == history
