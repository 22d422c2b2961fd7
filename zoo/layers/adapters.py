"""Low-rank adapters: kernels stay as they are and learn through W + A · B (Hu et al., 2021; arXiv 2106.09685).

Keras's own `Dense.enable_lora` does the work. What stands here is which layers of a model have adapters, what else
learns, and the way back to plain weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from zoo.layers.paths import ABOVE

TARGETS = ("query", "key", "value", "output", "inner", "outer")  # the dense layers of a block
A, B = "/lora_kernel_a", "/lora_kernel_b"


def adapt(model: keras.Model, rank: int, targets: Sequence[str] = ("query", "value")) -> None:
    """Gives dense layers in the blocks of a model adapters, which change nothing yet: B begins as zero.

    Afterwards adapters, head and pooler learn, and nothing else does. To be called before an optimizer is built and
    before a checkpoint of an adapted model is restored.

    Args:
        model: a family, built, with its `dropout_seed`, which decides the initial values of A as well.
        rank: of A [in, rank] and B [rank, out]; at least 1.
        targets: which of `TARGETS`.

    Raises: ValueError for a rank or a target that cannot be, or where there are adapters already.
    """
    unknown = [name for name in targets if name not in TARGETS]
    if unknown or not targets:
        raise ValueError(f"Adapters stand on some of {', '.join(TARGETS)}; not on {', '.join(unknown) or 'none'}.")
    if rank < 1:
        raise ValueError(f"The rank of an adapter is at least 1, not {rank}.")
    for variable in model.trainable_variables:
        variable.trainable = bool(ABOVE.search(variable.path))
    initializer = keras.initializers.HeUniform(seed=model.dropout_seed)
    for layer in model._flatten_layers():  # there is no public way to layers at every depth
        if isinstance(layer, keras.layers.Dense) and "/block_" in layer.path and layer.name in targets:
            layer.enable_lora(rank, a_initializer=initializer)


def blank(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The adapters among the arrays, adding nothing: for kernels that hold already what was learned; see `merge`."""
    return {
        name: np.zeros_like(array) if name.endswith(B) else array
        for name, array in arrays.items()
        if name.endswith((A, B))
    }


def merge(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of an adapted model as those of a plain one: each kernel becomes kernel + A · B.

    Args:
        arrays: by path, or by any name that ends like it, as in a checkpoint; without adapters they come back as
            they are.
    """
    plain = {name: array for name, array in arrays.items() if not name.endswith((A, B))}
    for name, a in arrays.items():
        if name.endswith(A):
            layer = name.removesuffix(A)
            kernel = plain[f"{layer}/kernel"]
            added = a.astype(np.float32) @ arrays[layer + B].astype(np.float32)
            plain[f"{layer}/kernel"] = (kernel + added).astype(kernel.dtype)
    return plain
