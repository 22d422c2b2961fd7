"""The audit of a SavedModel's signatures: what JSON can carry, and whether the batch comes first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo.export.audit_rules import Finding

# What the REST API of TensorFlow Serving converts (util/json_tensor.cc); the rest is UNIMPLEMENTED.
CARRIED = {
    f"DT_{name}"
    for name in (
        "FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT32", "UINT64", "BOOL", "STRING"
    )
}  # fmt: skip


def signatures(meta_graph: Any) -> dict[str, Any]:
    """Name -> SignatureDef, for those that requests can ask for."""
    return {name: each for name, each in sorted(meta_graph.signature_def.items()) if not name.startswith("__")}


def findings(meta_graph: Any) -> Iterator[Finding]:
    """What the signatures have against being served."""
    found = signatures(meta_graph)
    if not found:
        yield Finding("signature", "it has no signature", "signature_def")
    for name, signature in found.items():
        if not signature.outputs:
            yield Finding("signature", "it answers nothing", f"signature {name}")
        for side, infos in (("input", signature.inputs), ("output", signature.outputs)):
            for key, info in sorted(infos.items()):
                yield from _findings_of_tensor(info, f"signature {name}, {side} {key}")


def described(meta_graph: Any) -> dict[str, dict[str, dict[str, str]]]:
    """Signature -> "inputs" and "outputs" -> name -> dtype and dimensions, such as "string [?]"."""
    return {
        name: {
            "inputs": {key: _kind(info) for key, info in sorted(each.inputs.items())},
            "outputs": {key: _kind(info) for key, info in sorted(each.outputs.items())},
        }
        for name, each in signatures(meta_graph).items()
    }


def _findings_of_tensor(info: Any, where: str) -> Iterator[Finding]:
    if info.WhichOneof("encoding") != "name":
        yield Finding("json", "it is sparse or ragged", where)
        return
    if (dtype := _dtype(info)) not in CARRIED:
        yield Finding("json", f"its dtype is {dtype.removeprefix('DT_').lower()}", where)
    if info.tensor_shape.unknown_rank:
        yield Finding("batch", "its rank is not known", where)
    elif not info.tensor_shape.dim:
        yield Finding("batch", "it is a scalar", where)
    elif info.tensor_shape.dim[0].size != -1:
        yield Finding("batch", f"its first dimension is {info.tensor_shape.dim[0].size}", where)


def _dtype(info: Any) -> str:
    from tensorflow.core.framework.types_pb2 import DataType

    return DataType.Name(info.dtype)


def _kind(info: Any) -> str:
    dims = ", ".join("?" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim)
    return f"{_dtype(info).removeprefix('DT_').lower()} [{'…' if info.tensor_shape.unknown_rank else dims}]"
