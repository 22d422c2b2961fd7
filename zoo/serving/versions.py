"""A version of a model: where it stands, who uses it, when it is loaded and when it is tried again."""

import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError


class State(Enum):
    """Where a version stands, by the names of TensorFlow Serving's status API."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


class Status(NamedTuple):
    """What the status API says of a version."""

    version: int
    state: State
    code: Code
    message: str


@dataclass
class Version:
    """One version; the thread that loads is the only one to change its state."""

    number: int
    path: Path = Path()
    state: State = State.START
    error: RequestError | None = None
    servable: Servable | None = None
    users: int = 0  # requests that are being answered
    attempts: int = 0
    retry_at: float = 0.0
    seen: object = field(default=None, repr=False)  # the folder's files as they were when last looked at …
    tried: object = field(default=None, repr=False)  # … and at the last attempt

    def due(self, at_once: bool) -> bool:
        """Whether to load it now. Files must have rested from one look to the next: nobody is still copying them."""
        now_seen = _look(self.path)
        rested, self.seen = at_once or now_seen == self.seen, now_seen
        if not rested or self.state in (State.AVAILABLE, State.UNLOADING):
            return False
        if self.state is State.START or now_seen != self.tried or (self.state is State.END and self.error is None):
            self.attempts = 0  # new, or changed since it failed, or unloaded and asked for again
            return True
        return self.state is State.LOADING and time.monotonic() >= self.retry_at

    def failed(self, error: Exception, retries: int, retry_seconds: float) -> None:
        """Notes a load that failed: to be tried again, or given up."""
        self.attempts += 1
        self.retry_at = time.monotonic() + retry_seconds
        code, message = (error.code, error.message) if isinstance(error, RequestError) else (Code.INTERNAL, repr(error))
        self.error = RequestError(code, message)  # anew: the traceback of the other keeps the weights in memory
        self.state = State.END if self.attempts > retries else State.LOADING

    def status(self) -> Status:
        """What the status API says of it."""
        code, message = (self.error.code, self.error.message) if self.error else (Code.OK, "")
        return Status(self.number, self.state, code, message)


def _look(path: Path) -> object:
    """What tells one state of a folder from another."""
    try:
        return sorted((str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in path.rglob("*"))
    except OSError:  # a file that went while we looked
        return None
