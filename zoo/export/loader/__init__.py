"""A SavedModel without Python: the C++ program beside this file, built on demand, loads one as the real server does.

`LoadSavedModel` is the entry that TensorFlow Serving calls; headers and libraries are those of the installed wheel.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from zoo.errors import UserError
from zoo.progress import say

SOURCE = Path(__file__).with_name("loader.cc")


class Replay(NamedTuple):
    """What the program did.

    Attributes:
        answers: for each request that was answered, name of an output -> array; strings are bytes.
        error: of the load or of the request after those; "" where all went well.
        milliseconds: of the load, then of each request.
    """

    answers: list[dict[str, np.ndarray]]
    error: str
    milliseconds: list[float]


def compiler() -> str | None:
    """The C++ compiler's command: $CXX, else the first of c++, g++ and clang++ that is installed; None without one."""
    named = os.environ.get("CXX")
    return named or next((each for each in ("c++", "g++", "clang++") if shutil.which(each)), None)


def build() -> Path:
    """The program, compiled if that has not been done for this TensorFlow; it takes under a minute, once.

    It is kept in $ZOO_CACHE/loader (~/.cache/zoo/loader where that is unset), by TensorFlow's version and place.
    Raises: UserError where no compiler is installed, or it fails.
    """
    import tensorflow as tf

    command = compiler()
    if command is None or not shutil.which(shlex.split(command)[0]):
        remedy = "Install g++ (apt-get install g++), or name a compiler by CXX; or leave this check out: --no-run."
        raise UserError("no C++ compiler is installed, to build the loader without Python", remedy=remedy)
    libraries = _libraries(Path(tf.sysconfig.get_lib()))
    arguments = [
        *shlex.split(command),
        *(flag.replace("-I", "-isystem", 1) for flag in tf.sysconfig.get_compile_flags()),
        "-w",  # the headers' own
        str(SOURCE),
        *(["-Wl,--no-as-needed"] if sys.platform == "linux" else []),  # what registers ops and kernels is never called
        *map(str, libraries),
        f"-Wl,-rpath,{tf.sysconfig.get_lib()}",
    ]
    key = hashlib.sha256(" ".join([tf.__version__, *arguments]).encode() + SOURCE.read_bytes()).hexdigest()[:16]
    program = Path(os.environ.get("ZOO_CACHE") or "~/.cache/zoo").expanduser() / "loader" / key / "loader"
    if program.is_file():
        return program
    say("compiling the loader without Python, once for this TensorFlow")
    program.parent.mkdir(parents=True, exist_ok=True)
    draft = program.with_name(f".{os.getpid()}.partial")
    done = subprocess.run([*arguments, "-o", str(draft)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{command} failed: {done.stderr[-1000:]}", where=str(SOURCE))
    draft.replace(program)
    return program


def replay(folder: Path, requests: Path | None = None) -> Replay:
    """Loads a SavedModel in the C++ program and asks it, on the processor alone.

    Args:
        folder: the version's folder.
        requests: a TFRecord of PredictionLog, such as a warm-up file; None only loads.
    Raises: UserError where the program cannot be built or dies.
    """
    program = build()
    with TemporaryDirectory() as scratch:
        answers = Path(scratch) / "answers"
        done = subprocess.run(
            [str(program), str(folder), str(requests or ""), str(answers), *map(str, text_libraries())],
            capture_output=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
            check=False,
        )
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        if done.returncode not in (0, 1):
            last = done.stderr.decode("utf-8", "replace")[-1000:]
            raise UserError(f"the loader without Python died, exit code {done.returncode}: {last}", where=str(folder))
        told: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
        return Replay(
            _answers(answers) if answers.exists() else [],
            next((each["error"] for each in told if each["error"]), ""),
            [each["milliseconds"] for each in told if "opened" not in each],
        )


def text_libraries() -> list[Path]:
    """The libraries that hold the ops of TensorFlow Text."""
    import tensorflow_text

    return sorted((Path(tensorflow_text.__file__).parent / "python" / "ops").glob("*.so"))


def _libraries(folder: Path) -> list[Path]:
    """TensorFlow's own: libtensorflow_cc.so.2, or libtensorflow_cc.2.dylib, and the framework under it."""
    found = [next(iter(sorted(folder.glob(f"libtensorflow_{part}.*"))), None) for part in ("cc", "framework")]
    if None in found:
        raise UserError("this TensorFlow brings no C++ library", where=str(folder))
    return [each for each in found if each]


def _answers(path: Path) -> list[dict[str, np.ndarray]]:
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    responses = map(PredictResponse.FromString, tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    return [{name: tf.make_ndarray(value) for name, value in each.outputs.items()} for each in responses]
