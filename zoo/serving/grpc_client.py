"""Asks a server over gRPC; `zoo.serving.client` is what users call. No TensorFlow here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np

from zoo.errors import UserError
from zoo.serving.asking import NOT_RUNNING, Ask, ServerError, server_error
from zoo.serving.messages import message
from zoo.serving.status import Code
from zoo.serving.tensor_proto import NAMES, array_type, fill, to_array

_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_OPTIONS = [
    ("grpc.max_receive_message_length", 2**31 - 1),  # gRPC's own limit is 4 MiB
    ("grpc.max_send_message_length", 2**31 - 1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # else a second, in which our retries would all fail
    ("grpc.min_reconnect_backoff_ms", 100),
]
# What an array must be made of for a data type: the kinds of numpy's types.
_KINDS = {"f": "fiu", "c": "cfiu", "b": "b"}


class Grpc:
    """Asks by grpcio.

    Args:
        address: host:port.
        timeout: seconds to wait for an answer.
        token: a bearer token; empty for none.
        certificate: a PEM file of the authorities to trust; empty for the system's.
        secure: whether to speak TLS.
    """

    def __init__(self, address: str, timeout: float, token: str, certificate: str, *, secure: bool) -> None:
        self._address, self._timeout, self._metadata = address, timeout, _metadata(token)
        credentials = _credentials(certificate) if secure else None
        self._channel = (
            grpc.secure_channel(address, credentials, _OPTIONS)
            if credentials
            else grpc.insecure_channel(address, _OPTIONS)
        )

    def ask(self, ask: Ask) -> Any:
        """The answer (outputs by name, signatures by name, or a list of versions), or the ServerError instead of it.

        Raises: UserError for values that do not fit the signature.
        """
        wire = _request(ask)
        call = self._channel.unary_unary(wire.method, _serialize, wire.reads.FromString)
        try:
            reply = call(wire.request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            return _failure(self._address, error)
        return wire.answer(reply)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


class AsyncGrpc:
    """The same for asyncio. Made anywhere; connects in the loop that first asks."""

    def __init__(self, address: str, timeout: float, token: str, certificate: str, *, secure: bool) -> None:
        self._address, self._timeout, self._metadata = address, timeout, _metadata(token)
        self._credentials = _credentials(certificate) if secure else None
        self._channel: Any = None

    async def ask(self, ask: Ask) -> Any:
        """As `Grpc.ask`."""
        if self._channel is None:
            self._channel = (
                grpc.aio.secure_channel(self._address, self._credentials, _OPTIONS)
                if self._credentials
                else grpc.aio.insecure_channel(self._address, _OPTIONS)
            )
        wire = _request(ask)
        call = self._channel.unary_unary(wire.method, _serialize, wire.reads.FromString)
        try:
            reply = await call(wire.request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            return _failure(self._address, error)
        return wire.answer(reply)

    async def close(self) -> None:
        """Closes the connection."""
        if self._channel is not None:
            await self._channel.close()


class _Wire(NamedTuple):
    """A question as gRPC sends it, and what becomes of the reply."""

    method: str
    request: Any
    reads: Any
    answer: Callable[[Any], Any]


def _request(ask: Ask) -> _Wire:
    make = {"predict": _predict, "signatures": _signatures, "status": _status}[ask.kind]
    wire = make(ask)
    spec = wire.request.model_spec
    spec.name, spec.signature_name = ask.model, ask.signature
    if ask.version is not None:
        spec.version.value = ask.version
    return wire


def _predict(ask: Ask) -> _Wire:
    request = message("PredictRequest")()
    for name, value in ask.inputs.items():
        fill(request.inputs[name], _array(value, name, ask.takes[name]))
    return _Wire("/tensorflow.serving.PredictionService/Predict", request, message("PredictResponse"), _outputs)


def _signatures(ask: Ask) -> _Wire:
    request = message("GetModelMetadataRequest")(metadata_field=["signature_def"])
    reads = message("GetModelMetadataResponse")
    return _Wire("/tensorflow.serving.PredictionService/GetModelMetadata", request, reads, _read_signatures)


def _status(ask: Ask) -> _Wire:
    request, reads = message("GetModelStatusRequest")(), message("GetModelStatusResponse")
    return _Wire("/tensorflow.serving.ModelService/GetModelStatus", request, reads, _read_status)


def _outputs(reply: Any) -> dict[str, Any]:
    return {name: _listed(to_array(tensor), name) for name, tensor in reply.outputs.items()}


def _listed(array: np.ndarray, name: str) -> Any:
    """An output as lists; text as str."""
    if array.dtype == object and not name.endswith("_bytes"):
        texts = np.empty(array.size, object)
        texts[:] = [value.decode("utf-8", "replace") for value in array.reshape(-1)]
        array = texts.reshape(array.shape)
    return array.tolist()


def _read_signatures(reply: Any) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    found = message("SignatureDefMap").FromString(reply.metadata["signature_def"].value)
    return {name: (_types(each.inputs), _types(each.outputs)) for name, each in found.signature_def.items()}


def _types(tensors: Any) -> dict[str, str]:
    return {name: NAMES.get(info.dtype, f"type {info.dtype}") for name, info in tensors.items()}


def _read_status(reply: Any) -> list[dict[str, Any]]:
    return [
        {
            "version": each.version,
            "state": _STATES.get(each.state, str(each.state)),
            "status": {
                "error_code": Code(each.status.error_code).name,
                "error_message": each.status.error_message,
            },
        }
        for each in reply.model_version_status
    ]


def _array(value: Any, name: str, dtype: str) -> np.ndarray:
    """An input as the array that its signature takes.

    Raises: UserError where it is not one.
    """
    try:
        wanted = array_type(dtype)
    except KeyError:
        raise UserError(f"a client cannot send values of type {dtype}.", where=name) from None
    try:
        if wanted == object:
            return _strings(value)
        return _integers(value, wanted) if wanted.kind in "iu" else _numbers(value, wanted)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"this is no array of type {dtype}: {error}.", where=name) from error


def _numbers(value: Any, dtype: np.dtype) -> np.ndarray:
    array = np.asarray(value)
    if array.size and array.dtype.kind not in _KINDS.get(dtype.kind, "fiu"):  # V, of bfloat16, takes what floats take
        raise ValueError(f"{array.dtype.name} given")
    return array.astype(dtype, copy=False)


def _integers(value: Any, dtype: np.dtype) -> np.ndarray:
    """Integers by their own path: numpy makes floats of lists that mix small ones and those beyond int64."""
    if not isinstance(value, np.ndarray):
        found = {type(each) for each in np.asarray(value, object).reshape(-1).tolist()}
        wrong = [each.__name__ for each in found if each is bool or not issubclass(each, int | np.integer)]
        if wrong:
            raise ValueError(f"{wrong[0]} given")
        return np.asarray(value, dtype)  # OverflowError where one is too large
    if value.dtype.kind not in "iu":
        raise ValueError(f"{value.dtype.name} given")
    if value.size and not np.iinfo(dtype).min <= value.min() <= value.max() <= np.iinfo(dtype).max:
        raise ValueError(f"{value.min()} to {value.max()} is out of bounds")
    return value.astype(dtype)


def _strings(value: Any) -> np.ndarray:
    """Nested lists of str and bytes as an array of bytes."""
    shape, level = [], [value]
    while isinstance(level[0], list):
        if {type(each) for each in level} != {list} or len({len(each) for each in level}) != 1:
            raise ValueError("its rows are not alike")
        shape.append(len(level[0]))
        level = [element for each in level for element in each]
        if not level:
            break
    wrong = next((each for each in level if not isinstance(each, str | bytes)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r:.50} is neither text nor bytes")
    array = np.empty(len(level), object)
    array[:] = [each.encode() if isinstance(each, str) else each for each in level]
    return array.reshape(shape)


def _serialize(request: Any) -> bytes:
    return request.SerializeToString()


def _metadata(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")] if token else []


def _credentials(certificate: str) -> grpc.ChannelCredentials:
    try:
        return grpc.ssl_channel_credentials(Path(certificate).read_bytes() if certificate else None)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}.", where=certificate) from error


def _failure(address: str, error: Any) -> ServerError:
    code, details = Code(error.code().value[0]), error.details()
    temporary = code is Code.UNAVAILABLE
    if temporary and "connect" in details.lower():  # what grpcio says by itself where nobody listens
        return server_error(f"no answer: {details}", address, 0, remedy=NOT_RUNNING, temporary=True)
    remedy = "Is the model's name right, and is it loaded?" if code is Code.NOT_FOUND else ""
    problem = f"the server answered {code.name}: {details}"
    return server_error(problem, address, code.http, remedy=remedy, temporary=temporary)
