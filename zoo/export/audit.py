"""A look at a SavedModel with the eyes of the operator of a stock TensorFlow Serving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
COMPILED = ("_XlaMustCompile", "_XlaCompile")  # attributes of what a server without XLA refuses to run
LARGEST_CONSTANT = 1 << 20  # bytes: weights are variables, which are stored once and can be shared


def audit(folder: Path) -> dict[str, Any]:
    """Checks the graphs of a SavedModel; returns the verdict for signatures.json and the card.

    Raises: UserError naming what a stock TensorFlow Serving does not have, or must not run.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers its ops)
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    found: Counter[str] = Counter()
    for node in _nodes(model):
        found[node.op] += 1
        if problem := _problem_of_node(node):
            raise UserError(f"the op {node.op} ({node.name}) {problem}", where=str(folder))
    for graph in model.meta_graphs:
        for function in graph.graph_def.library.function:
            if any(function.attr[name].b for name in COMPILED if name in function.attr):
                raise UserError(f"the function {function.signature.name} needs XLA", where=str(folder))
        for name, signature in graph.signature_def.items():
            if not name.startswith("__") and (problem := _problem_of_signature(signature)):
                raise UserError(f"signature {name}: {problem}", where=str(folder))
    assets = [path.name for path in (folder / "assets").glob("*")]
    if assets:
        raise UserError(f"it reads files of its own: {', '.join(assets)}", where=str(folder / "assets"))
    return {"ops": len(found), "tensorflow": tf.__version__, "verdict": "stock TensorFlow and TensorFlow Text ops only"}


def _nodes(model: Any) -> Iterator[Any]:
    for graph in model.meta_graphs:
        yield from graph.graph_def.node
        for function in graph.graph_def.library.function:
            yield from function.node_def


def _problem_of_node(node: Any) -> str:
    from tensorflow.python.framework import op_def_registry

    if op_def_registry.get(node.op) is None:
        return "is not one of TensorFlow or TensorFlow Text"
    if node.op == "Const" and node.attr["value"].tensor.ByteSize() > LARGEST_CONSTANT:
        return "holds weights, which should be variables"
    return FORBIDDEN.get(node.op, "")


def _problem_of_signature(signature: Any) -> str:
    """The batch comes first, in inputs of rank 1 and in all outputs, and may have any size."""
    for name, info in signature.inputs.items():
        if [dim.size for dim in info.tensor_shape.dim] != [-1]:
            return f"its input {name} is not one open dimension"
    for name, info in signature.outputs.items():
        dims = info.tensor_shape.dim
        if not dims or dims[0].size != -1:
            return f"the first dimension of its output {name} is not open"
    return ""
