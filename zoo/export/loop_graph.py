"""Loops of the graph: one that calls a function in each step, and one that rows leave when they are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import NameAttrList

# The runtime's name for the executor that runs one operation after the other, without queues: 10 % less time for small
# models. Operations still use all threads inside themselves. A runtime that did not know it would use its default.
EXECUTOR = {"_executor": b"SINGLE_THREADED_EXECUTOR"}


def while_loop(
    going: Callable[[Any, Any], tf.Tensor],
    advance: Callable[[Any, Any], Any],
    state: Any,
    constants: Any,
    specs: Any,
) -> Any:
    """Advances the state as long as it is going on.

    `tf.while_loop` is taken apart into Merge, Switch and NextIteration for every tensor that goes round, those that
    never change included: of a small decoder that is half of all operations. A While operation that stays whole hands
    tensors over like a function call: 20 to 30 % less time for a batch of one (measured on a CPU).

    Args:
        going: state, constants -> bool; both functions see the graph only through these arguments.
        advance: state, constants -> state.
        state: any structure of tensors.
        constants: any structure of tensors.
        specs: like the state, a tf.TensorSpec for each, None where a dimension changes.
    """
    flat, fixed = tf.nest.flatten(state), tf.nest.flatten(constants)
    whole = [*tf.nest.flatten(specs), *(tf.TensorSpec(each.shape, each.dtype) for each in fixed)]

    def unpack(tensors: tuple[tf.Tensor, ...]) -> tuple[Any, Any]:
        here, there = tensors[: len(flat)], tensors[len(flat) :]
        return tf.nest.pack_sequence_as(state, here), tf.nest.pack_sequence_as(constants, there)

    def condition(*tensors: tf.Tensor) -> tf.Tensor:
        return going(*unpack(tensors))

    def body(*tensors: tf.Tensor) -> list[tf.Tensor]:
        return [*tf.nest.flatten(advance(*unpack(tensors))), *tensors[len(flat) :]]

    after = tf.raw_ops.While(input=[*flat, *fixed], cond=_called(condition, whole), body=_called(body, whole))
    after = after[: len(flat)]
    for tensor, spec in zip(after, tf.nest.flatten(specs), strict=True):
        tensor.set_shape(spec.shape)
    return tf.nest.pack_sequence_as(state, after)


def _called(function: Callable[..., Any], specs: list[tf.TensorSpec]) -> NameAttrList:
    """Traces a function into the graph that is being made, and names it as operations do."""
    traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    if traced.captured_inputs:
        raise ValueError("a loop may use the tensors around it only as its state or constants.")
    traced.add_to_graph(tf.compat.v1.get_default_graph())
    named = NameAttrList(name=traced.name)
    for key, value in EXECUTOR.items():
        named.attr[key].s = value
    return named


def advance_rows(
    advance: Callable[[Any, Any, Any], Any],
    pick: Callable[[Any, tf.Tensor], Any],
    result: Callable[[Any], Any],
    state: Any,
    given: Any,
    constants: Any,
    specs: Any,
) -> Any:
    """Advances rows until each is done. Those that are done leave, and the others go on in a smaller batch.

    So a long row costs its neighbours little, and a batch of rows of different lengths no padding.

    Args:
        advance: state, given, constants -> state.
        pick: state, int32 [K] -> the state of these rows.
        result: state -> what remains of it for a row that is done, leaves of [B, …].
        state: has `done`, bool [B].
        given: what belongs to the rows and does not change, leaves of [B, …].
        constants: what is the same for all rows.
        specs: of the state.
    Returns: the results of all rows, in their order.
    """
    results = result(state)

    def inner_going(state: Any, fixed: Any) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(state.done, tf.int32)) < fixed[2]

    def inner_advance(state: Any, fixed: Any) -> Any:
        return advance(state, fixed[0], fixed[1])

    def outer_going(whole: Any, constants: Any) -> tf.Tensor:
        return tf.size(whole[2]) > 0

    def outer_advance(whole: Any, constants: Any) -> Any:
        state, given, rows, results = whole
        enough = -(-tf.size(rows) // 8)  # moving the others costs about as much as one step with these
        state = while_loop(inner_going, inner_advance, state, (given, constants, enough), specs)
        results = tf.nest.map_structure(
            lambda all_rows, these: tf.tensor_scatter_nd_update(all_rows, rows[:, None], these), results, result(state)
        )
        left = tf.cast(tf.where(~state.done)[:, 0], tf.int32)
        given = tf.nest.map_structure(lambda leaf: tf.gather(leaf, left), given)
        return pick(state, left), given, tf.gather(rows, left), results

    rows = tf.range(tf.shape(state.done)[0])
    same = tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype), results)
    specs, *fewer = tf.nest.map_structure(_of_any_number, (specs, given, rows))
    whole, whole_specs = (state, given, rows, results), (specs, *fewer, same)
    return while_loop(outer_going, outer_advance, whole, constants, whole_specs)[3]


def _of_any_number(leaf: Any) -> tf.TensorSpec:
    """The spec of a tensor or spec, its first dimension left open."""
    return tf.TensorSpec([None, *leaf.shape[1:]] if leaf.shape.rank else [], leaf.dtype)
