"""Wild calls over gRPC by kind: a function of chance each, which makes one."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from random import Random
from struct import pack
from typing import Any, NamedTuple

from apps.benches.serve_cases import Case
from apps.benches.serve_process import TRIVIAL

PREDICTION, MODELS = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
_METHODS = [
    *(PREDICTION + each for each in ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")),
    *(MODELS + each for each in ("GetModelStatus", "HandleReloadConfigRequest")),
]
_FIELDS = ("float_val", "double_val", "int_val", "int64_val", "bool_val", "uint32_val", "uint64_val", "half_val")
_FLOAT = 1  # a DataType


class Call(NamedTuple):
    """What a client asks.

    Attributes:
        method: its path.
        body: the message, or what stands in its place.
        seconds: until its deadline; None for as long as a request may take at most.
        metadata: what goes with it.
        leaves: whether the client goes at that time, and has no deadline.
    """

    method: str
    body: bytes
    seconds: float | None = None
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    leaves: bool = False


def _predict(model: str = TRIVIAL) -> Any:
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name = model
    return request


def good() -> bytes:
    """A request that is answered."""
    request = _predict()
    tensor = request.inputs["x"]
    tensor.dtype = _FLOAT
    tensor.tensor_shape.dim.add(size=2)
    tensor.float_val.extend([1.0, 2.0])
    return request.SerializeToString()


def _of(request: Any) -> Call:
    return Call(PREDICTION + "Predict", request.SerializeToString())


def wrong_dtype(chance: Random) -> Call:
    """Every number of a data type, known, a reference's or none, with values of another."""
    request = _predict()
    tensor = request.inputs["x"]
    tensor.dtype = chance.choice([*range(33), *range(101, 124), 127, 2**31 - 1, -1])
    count = chance.randint(0, 4)
    tensor.tensor_shape.dim.add(size=count)
    way = chance.randrange(3)
    if way == 0:
        getattr(tensor, chance.choice(_FIELDS)).extend([1] * count)
    elif way == 1:
        tensor.string_val.extend([chance.randbytes(3)] * count)
    else:
        tensor.tensor_content = chance.randbytes(chance.choice([0, 3, 4 * count, 8 * count]))
    return _of(request)


def wrong_shape(chance: Random) -> Call:
    """Dimensions of any number and size, also below zero, and no rank at all."""
    request = _predict()
    tensor = request.inputs["x"]
    tensor.dtype = _FLOAT
    tensor.tensor_shape.unknown_rank = chance.random() < 0.1
    for _ in range(chance.choice([0, 1, 2, 3, 8, 70, 300])):
        tensor.tensor_shape.dim.add(size=chance.choice([-2, -1, 0, 1, 1, 1, 2]), name=chance.choice(["", "rows"]))
    tensor.float_val.extend([0.5] * chance.randint(0, 5))
    return _of(request)


def huge_dimensions(chance: Random) -> Call:
    """Shapes of more values than there is memory, from a request of bytes."""
    request = _predict()
    tensor = request.inputs["x"]
    tensor.dtype = chance.choice([_FLOAT, 2, 7, 9])
    for _ in range(chance.randint(1, 4)):
        tensor.tensor_shape.dim.add(size=chance.choice([0, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1]))
    if chance.random() < 0.5:
        tensor.float_val.append(1.0)
        tensor.string_val.append(b"x")
    else:
        tensor.tensor_content = b"\x01" * 16
    return _of(request)


def truncated(chance: Random) -> Call:
    """A message cut anywhere, for any of the methods."""
    body = good()
    return Call(chance.choice(_METHODS), body[: chance.randrange(len(body))])


def junk(chance: Random) -> Call:
    """Random bytes, a message with some of its bits the other way round, groups without end."""
    body = bytearray(good())
    for _ in range(chance.randint(1, 6)):
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    nested = b"\x0b" * 10 ** chance.randint(1, 5)
    return Call(PREDICTION + "Predict", chance.choice([bytes(body), chance.randbytes(chance.randint(1, 99)), nested]))


def unknown_names(chance: Random) -> Call:
    """Models, versions, labels, signatures, inputs and outputs that are not there."""
    request = _predict(chance.choice([TRIVIAL, TRIVIAL, "", "nobody", "x" * 100_000, "\x00", "../1"]))
    spec = request.model_spec
    spec.signature_name = chance.choice(["", "none", "__saved_model_init_op", "\u00fc" * 5_000, "\n"])
    way = chance.randrange(3)
    if way == 0:
        spec.version.value = chance.choice([0, 2, -1, 2**63 - 1])
    elif way == 1:
        spec.version_label = chance.choice(["", "stable", "\U0001d11e" * 2_000])
    for name in chance.sample(["x", "y", "", "\u2028", "x" * 70_000], chance.randint(0, 3)):
        request.inputs[name].dtype = _FLOAT
    request.output_filter.extend(chance.choices(["y", "z", "", "y" * 70_000], k=chance.randint(0, 3)))
    return _of(request)


def wrong_message(chance: Random) -> Call:
    """A message for another method, and methods that are none."""
    methods = [*_METHODS, PREDICTION, PREDICTION + "Explain", "/", "/a/b/c", MODELS + "Predict", "/grpc.x/%ff"]
    return Call(chance.choice(methods), chance.choice([b"", good(), b"\x0a\x00", b"\x0a\x03a\xffb", b"\x12\x00"]))


def examples(chance: Random) -> Call:
    """Classify, Regress and MultiInference with examples of every kind, for signatures that take none."""
    from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
    from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest

    several = chance.random() < 0.5
    request = MultiInferenceRequest() if several else ClassificationRequest()
    if several:
        for _ in range(chance.randint(0, 3)):
            task = request.tasks.add(method_name=f"tensorflow/serving/{chance.choice(['classify', 'regress', ''])}")
            task.model_spec.name = chance.choice([TRIVIAL, "", "nobody"])
    else:
        request.model_spec.name = TRIVIAL
    for _ in range(chance.randint(0, 2)):
        feature = request.input.example_list.examples.add().features.feature["x"]
        feature.bytes_list.value.append(chance.randbytes(5))
    method = "MultiInference" if several else chance.choice(["Classify", "Regress"])
    return Call(PREDICTION + method, request.SerializeToString())


def wrong_configuration(chance: Random) -> Call:
    """Reloads that must change nothing."""
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    request = ReloadConfigRequest()
    for _ in range(chance.choice([0, 1, 2])):  # none is a configuration of another kind, which there is not
        add = request.config.model_config_list.config.add
        add(name=TRIVIAL, base_path=chance.choice(["relative", "gs://x", "\x00"]), model_platform="tensorflow")
    return Call(MODELS + "HandleReloadConfigRequest", request.SerializeToString())


def impatient(chance: Random) -> Call:
    """Deadlines that are over, or soon, and clients that leave."""
    seconds = chance.choice([0.0, 1e-6, 1e-4, 1e-3, 5e-3])
    return Call(PREDICTION + "Predict", good(), seconds, leaves=chance.random() < 0.5)


def odd_metadata(chance: Random) -> Call:
    """Metadata that is long, binary, or says what is not so."""
    pairs: list[tuple[str, str | bytes]] = [
        ("authorization", "Bearer x"),
        ("x-long", "a" * chance.choice([5_000, 50_000])),
        ("x-bin", chance.randbytes(50)),
        ("content-length", "7"),
    ]
    return Call(PREDICTION + "Predict", good(), metadata=tuple(chance.sample(pairs, chance.randint(1, 3))))


CALLS: dict[str, Callable[[Random], Call]] = {
    f"grpc_{each.__name__}": each
    for each in (
        wrong_dtype,
        wrong_shape,
        huge_dimensions,
        truncated,
        junk,
        unknown_names,
        wrong_message,
        examples,
        wrong_configuration,
        impatient,
        odd_metadata,
    )
}  # fmt: skip


# ---- below gRPC: frames of HTTP/2

_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING = 0, 1, 3, 4, 6


def frame(kind: int, flags: int, stream: int, body: bytes, length: int | None = None) -> bytes:
    """A frame; `length` is what it says of itself."""
    return pack(">I", len(body) if length is None else length)[1:] + pack(">BBI", kind, flags, stream) + body


def _headers(*more: tuple[bytes, bytes]) -> bytes:
    """The head of a Predict, in literals that need no table."""
    path = (PREDICTION + "Predict").encode()
    first = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"x"),
        (b"te", b"trailers"),
    ]
    pairs = [*first, (b"content-type", b"application/grpc"), *more]
    return b"".join(b"\x00%c%s%c%s" % (len(name), name, len(value), value) for name, value in pairs)


def broken_frames(chance: Random) -> Case:
    """Messages and frames that are longer or shorter than they say, zipped a thousandfold, or in no order."""
    body = good()
    message = pack(">BI", 0, len(body)) + body
    lying = pack(">BI", 0, chance.choice([0, 1, len(body) + 1, 2**31 - 1, 2**32 - 1])) + body
    bomb = _bomb()
    zipped = pack(">BI", 1, len(bomb)) + bomb
    opening = _HELLO + frame(_SETTINGS, 0, 0, b"")
    head = frame(_HEADERS, 4, 1, _headers())
    ways = [
        [head, frame(_DATA, 1, 1, lying)],
        [head, frame(_DATA, 1, 1, message * 2)],
        [head, frame(_DATA, 1, 1, message[: chance.randrange(len(message))])],
        [head, frame(_DATA, 1, 1, message, length=len(message) + chance.choice([-1, 1, 10_000]))],
        [head, frame(_DATA, 0, 1, message), frame(_RESET, 0, 1, pack(">I", 8))],
        [frame(_HEADERS, 4, 1, _headers((b"grpc-encoding", b"gzip"))), *_frames(zipped)],
        [frame(_HEADERS, 4, 1, _headers((b"grpc-encoding", b"none"))), frame(_DATA, 1, 1, zipped[:100])],
        [frame(_HEADERS, 4, 1, _headers((b"grpc-timeout", b"9" * 60 + b"H"))), frame(_DATA, 1, 1, message)],
        [frame(_DATA, 1, 1, message)],
        [frame(_HEADERS, 0, 1, _headers()[: chance.randrange(40)]), frame(_PING, 0, 0, b"x" * 8)],
        [frame(chance.randrange(256), chance.randrange(256), chance.randrange(2**31), chance.randbytes(40))],
    ]
    parts = [b"GET / HTTP/1.1\r\n\r\n"] if chance.random() < 0.05 else [opening, *chance.choice(ways)]
    return Case(parts, half_close=True, leaves=chance.random() < 0.2)


def _frames(message: bytes) -> list[bytes]:
    """A message in frames of the size that HTTP/2 allows."""
    pieces = [message[start : start + 16384] for start in range(0, len(message), 16384)]
    return [frame(_DATA, int(each is pieces[-1]), 1, each) for each in pieces]


@cache
def _bomb() -> bytes:
    return gzip.compress(b"\x00" * 2**24, mtime=0)


FRAMES: dict[str, Callable[[Random], Case]] = {"grpc_broken_frames": broken_frames}
