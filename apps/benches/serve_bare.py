"""What `bench serve` measures against and judges answers by: the bare SavedModel, in a process of its own.

    python -m apps.benches.serve_bare '{"paths": [folder of a version, …], "signature": "serving_default",
                                        "model": "m", "rows": [{"x": 1.0}, …], "rows_a_request": 1}'

It loads the versions without any of zoo's serving, says in a line what requests the rows make, and answers over HTTP
and gRPC as cheaply as their libraries can: it calls the SavedModel and sends the request back. Then each line of
standard input asks for something: {"full": 32, "seconds": 5} for rows a second in full batches without a server, and
{"judge": replies, "transport": "rest"} for how many of a server's answers are those of one of the versions.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

Inputs = dict[str, np.ndarray]
MOST_DIFFERENCES = 100  # of a load, that are told in full
_TELLS, _COUNTS = "attention", ("source_count", "target_count")  # a signature of ours that counts tokens
WARMUP = "assets.extra/tf_serving_warmup_requests"


class Bare:
    """A version of a SavedModel in a session, through TensorFlow's own functions alone."""

    def __init__(self, path: str, signature: str) -> None:
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  (registers its ops)

        v1 = tf.compat.v1
        self._counts: Callable[..., list[np.ndarray]] | None = None
        tf.get_logger().setLevel("ERROR")  # the loader calls itself deprecated
        self._session = v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = v1.saved_model.load(self._session, ["serve"], path)
            definition = loaded.signature_def[signature]
            self.types = {
                name: tf.dtypes.as_dtype(info.dtype).as_numpy_dtype for name, info in definition.inputs.items()
            }
            self.outputs = sorted(definition.outputs)
            self._names = list(definition.inputs)
            self._call = self._callable(definition, self.outputs)
            told = loaded.signature_def.get(_TELLS)
            if told and set(told.inputs) == set(definition.inputs) and set(told.outputs) >= set(_COUNTS):
                self._counts = self._callable(told, _COUNTS)

    def __call__(self, inputs: Inputs) -> list[np.ndarray]:
        """The outputs in the order of `outputs`."""
        return self._call(*(inputs[name] for name in self._names))

    def tokens(self, inputs: list[Inputs]) -> list[int]:
        """Real tokens of source and target of each batch; [] where no signature of the model tells them."""
        if self._counts is None:
            return []
        return [
            sum(int(counts.sum()) for counts in self._counts(*(one[name] for name in self._names))) for one in inputs
        ]

    def _callable(self, definition: Any, outputs: Sequence[str]) -> Callable[..., list[np.ndarray]]:
        """The way that costs least, which the server takes too: a floor must not be above it."""
        from tensorflow.core.protobuf.config_pb2 import CallableOptions

        feeds = [definition.inputs[name].name for name in self._names]
        options = CallableOptions(feed=feeds, fetch=[definition.outputs[name].name for name in outputs])
        return self._session._make_callable_from_options(options)


def batches(rows: list[dict[str, Any]], size: int, types: dict[str, Any]) -> list[Inputs]:
    """Rows as batches for a signature."""
    return [
        {name: np.array([_unpacked(row[name]) for row in rows[first : first + size]], types[name]) for name in types}
        for first in range(0, len(rows), size)
    ]


def warmup_rows(path: str) -> Iterator[dict[str, Any]]:
    """The rows of a version's warm-up requests to `serving_default`."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    for record in tf.data.TFRecordDataset(str(Path(path) / WARMUP)).as_numpy_iterator():
        request = PredictionLog.FromString(record).predict_log.request
        if request.model_spec.signature_name in ("", "serving_default"):
            arrays = {name: tf.make_ndarray(each) for name, each in request.inputs.items()}
            for index in range(min(map(len, arrays.values()), default=0)):
                yield {name: _plain(array[index], "_bytes") for name, array in arrays.items()}


def _unpacked(value: Any) -> Any:
    return b64decode(value["b64"]) if isinstance(value, dict) else value


def _plain(value: Any, name: str) -> Any:
    """An array as Serving writes it in JSON, with base64 for an input of bytes or an output named so."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(each, name) for each in value]
    if isinstance(value, bytes):
        return {"b64": b64encode(value).decode()} if name.endswith("_bytes") else value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def rest_request(inputs: Inputs, signature: str) -> bytes:
    """The body of a predict request over REST, in columns."""
    columns = {name: _plain(array, "_bytes") for name, array in inputs.items()}
    return json.dumps({"signature_name": signature, "inputs": columns}).encode()


def grpc_request(inputs: Inputs, signature: str, model: str) -> bytes:
    """A PredictRequest."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request.SerializeToString()


def rest_answer(reply: bytes, outputs: list[str]) -> dict[str, Any]:
    """The outputs of a reply over REST by name."""
    found = json.loads(reply)["outputs"]
    return {outputs[0]: found} if len(outputs) == 1 else found


def grpc_answer(reply: bytes, outputs: list[str]) -> dict[str, Any]:
    """The outputs of a PredictResponse by name, as REST has them."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    found = PredictResponse.FromString(reply).outputs
    return {name: _plain(tf.make_ndarray(each), name) for name, each in found.items()}


def same(one: Any, other: Any) -> bool:
    """Whether two answers are the same: texts and whole numbers exactly, others to five digits."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6) or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and one == other


class Judge:
    """Knows what each version answers to each request."""

    def __init__(self, versions: list[Bare], inputs: list[Inputs]) -> None:
        self._outputs = versions[0].outputs
        self.expected = [
            [
                {name: _plain(value, name) for name, value in zip(each.outputs, each(one), strict=True)}
                for each in versions
            ]
            for one in inputs
        ]

    def __call__(self, replies: list[dict[str, int]], transport: str) -> dict[str, Any]:
        """Counts right and wrong answers.

        Args:
            replies: for each request, each reply that came (base64) with how often it came.
        """
        read = rest_answer if transport == "rest" else grpc_answer
        right, wrong = 0, 0
        differences: list[str] = []
        for expected, found in zip(self.expected, replies, strict=True):
            for reply, number in found.items():
                raw = b64decode(reply)
                try:
                    answer: Any = read(raw, self._outputs)
                except Exception as error:  # noqa: BLE001  (whatever a broken reply makes of itself)
                    answer = repr(error)
                if any(same(each, answer) for each in expected):
                    right += number
                else:
                    wrong += number
                    differences.append(f"{expected[0]} was expected, {answer} came {number} times"[:500])
        return {"right": right, "wrong": wrong, "differences": differences[:MOST_DIFFERENCES]}


def full(model: Bare, inputs: list[Inputs], rows: int, seconds: float) -> dict[str, float]:
    """Rows a second of the SavedModel called in a loop, one call at a time or one for each core: the better way."""

    def speed(calls: int) -> float:
        stream, done, began = cycle(inputs), 0, time.perf_counter()
        with ThreadPoolExecutor(calls) as pool:
            while time.perf_counter() - began < seconds / 2:
                chosen = [next(stream) for _ in range(calls)]
                list(pool.map(model, chosen))
                done += sum(len(next(iter(each.values()))) for each in chosen)
        return done / (time.perf_counter() - began)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"rows_a_second": max(map(speed, {1, cores})), "rows": rows}


def listen(call: Callable[[bytes], object]) -> tuple[int, int, object]:
    """Starts the bare handlers, which call the model and send the request back.

    Returns: their ports, REST and gRPC, and what must be kept: grpc stops a server that nobody holds.
    """
    import socket

    import grpc
    import uvicorn

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        call(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def answer(request: bytes, context: Any) -> bytes:
        call(request)
        return request

    handler = grpc.unary_unary_rpc_method_handler(answer)

    class Echo(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            return handler

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(echo, log_config=None, access_log=False, lifespan="off", ws="none")
    Thread(target=uvicorn.Server(config).run, kwargs={"sockets": [listener]}, daemon=True).start()
    server = grpc.server(ThreadPoolExecutor(4 * (os.cpu_count() or 1)), handlers=[Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return listener.getsockname()[1], port, server


def main() -> None:
    """Answers the lines of standard input until it ends."""
    spec = json.loads(sys.argv[1])
    signature, size = spec["signature"], spec["rows_a_request"]
    versions = [Bare(path, signature) for path in spec["paths"]]
    first = versions[0]
    only = next(iter(first.types))  # a text alone is a row for a signature of one input
    rows = [each if isinstance(each, dict) else {only: each} for each in spec["rows"]]
    rows = rows or list(warmup_rows(spec["paths"][0]))
    inputs = batches(rows, size, first.types)
    judge = Judge(versions, inputs)
    rest = [rest_request(each, signature) for each in inputs]
    remote = [grpc_request(each, signature, spec["model"]) for each in inputs]
    known = dict(zip([*rest, *remote], [*inputs, *inputs], strict=True))
    rest_port, grpc_port, kept = listen(lambda body: first(known[body]))
    requests = {
        "rest": [b64encode(each).decode() for each in rest],
        "grpc": [b64encode(each).decode() for each in remote],
    }
    made = {"rest": rest_port, "grpc": grpc_port, "requests": requests, "tokens": first.tokens(inputs)}
    print(json.dumps(made), flush=True)
    assert kept
    for line in sys.stdin:
        asked = json.loads(line)
        if "judge" in asked:
            answer: Any = judge(asked["judge"], asked["transport"])
        else:
            every = rows * (asked["full"] // math.gcd(asked["full"], len(rows)))  # so that the last batch is full too
            answer = full(first, batches(every, asked["full"], first.types), asked["full"], asked["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
