"""What a call over gRPC passes before it is answered."""

import hmac
from collections.abc import Callable, Mapping
from typing import Any

import grpc

_HEALTH = "/grpc.health.v1.Health/"


class Doorkeeper(grpc.ServerInterceptor):
    """Lets in who brings the token; probes of the health service, which cannot, come in without."""

    def __init__(self, token: str) -> None:
        self._wanted = f"Bearer {token}".encode()

        def refuse(request: Any, context: Any) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "A valid bearer token is required.")

        self._refuse = grpc.unary_unary_rpc_method_handler(refuse)

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Hands a call on, or refuses it."""
        metadata: Mapping[str, Any] = dict(handler_call_details.invocation_metadata)
        brought = metadata.get("authorization", "")
        brought = brought.encode() if isinstance(brought, str) else brought
        if handler_call_details.method.startswith(_HEALTH) or hmac.compare_digest(brought, self._wanted):
            return continuation(handler_call_details)
        return self._refuse


class Reader(grpc.ServerInterceptor):
    """Reads the messages of calls that have one and get one.

    What is none is INVALID_ARGUMENT: grpcio by itself says INTERNAL, as if the server were at fault, and writes a
    traceback into the log for each.
    """

    def __init__(self) -> None:
        self._reading: dict[str, Any] = {}

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """The method's own handler, or one that reads for it."""
        method = handler_call_details.method
        known = self._reading.get(method)
        if known is not None:
            return known
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        self._reading[method] = reading = grpc.unary_unary_rpc_method_handler(
            _reading(handler.unary_unary, handler.request_deserializer), None, handler.response_serializer
        )
        return reading


def _reading(answer: Callable[[Any, Any], Any], read: Callable[[bytes], Any]) -> Callable[[bytes, Any], Any]:
    from google.protobuf.message import DecodeError

    def read_and_answer(raw: bytes, context: Any) -> Any:
        try:
            request = read(raw)
        except DecodeError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"This is no message for this method: {error}")
        return answer(request, context)

    return read_and_answer
