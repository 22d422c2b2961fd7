"""Writing a SavedModel, and asking it in a process that knows nothing of zoo."""

from __future__ import annotations

import base64
import json
import math
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.export.audit import Report
from zoo.export.bundle import Exported
from zoo.tasks.task import Signature

TOLERANCE = 1e-4  # of numbers: sums in another order
TIES = 0.05  # share of rows that may get another answer that is as good

# What a stock server has: TensorFlow and the ops of TensorFlow Text. It answers a batch, then its first rows alone, and
# every signature once with two rows. Answers go to standard output as JSON; bytes come and go as {"b64": …}.
FRESH = """
import base64, json, sys
import tensorflow as tf
import tensorflow_text
asked = json.load(sys.stdin)
served = tf.saved_model.load(asked["folder"])
def plain(name, value):
    if isinstance(value, list):
        return [plain(name, each) for each in value]
    if not isinstance(value, bytes):
        return value
    return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode("utf-8")
def given(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value
def answer(signature, first, last):
    inputs = {name: [given(each) for each in values[first:last]] for name, values in asked["inputs"][signature].items()}
    outputs = served.signatures[signature](**{name: tf.constant(values) for name, values in inputs.items()})
    return {name: plain(name, value.numpy().tolist()) for name, value in outputs.items()}
together = answer(asked["asked"], 0, None)
alone = [answer(asked["asked"], row, row + 1) for row in range(asked["alone"])]
rows = {name: [len(value) for value in answer(name, 0, 2).values()] for name in served.signatures}
print(json.dumps({"together": together, "alone": alone, "rows": rows}))
"""


def save(exported: Exported, folder: Path) -> None:
    """Writes the SavedModel of a graph."""
    import tensorflow as tf

    # The functions, not get_concrete_function() of them, which would be traced and stored a second time.
    tf.saved_model.save(exported.module, str(folder), signatures=dict(exported.functions))


def check_audit(folder: Path, report: Report) -> None:
    """Holds a SavedModel to what the audit asks of all, and to what this house asks of its own.

    Those are: no large constants, no files beside the variables, and inputs that are raw values, one for each row.

    Raises: UserError naming the first thing that is wrong.
    """
    for finding in report.findings:
        if finding in report.errors or finding.rule == "constant":
            raise UserError(f"{finding.what} ({finding.where})", where=str(folder), remedy=finding.as_json()["remedy"])
    for name, signature in report.signatures.items():
        for key, kind in signature["inputs"].items():
            if not kind.endswith("[?]"):
                raise UserError(f"the input {key} of {name} is {kind}, not one value for each row", where=str(folder))
    if assets := [path.name for path in (folder / "assets").glob("*")]:
        raise UserError(f"it reads files of its own: {', '.join(assets)}", where=str(folder / "assets"))


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


def try_in_fresh_process(
    folder: Path, asked: str, inputs: Mapping[str, Mapping[str, Sequence[Any]]], alone: int
) -> dict[str, Any]:
    """What a new process with TensorFlow and TensorFlow Text alone gets from the SavedModel.

    Args:
        asked: the signature whose answers are wanted.
        inputs: of every signature, at least two rows.
        alone: how many of the rows are asked again, each in a batch of its own.
    Returns: "together", the outputs of the signature asked for all rows; "alone", a list of such; "rows", how many rows
        each output of each signature had for two rows.
    Raises: UserError with that process's last words where it fails.
    """
    plain = {
        signature: {name: [_in_json(value) for value in values] for name, values in each.items()}
        for signature, each in inputs.items()
    }
    rows = min(map(len, inputs[asked].values()))
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        input=json.dumps({"folder": str(folder), "asked": asked, "inputs": plain, "alone": min(alone, rows)}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"the SavedModel does not answer in a fresh process: {done.stderr[-500:]}", where=str(folder))
    return json.loads(done.stdout.splitlines()[-1])


def _in_json(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def check_answers(
    raws: Sequence[Any],
    answers: Mapping[str, list[Any]],
    expected: Mapping[str, list[Any]],
    close: Collection[str] = (),
) -> None:
    """Compares the SavedModel's answers with the model's own.

    Numbers must be the same to within the tolerance, all else exactly, but for a few rows: where two answers are as
    good, rounding decides.

    Args:
        close: the outputs of which that is true.
    Raises: UserError naming the first input that is answered differently.
    """
    ties = TIES * len(raws)
    for index, raw in enumerate(raws):
        ours, theirs = ({name: values[index] for name, values in each.items()} for each in (answers, expected))
        other = {name for name, value in theirs.items() if not _alike(ours[name], value)}
        ties -= bool(other)
        if other and (not other <= set(close) or ties < 0):
            raise UserError(
                f"the SavedModel answers {ours!r} where the model itself answers {theirs!r}", where=repr(raw)[:200]
            )


def check_rows(together: Mapping[str, list[Any]], alone: Sequence[Mapping[str, list[Any]]]) -> None:
    """Rows answered in one batch against the same rows answered each on its own.

    Raises: UserError where strangers in a batch would change an answer.
    """
    for number, row in enumerate(alone):
        for name, (value,) in row.items():
            if not _alike(together[name][number], value):
                problem = (
                    f"row {number} has another {name} in a batch than alone: {together[name][number]!r}, {value!r}"
                )
                raise UserError(problem)


def _alike(a: Any, b: Any) -> bool:
    """Lists are compared as far as the shorter goes: what a wider batch pads is not to be trusted."""
    if isinstance(a, list) and isinstance(b, list):
        return all(map(_alike, a, b))
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) if isinstance(b, float) else bool(a == b)
