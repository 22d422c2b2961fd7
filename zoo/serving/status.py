"""How requests fail: the canonical codes that gRPC and TensorFlow Serving use, and what REST makes of them."""

from enum import IntEnum


class Code(IntEnum):
    """The canonical codes; numbers and names are those of google.rpc.Code, tf.errors and grpc.StatusCode."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def http(self) -> int:
        """The HTTP status that TensorFlow Serving answers with for this code (its http_server.cc)."""
        return _HTTP.get(self, 500)


_HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}


class RequestError(Exception):
    """A request that cannot be answered, or a version that cannot be served.

    Args:
        code: the canonical code.
        message: the text for the client, word for word TensorFlow Serving's where it has one.
        http: the HTTP status, where it is not the code's own.
    """

    def __init__(self, code: Code, message: str, *, http: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http = http or code.http

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def invalid(message: str) -> RequestError:
    """An INVALID_ARGUMENT, by far the most frequent of them."""
    return RequestError(Code.INVALID_ARGUMENT, message)
