"""One version of a model in memory: a SavedModel behind a session, as the C++ server holds it.

A session, not `tf.saved_model.load`: it runs the very graph that TensorFlow Serving runs, by the names of its tensors;
a call costs a fifth (54 µs against 285 µs for a trivial signature, strings in and out); it has a deadline; and closing
it gives the memory of the weights back. TensorFlow is imported when the first version is loaded.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from zoo.serving import memory
from zoo.serving.json_tensor import Arrays
from zoo.serving.status import Code, RequestError, invalid
from zoo.serving.tensor_proto import to_array

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Signature:
    """What a signature takes and gives.

    Attributes:
        inputs: name -> data type as TensorFlow names it in errors ("string", "float", "int64").
        feeds: name -> tensor of the graph, for each input.
        fetches: name -> tensor of the graph, for each output.
        defaults: name -> what an input is where a request leaves it out.
    """

    inputs: Mapping[str, str]
    feeds: Mapping[str, str]
    fetches: Mapping[str, str]
    defaults: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class SessionOptions:
    """What TensorFlow may use. The first session of a process decides for all: they share their threads.

    Attributes:
        intra_op_parallelism: threads within an op; 0 is one for each processor.
        inter_op_parallelism: ops at once, over all requests; 0 is one for each processor.
        gpu_memory_fraction: of a GPU's memory, taken at once; 0 takes it as it is needed.
    """

    intra_op_parallelism: int = 0
    inter_op_parallelism: int = 0
    gpu_memory_fraction: float = 0.0


class Servable:
    """Loads a SavedModel. Warm-up is not done here; see `zoo.serving.warmup`.

    Args:
        path: the version's folder, the one that holds saved_model.pb.
        name, version: what it is served as.
        timeout_ms: how long one call of a signature may take.
        options: what its session may use.
    Attributes:
        on_run: called with the seconds that TensorFlow took for a call, if set; for metrics.
    Raises: RequestError with the code and text of whatever TensorFlow found wrong.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        version: int,
        timeout_ms: int = 30_000,
        options: SessionOptions = SessionOptions(),
    ) -> None:
        self.path, self.name, self.version = path, name, version
        self.on_run: Callable[[float], None] | None = None
        self._timeout_ms = timeout_ms
        self._session, self._meta_graph = _load(path, options)
        self.signatures = {name: _signature(each) for name, each in self._meta_graph.signature_def.items()}
        self._calls: dict[tuple[str, tuple[str, ...], int], Callable[..., Sequence[Any]]] = {}
        self._lock = Lock()

    def signature_defs(self) -> dict[str, Any]:
        """The SignatureDefs as the JSON of their protos: proto names, default fields included, defaults left out."""
        from google.protobuf.json_format import MessageToDict

        return {
            name: {
                **MessageToDict(each, always_print_fields_with_no_presence=True, preserving_proto_field_name=True),
                "defaults": {},  # Serving 2.20 does not return them
            }
            for name, each in sorted(self._meta_graph.signature_def.items())
        }

    def run(
        self, signature: str, inputs: Arrays, outputs: Sequence[str] = (), *, timeout_ms: int | None = None
    ) -> Arrays:
        """Calls a signature. May be called from many threads at once; does not hold the interpreter's lock.

        Args:
            signature: its name.
            inputs: name -> array, for every input without a default; strings as arrays of bytes.
            outputs: the outputs wanted; all where empty.
            timeout_ms: how long it may take, where that is less than what was given on loading. It is rounded up to a
                power of two, since TensorFlow compiles a way through the graph for each.
        Raises: RequestError: FAILED_PRECONDITION where there is no such signature, INVALID_ARGUMENT for inputs that
            do not fit, DEADLINE_EXCEEDED, and whatever an op of the model answers.
        """
        found = self.signatures.get(signature)
        if found is None:
            raise RequestError(Code.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.')
        inputs = _complete(found, inputs)
        wanted = tuple(sorted(set(outputs)) or found.fetches)  # in one order: each is compiled, and kept
        if timeout_ms is None or timeout_ms >= self._timeout_ms:
            timeout_ms = self._timeout_ms
        else:
            timeout_ms = min(1 << max(0, timeout_ms - 1).bit_length(), self._timeout_ms)
        key = signature, wanted, timeout_ms
        from tensorflow.errors import OpError

        try:
            call = self._calls.get(key) or self._prepare(key)  # the op of a signature may have no outputs
            began = time.perf_counter()
            values = call(*(inputs[name] for name in found.feeds))
        except OpError as error:
            raise _request_error(error) from None
        if self.on_run:
            self.on_run(time.perf_counter() - began)
        return {name: _as_array(value) for name, value in zip(wanted, values, strict=True)}

    def close(self) -> None:
        """Frees the weights, and gives the memory back to the system. No call may be running."""
        self._calls.clear()  # before the session: each holds a handle into it
        self._session.close()
        memory.give_back()

    def _prepare(self, key: tuple[str, tuple[str, ...], int]) -> Callable[..., Sequence[Any]]:
        """Compiles a way through the graph; done once for a signature, a choice of outputs and a timeout."""
        from tensorflow.core.protobuf.config_pb2 import CallableOptions

        signature, wanted, timeout_ms = key
        found = self.signatures[signature]
        unknown = [name for name in wanted if name not in found.fetches]
        if unknown:
            raise invalid(
                f"output tensor alias not found in signature: {unknown[0]} Outputs expected to be in the set "
                f"{{{','.join(sorted(found.fetches))}}}."
            )
        options = CallableOptions(feed=found.feeds.values(), fetch=[found.fetches[name] for name in wanted])
        options.run_options.timeout_in_ms = timeout_ms
        with self._lock:
            if key not in self._calls:
                self._calls[key] = self._session._make_callable_from_options(options)
            return self._calls[key]


def _load(path: Path, options: SessionOptions) -> tuple[Any, Any]:
    """A session with the SavedModel's graph, weights and tables, and its MetaGraphDef."""
    if not (path / "saved_model.pb").exists():
        raise RequestError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. Check that the "
            "directory exists and that you have the right permissions for accessing it.",
        )
    memory.leave_the_pool()
    memory.give_back_large()
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers its ops, which the stock server has built in)

    v1 = tf.compat.v1
    config = v1.ConfigProto(
        allow_soft_placement=True,
        intra_op_parallelism_threads=options.intra_op_parallelism,
        inter_op_parallelism_threads=options.inter_op_parallelism,
    )
    config.gpu_options.per_process_gpu_memory_fraction = options.gpu_memory_fraction
    config.gpu_options.allow_growth = True  # several models share a device
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # its loader calls itself deprecated; there is no other that a session can use
    session = v1.Session(graph=tf.Graph(), config=config)
    try:
        with session.graph.as_default():
            return session, v1.saved_model.load(session, [v1.saved_model.tag_constants.SERVING], str(path))
    except Exception as error:
        session.close()
        if isinstance(error, tf.errors.OpError):
            raise _request_error(error) from error
        # A saved_model.pb that is cut short, or has no graph for serving: plain exceptions of Python, of several kinds.
        raise RequestError(Code.UNKNOWN, " ".join(str(error).split())) from error
    finally:
        logger.setLevel(level)


def _signature(definition: Any) -> Signature:
    from tensorflow.core.framework.types_pb2 import DataType

    return Signature(
        {name: DataType.Name(info.dtype).removeprefix("DT_").lower() for name, info in definition.inputs.items()},
        {name: info.name for name, info in definition.inputs.items()},
        {name: info.name for name, info in sorted(definition.outputs.items())},
        {name: to_array(tensor) for name, tensor in definition.defaults.items()},
    )


def _complete(signature: Signature, inputs: Arrays) -> Arrays:
    """The inputs with the signature's defaults for those that are left out; the texts are Serving's to the letter."""
    want, sent, defaults = signature.inputs.keys(), inputs.keys(), signature.defaults
    if want == sent:
        return inputs
    wanted, got, used, extra, missing, given = (
        ",".join(sorted(names)) for names in (want, sent, sent & want, sent - want, want - sent, defaults)
    )
    if len(want) != len(sent) and not defaults:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(want)} len({{{got}}}) != len({{{wanted}}}). "
            f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    for alias in sorted(want - sent - defaults.keys()):
        raise invalid(
            f"Signature input alias: {alias}(feed name: {signature.feeds[alias]}) not found in request and no default "
            f"value provided. Inputs expected to be in the request {{{got}}}, or default input alias set: {given}"
        )
    if extra:
        raise invalid(f"Inputs contains invalid name. Used request inputs: {used}, request input: {got}")
    return {**{name: defaults[name] for name in want - sent}, **inputs}


def _as_array(value: Any) -> np.ndarray:
    """An output as an array. A single string comes as bytes, which numpy by itself would make a type of that length."""
    if not isinstance(value, bytes):
        return np.asarray(value)
    array = np.empty((), object)
    array[()] = value
    return array


def _request_error(error: Any) -> RequestError:
    return RequestError(Code(error.error_code), error.message)
