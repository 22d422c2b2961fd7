"""A look at a SavedModel with the eyes of the operator of a stock TensorFlow Serving."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError

# Ops that a server must not be asked to run, and why.
FORBIDDEN = {
    "PyFunc": "calls Python",
    "PyFuncStateless": "calls Python",
    "EagerPyFunc": "calls Python",
    "ReadFile": "reads files",
    "WriteFile": "writes files",
    "MatchingFiles": "reads files",
    "XlaCallModule": "needs XLA",
    "XlaLaunch": "needs XLA",
    "MutableHashTableV2": "grows with traffic",
    "MutableHashTableOfTensorsV2": "grows with traffic",
    "MutableDenseHashTableV2": "grows with traffic",
}


def operations(folder: Path) -> Counter[str]:
    """The ops of all graphs and functions of a SavedModel, counted."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    found: Counter[str] = Counter()
    for graph in model.meta_graphs:
        found.update(node.op for node in graph.graph_def.node)
        for function in graph.graph_def.library.function:
            found.update(node.op for node in function.node_def)
    return found


def audit(folder: Path) -> dict[str, Any]:
    """Checks the ops of a SavedModel; returns the verdict for signatures.json and the card.

    Raises: UserError naming an op that stock TensorFlow with TensorFlow Text does not have, or must not run.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers its ops)
    from tensorflow.python.framework import op_def_registry

    found = operations(folder)
    functions = {name for name in found if op_def_registry.get(name) is None}
    called = {function.signature.name for function in _functions(folder)}
    for name in sorted(functions - called):
        raise UserError(f"the op {name} is not one of TensorFlow or TensorFlow Text", where=str(folder))
    for name, why in FORBIDDEN.items():
        if name in found:
            raise UserError(f"the op {name} {why}", where=str(folder))
    return {"ops": len(found), "tensorflow": tf.__version__, "verdict": "stock TensorFlow and TensorFlow Text ops only"}


def _functions(folder: Path) -> list[Any]:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return [function for graph in model.meta_graphs for function in graph.graph_def.library.function]


def check_rows(together: list[dict[str, Any]], alone: list[dict[str, Any]]) -> None:
    """Rows answered in one batch against the same rows answered each on its own.

    Raises: UserError where strangers in a batch would change an answer.
    """
    for number, (a, b) in enumerate(zip(together, alone, strict=True)):
        for name, value in a.items():
            same = np.allclose(value, b[name], rtol=1e-4, atol=1e-4) if isinstance(value, float) else value == b[name]
            if not same:
                raise UserError(f"row {number} has another {name} in a batch than alone: {value!r}, {b[name]!r}")
