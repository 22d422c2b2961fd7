"""What the clients over REST and gRPC share: what is asked of a server, and how it fails."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from zoo.errors import UserError

NOT_RUNNING = "Is a server running? python -m apps.serve FOLDER starts one."


class ServerError(UserError):
    """What a server answered instead of a result.

    Attributes:
        status: the HTTP status, over gRPC too; 0 where no server answered.
        temporary: whether it makes sense to ask again in a moment: no connection, or a server that is busy.
    """

    status: int = 0
    temporary: bool = False


class Ask(NamedTuple):
    """A question to a server.

    Attributes:
        kind: "predict", "signatures" or "status".
        model: the model's name.
        version: its version; None for the newest.
        signature: for "predict": the name of the signature, and …
        inputs: … its inputs: name -> values as `zoo.serving.values.plain` gives them.
        takes: data type of each input of the signature.
        gives: data type of each output.
    """

    kind: str
    model: str
    version: int | None = None
    signature: str = ""
    inputs: Mapping[str, Any] = {}
    takes: Mapping[str, str] = {}
    gives: Mapping[str, str] = {}


def server_error(problem: str, where: str, status: int, *, remedy: str = "", temporary: bool = False) -> ServerError:
    """A ServerError with its attributes."""
    error = ServerError(problem, where=where, remedy=remedy)
    error.status, error.temporary = status, temporary
    return error
