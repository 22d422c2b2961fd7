"""The ops that a stock TensorFlow Serving knows: those of TensorFlow and TensorFlow Text, listed beside this file.

The list is committed, since the process that audits may have others: a newer TensorFlow, a library of custom ops.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("stock_ops.txt")
SERVER = "2.20.0"  # the newest stock server, and the wheels from which the list was made


@cache
def stock_ops() -> frozenset[str]:
    """The names of all ops of the stock server."""
    return frozenset(line for line in FILE.read_text(encoding="ascii").splitlines() if not line.startswith("#"))


def registered_ops() -> set[str]:
    """The names of all ops that this process knows; `python -m zoo.export.stock_ops > FILE` makes the list anew."""
    import tensorflow_text  # noqa: F401  (registers its ops)
    from tensorflow.core.framework.op_def_pb2 import OpList
    from tensorflow.python.client import pywrap_tf_session

    ops = OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return {op.name for op in ops.op}


if __name__ == "__main__":
    print(f"# Ops of TensorFlow and TensorFlow Text {SERVER}, made by zoo/export/stock_ops.py")
    print("\n".join(sorted(registered_ops())))
