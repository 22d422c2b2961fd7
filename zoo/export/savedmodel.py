"""Writing a SavedModel, and asking it in a process that knows nothing of zoo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.export.bundle import Exported
from zoo.tasks.task import Signature

TOLERANCE = 1e-4  # of scores, relative: sums over a text in another order

# What a stock server has: TensorFlow and the ops of TensorFlow Text. Answers go to standard output as JSON.
FRESH = """
import json, sys
import tensorflow as tf
import tensorflow_text
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
name, = served.structured_input_signature[1]
found = served(**{name: tf.constant(json.load(sys.stdin))})
def plain(value):
    return value.decode("utf-8") if isinstance(value, bytes) else value
print(json.dumps({name: [plain(value) for value in tensor.numpy().tolist()] for name, tensor in found.items()}))
"""


def save(exported: Exported, folder: Path) -> None:
    """Writes the SavedModel of a graph."""
    import tensorflow as tf

    functions = {name: function.get_concrete_function() for name, function in exported.functions.items()}
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(exported.module, str(folder), signatures=functions, options=options)


def check_names(promised: Mapping[str, Signature], exported: Exported) -> None:
    """Compares what was built with what the task promises: names, dtypes and ranks, of inputs and outputs.

    Raises: ValueError, since names are frozen and a difference is a mistake of the code.
    """
    for name, function in exported.functions.items():
        concrete = function.get_concrete_function()
        inputs = {key: _kind(spec) for key, spec in _input_specs(concrete).items()}
        outputs = {key: _kind(spec) for key, spec in concrete.structured_outputs.items()}
        for what, built, wanted in (
            ("inputs", inputs, promised[name].inputs),
            ("outputs", outputs, promised[name].outputs),
        ):
            frozen = {key: (text.split()[0], text.count(",") + 1) for key, text in wanted.items()}
            if built != frozen:
                raise ValueError(f"signature {name}: its {what} are {built}, promised are {frozen}.")
    if exported.functions.keys() != promised.keys():
        raise ValueError(f"built are the signatures {sorted(exported.functions)}, promised are {sorted(promised)}.")


def _input_specs(concrete: Any) -> dict[str, Any]:
    positional, named = concrete.structured_input_signature
    return {**{spec.name: spec for spec in positional}, **named}


def _kind(spec: Any) -> tuple[str, int]:
    return spec.dtype.name, len(spec.shape)


def answers_of_fresh_process(folder: Path, texts: Sequence[str]) -> dict[str, list[Any]]:
    """What serving_default answers in a new process with TensorFlow and TensorFlow Text alone.

    Raises: UserError with that process's last words where it fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(folder)],
        input=json.dumps(list(texts)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"the SavedModel does not answer in a fresh process: {done.stderr[-500:]}", where=str(folder))
    return json.loads(done.stdout.splitlines()[-1])


def check_answers(texts: Sequence[str], answers: Mapping[str, list[Any]], expected: Mapping[str, list[Any]]) -> None:
    """Compares the SavedModel's answers with the model's own.

    A text may differ where two hypotheses have the same score to within the tolerance.

    Raises: UserError naming the first input that is answered differently.
    """
    scores = {name: np.array(values) for name, values in expected.items() if isinstance(values[0], float)}
    same_score = np.ones(len(texts), bool)
    for name, values in scores.items():
        same_score &= np.isclose(values, answers[name], rtol=TOLERANCE, atol=TOLERANCE)
    for index, text in enumerate(texts):
        others = [n for n in expected if n not in scores and n != "text" and expected[n][index] != answers[n][index]]
        if others or not same_score[index]:
            ours, its = ({name: values[index] for name, values in each.items()} for each in (expected, answers))
            problem = f"the SavedModel answers {its!r} where the model itself answers {ours!r}"
            raise UserError(problem, where=repr(text[:200]))
