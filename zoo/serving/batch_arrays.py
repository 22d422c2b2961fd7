"""The arrays of a batch: what requests have in common, their rows put together, the answer's rows taken apart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from zoo.serving.json_tensor import Arrays
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError, invalid

_NO_NUMBERS = ("string", "resource", "variant")
_MOST_DIMENSIONS = 6  # of a tensor that Serving pads


class Form(NamedTuple):
    """What a signature declares of an input.

    Attributes:
        tensor: its name in the graph.
        dtype: its data type; object for strings.
        shape: -1 for an open dimension; None where even the rank is open.
    """

    tensor: str
    dtype: np.dtype
    shape: tuple[int, ...] | None

    def takes(self, array: np.ndarray) -> bool:
        """Whether an array is of this form, the first dimension aside."""
        if array.dtype != self.dtype:
            return False
        return self.shape is None or (
            array.ndim == len(self.shape)
            and all(want in (-1, got) for want, got in zip(self.shape[1:], array.shape[1:], strict=True))
        )


def forms(servable: Servable) -> dict[str, dict[str, Form]]:
    """Signature -> input -> form."""
    import tensorflow as tf

    found: dict[str, dict[str, Form]] = {}
    for name, definition in servable.signature_defs().items():
        found[name] = {}
        for alias, info in definition["inputs"].items():
            kind = servable.signatures[name].inputs[alias]
            dtype = object if kind in _NO_NUMBERS else tf.dtypes.as_dtype(kind).as_numpy_dtype
            shape = info["tensor_shape"]
            sizes = None if shape["unknown_rank"] else tuple(int(each["size"]) for each in shape["dim"])
            found[name][alias] = Form(info["name"], np.dtype(dtype), sizes)
    return found


def count_rows(inputs: Arrays) -> int:
    """The size of the first dimension of all inputs.

    Raises: RequestError INVALID_ARGUMENT where there is none in common.
    """
    if not inputs:
        raise invalid("Batching Run() must have at least one input tensor")
    if any(not array.ndim for array in inputs.values()):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    sizes = {len(array) for array in inputs.values()}
    if len(sizes) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def misfits(requests: Sequence[Arrays], forms: Mapping[str, Form], pad: bool) -> list[RequestError | None]:
    """What keeps each request out of a batch with the others, if anything.

    Where shapes differ, those with the most frequent one stay; Serving fails them all.

    Args:
        requests: at least one.
        forms: what the signature declares.
        pad: shapes may differ, but for their number of dimensions.
    """

    def shapes(inputs: Arrays) -> tuple[object, ...]:
        return tuple(inputs[name].ndim if pad else inputs[name].shape[1:] for name in forms)

    each = [shapes(inputs) for inputs in requests]
    usual = Counter(each).most_common(1)[0][0]
    errors: list[RequestError | None] = []
    for own in each:
        differing = (form.tensor for form, a, b in zip(forms.values(), own, usual, strict=True) if a != b)
        tensor = next(differing, None)
        errors.append(_unequal(tensor, pad) if tensor else None)
    if pad:
        kept = [inputs for inputs, error in zip(requests, errors, strict=True) if not error]
        for name in forms:
            room = max(inputs[name][:1].size for inputs in kept)
            for index, inputs in enumerate(requests):
                errors[index] = errors[index] or _unpaddable(inputs[name], room)
    return errors


def merge(requests: Sequence[Arrays], padding: int, pad: bool) -> Arrays:
    """The rows of all requests in one array for each input, and `padding` copies of a row after them.

    Args:
        requests: name -> array, alike as `misfits` has it.
        padding: how many rows to add.
        pad: fill arrays up to the widest with their own first value.
    """
    merged = {}
    for name in requests[0]:
        arrays = [inputs[name] for inputs in requests]
        if pad:
            arrays = _widened(arrays)
        if padding:
            arrays.append(np.repeat(arrays[-1][:1], padding, axis=0))
        merged[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return merged


def split(outputs: Arrays, rows: Sequence[int], padding: int) -> list[Arrays]:
    """The outputs of each request, which has so many `rows` of them; those of the padding are left out.

    Raises: RequestError FAILED_PRECONDITION where an output has no row for each row of the batch.
    """
    for array in outputs.values():
        if not array.ndim:
            raise RequestError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if len(array) != sum(rows) + padding:
            raise RequestError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors",
            )
    bounds = pairwise(accumulate(rows, initial=0))
    return [{name: array[start:stop] for name, array in outputs.items()} for start, stop in bounds]


def join(answers: Sequence[Arrays]) -> Arrays:
    """The outputs of a request that was divided among several batches.

    Raises: RequestError FAILED_PRECONDITION where they are not of one shape. (Serving copies them one after the other
        into the shape of the first, which gives wrong values or worse.)
    """
    for name in answers[0]:
        if len({answer[name].shape[1:] for answer in answers}) > 1:
            raise RequestError(
                Code.FAILED_PRECONDITION,
                f"Output '{name}' has different shapes in the batches that this request was divided into. Ask for "
                "fewer rows at once, or turn enable_large_batch_splitting off.",
            )
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _unequal(tensor: str, pad: bool) -> RequestError:
    text = f"Tensors with name '{tensor}' from different tasks have different "
    if pad:
        return RequestError(Code.FAILED_PRECONDITION, text + "ranks, which padding does not make equal.")
    # Word for word, blanks left out included.
    text += (
        "shapes and padding is turned off.Set pad_variable_length_inputs to true, or ensure that all tensors with the "
        "same namehave equal dimensions starting with the first dim."
    )
    return RequestError(Code.FAILED_PRECONDITION, text)


def _unpaddable(array: np.ndarray, room: int) -> RequestError | None:
    if array.ndim > _MOST_DIMENSIONS:
        return invalid("Only tensors with rank from 1 to 6 can be padded.")
    if room and not array.size:
        return invalid("Got empty tensor in batch of non-empty tensors.")
    return None


def _widened(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    shape = np.max([array.shape[1:] for array in arrays], axis=0)
    widened = []
    for array in arrays:
        if array.shape[1:] != tuple(shape):
            narrow = array
            array = np.empty((len(narrow), *shape), narrow.dtype)
            array[...] = narrow.flat[0]
            array[tuple(map(slice, narrow.shape))] = narrow
        widened.append(array)
    return widened
