"""TensorFlow Serving's `batching_parameters_file`: the text form of its BatchingParameters.

The message is that of servables/tensorflow/session_bundle_config.proto, which tensorflow-serving-api does not bring;
its few fields are declared here. Defaults and checks: servables/tensorflow/bundle_factory_util and, of TensorFlow,
core/kernels/batching_util/shared_batch_scheduler.h.
"""

import os
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import UserError

# Numbers are those of the proto's wire form, which nothing here reads.
_FIELDS = {
    "max_batch_size": (1, ".google.protobuf.Int64Value"),
    "batch_timeout_micros": (2, ".google.protobuf.Int64Value"),
    "max_enqueued_batches": (3, ".google.protobuf.Int64Value"),
    "num_batch_threads": (4, ".google.protobuf.Int64Value"),
    "thread_pool_name": (5, ".google.protobuf.StringValue"),
    "allowed_batch_sizes": (6, "int64"),
    "pad_variable_length_inputs": (7, "bool"),
    "enable_large_batch_splitting": (8, ".google.protobuf.BoolValue"),
    "max_execution_batch_size": (9, ".google.protobuf.Int64Value"),
}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class BatchingParameters:
    """How requests are batched; the names are those of Serving's proto. Sizes are counted in rows.

    Attributes:
        max_batch_size: the most rows of a request; of a batch too, unless large requests are split.
        batch_timeout_micros: how long the first request of a batch waits for others while a thread is free.
        max_enqueued_batches: how many batches may wait; a request that would need another is refused at once.
        num_batch_threads: how many batches are worked on at once.
        thread_pool_name: the name of those threads, and in the metrics.
        allowed_batch_sizes: if any, batches are filled up to the next of these with copies of a row.
        pad_variable_length_inputs: make requests of different shapes alike, filled up with their own first value.
        enable_large_batch_splitting: a request may be divided among batches …
        max_execution_batch_size: … which hold so many rows at most; None for `max_batch_size`.
    Raises: UserError for values that Serving would not start with.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=_processors)
    thread_pool_name: str = "model_server_batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "num_batch_threads"):
            _require(getattr(self, name) > 0, f"{name} must be positive; was {getattr(self, name)}")
        for name in ("batch_timeout_micros", "max_enqueued_batches"):
            _require(getattr(self, name) >= 0, f"{name} must be non-negative; was {getattr(self, name)}")
        sizes, most = self.allowed_batch_sizes, self.execution_batch_size
        increasing = all(a < b for a, b in zip((0, *sizes), sizes, strict=False))
        if self.enable_large_batch_splitting:
            _require(self.max_enqueued_batches > 0, "max_enqueued_batches must be positive; was 0")
            _require(most > 0, f"max_execution_batch_size must be positive; was {most}")
            _require(
                most <= self.max_batch_size,
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
                "max_execution_batch_size.",
            )
            last = "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size"
        else:
            last = "Last entry in allowed_batch_sizes must match max_batch_size"
        _require(increasing, "allowed_batch_sizes entries must be monotonically increasing")
        _require(not sizes or sizes[-1] == most, f"{last}; last entry was {sizes and sizes[-1]}; expected {most}")

    @property
    def execution_batch_size(self) -> int:
        """The most rows of a batch."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size

    def padding(self, rows: int) -> int:
        """How many rows are added to a batch of `rows`."""
        sizes = self.allowed_batch_sizes
        return sizes[bisect_left(sizes, rows)] - rows if sizes else 0


def read_parameters(path: str | Path) -> BatchingParameters:
    """Reads a file in text form, as Serving's flag `--batching_parameters_file` takes it.

    Raises: UserError where it cannot be read, is no BatchingParameters, or Serving would not start with its values.
    """
    from google.protobuf import text_format

    remedy = f"The fields are: {', '.join(_FIELDS)}. A value is written like max_batch_size {{ value: 32 }}."
    try:
        message = text_format.Parse(Path(path).read_text("utf-8"), _message()())
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}.", where=str(path)) from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        problem = f"is no tensorflow.serving.BatchingParameters in text form: {error}"
        raise UserError(problem, where=str(path), remedy=remedy) from error
    found: dict[str, Any] = {"thread_pool_name": "batch_threads"}  # Serving's, wherever there is a file
    for descriptor, value in message.ListFields():
        # After the wrappers, which tell a value that is left out from one that is 0.
        found[descriptor.name] = getattr(value, "value", value)
    if "allowed_batch_sizes" in found:
        found["allowed_batch_sizes"] = tuple(found["allowed_batch_sizes"])
    try:
        return BatchingParameters(**found)
    except UserError as error:
        raise UserError(error.problem, where=str(path)) from error


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise UserError(problem, where="batching parameters")


def _message() -> Any:
    """The class of the message, in a pool of its own: a program that has Serving's proto may import it beside this."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    file = descriptor_pb2.FileDescriptorProto(
        name="zoo/serving/batching_parameters.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    message = file.message_type.add(name="BatchingParameters")
    for name, (number, kind) in _FIELDS.items():
        added = message.field.add(name=name, number=number, label=kinds.LABEL_OPTIONAL)
        if kind.startswith("."):
            added.type, added.type_name = kinds.TYPE_MESSAGE, kind
        else:
            added.type = kinds.TYPE_INT64 if kind == "int64" else kinds.TYPE_BOOL
        if name == "allowed_batch_sizes":
            added.label = kinds.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters"))
