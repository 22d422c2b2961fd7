"""Which versions of which models are served: found on disk, loaded, swapped, unloaded.

The rules are TensorFlow Serving's. A folder whose name is a number is a version. The newest is served. A new one is
loaded and warmed up before the old one goes (its AvailabilityPreservingPolicy), and the old one goes when its last
request is answered. A version that fails to load is tried again, while the old one answers.

One thread does all of that, one thing after another: the memory that a swap needs is bounded, and nothing can overtake.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from threading import Condition, Event, Thread
from typing import NamedTuple

from zoo.errors import UserError
from zoo.serving.servable import Servable
from zoo.serving.status import Code, RequestError, invalid

log = logging.getLogger(__name__)

_MOST = 2**63 - 1  # versions are int64


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
class _Version:
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

    def due(self, now_seen: object, at_once: bool) -> bool:
        """Whether to load it now. Files must have rested from one look to the next: nobody is still copying them."""
        rested, self.seen = at_once or now_seen == self.seen, now_seen
        if not rested or self.state is State.AVAILABLE:
            return False
        if self.state is State.START or now_seen != self.tried or (self.state is State.END and self.error is None):
            self.attempts = 0  # new, or changed since it failed, or unloaded and asked for again
            return True
        return self.state is State.LOADING and time.monotonic() >= self.retry_at

    def status(self) -> Status:
        code, message = (self.error.code, self.error.message) if self.error else (Code.OK, "")
        return Status(self.number, self.state, code, message)


class Models:
    """The models below a folder, or the one whose home the folder is.

    Args:
        base_path: a folder of model homes, or a model home; a home has versions, folders named by a number.
        load: makes a version ready to answer: (folder, model, version) -> Servable.
        poll_seconds: how often the folder is looked at.
        retries: how often a version that fails is tried again.
        retry_seconds: how long after. A version whose files have changed meanwhile is tried at once.
    """

    def __init__(
        self,
        base_path: str | Path,
        load: Callable[[Path, str, int], Servable],
        *,
        poll_seconds: float = 1.0,
        retries: int = 5,
        retry_seconds: float = 60.0,
    ) -> None:
        self.base_path = Path(base_path).resolve()
        self._load = load
        self._poll_seconds, self._retries, self._retry_seconds = poll_seconds, retries, retry_seconds
        self._models: dict[str, dict[int, _Version]] = {}
        self._changed = Condition()  # guards all of the above
        self._stopping = Event()
        self._thread = Thread(target=self._watch, name="zoo-serving-models", daemon=True)

    def start(self) -> None:
        """Loads what is there and returns when all of it is AVAILABLE; from then on the folder is watched.

        Raises: UserError where there is no model, or one does not become available.
        """
        homes = find_homes(self.base_path) if self.base_path.is_dir() else {}
        if not homes:
            raise _no_models(self.base_path)
        self._follow(homes, at_once=True)
        failed = {
            name: str(each.error) for name, model in self._models.items() for each in model.values() if each.error
        }
        if failed:
            self.stop()
            listing = "; ".join(f"{name}: {error}" for name, error in sorted(failed.items()))
            raise UserError(
                f"{len(failed)} model(s) did not become available: {{{listing}}}",
                where=str(self.base_path),
                remedy="Repair these versions, or move their folders away.",
            )
        self._thread.start()

    def stop(self) -> None:
        """Waits for the requests that are being answered, then unloads everything."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._follow({})

    def names(self) -> list[str]:
        """The models that have an available version, sorted."""
        with self._changed:
            return sorted(name for name, model in self._models.items() if _newest(model))

    @contextmanager
    def use(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """The version that answers a request, kept in memory until the block is left.

        Args:
            name: the model.
            version: None for the newest that is available.
            label: the name of a version. (No version has one yet.)
        Raises: RequestError: NOT_FOUND, or INVALID_ARGUMENT for a label.
        """
        _refuse_label(label)
        with self._changed:
            model = self._models.get(name, {})
            found = _newest(model) if version is None else model.get(version)
            if found is None or found.state is not State.AVAILABLE or found.servable is None:
                asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise RequestError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
            servable = found.servable
            found.users += 1
        try:
            yield servable
        finally:
            with self._changed:
                found.users -= 1
                self._changed.notify_all()

    def status(self, name: str, version: int | None = None, label: str | None = None) -> list[Status]:
        """Where the versions of a model stand, newest first, those included that are no longer served.

        Raises: RequestError (NOT_FOUND), or INVALID_ARGUMENT for a label.
        """
        _refuse_label(label)
        with self._changed:
            model = self._models.get(name, {})
            if version is not None and version not in model:
                raise RequestError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
            if not model:
                raise RequestError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
            return [model[each].status() for each in sorted(model, reverse=True) if version in (None, each)]

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            try:
                self._follow(find_homes(self.base_path))
            except OSError as error:  # a disk that is gone for a moment takes no model with it
                log.warning("cannot look into %s: %s", self.base_path, error)
            except Exception:
                log.exception("looking after the models failed; going on")

    def _follow(self, homes: Mapping[str, Mapping[int, Path]], at_once: bool = False) -> None:
        """Makes what is served be what is on disk."""
        for name in sorted(homes.keys() | self._models.keys()):
            folders = homes.get(name, {})
            wanted = _aspired(folders)
            with self._changed:
                model = self._models.setdefault(name, {})
                for number in wanted:
                    model.setdefault(number, _Version(number)).path = folders[number]
            for number in wanted:
                if model[number].due(_look(folders[number]), at_once):
                    self._try_to_load(name, model[number])
            ready = all(model[number].state is State.AVAILABLE for number in wanted)
            for version in (each for number, each in model.items() if number not in wanted):
                version.tried = None  # should it be asked for again, that is a new start
                if version.state in (State.START, State.LOADING):
                    self._set(version, State.END, version.error)  # it never came to be
                elif version.state is State.AVAILABLE and ready:
                    self._unload(name, version)

    def _try_to_load(self, name: str, version: _Version) -> None:
        version.tried = version.seen
        self._set(version, State.LOADING, version.error)
        began = time.monotonic()
        try:
            servable = self._load(version.path, name, version.number)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, the others go on
            self._failed(name, version, error)
            return
        with self._changed:
            version.servable, version.attempts = servable, 0
        self._set(version, State.AVAILABLE)
        log.info("%s version %d is available (%.1f s)", name, version.number, time.monotonic() - began)

    def _failed(self, name: str, version: _Version, error: Exception) -> None:
        version.attempts += 1
        version.retry_at = time.monotonic() + self._retry_seconds
        code, message = (error.code, error.message) if isinstance(error, RequestError) else (Code.INTERNAL, repr(error))
        known = RequestError(code, message)  # anew: the traceback of the other keeps the weights in memory
        given_up = version.attempts > self._retries
        self._set(version, State.END if given_up else State.LOADING, known)
        log.warning("%s version %d failed to load (attempt %d): %s", name, version.number, version.attempts, known)

    def _unload(self, name: str, version: _Version) -> None:
        self._set(version, State.UNLOADING)
        with self._changed:
            self._changed.wait_for(lambda: not version.users)
            servable, version.servable = version.servable, None
        if servable:
            servable.close()
        self._set(version, State.END)
        log.info("%s version %d is unloaded", name, version.number)

    def _set(self, version: _Version, state: State, error: RequestError | None = None) -> None:
        with self._changed:
            version.state, version.error = state, error


def find_homes(base_path: Path) -> dict[str, dict[int, Path]]:
    """Name -> version -> folder of the models at a path: a model home, or a folder of them.

    Raises: OSError where the path cannot be read.
    """
    own = _versions(base_path)
    if own:
        return {base_path.name: own}
    homes = {child.name: _versions(child) for child in base_path.iterdir() if child.is_dir()}
    return {name: versions for name, versions in homes.items() if versions}


def _versions(home: Path) -> dict[int, Path]:
    """Folders named by a number, such as 1 or 0007; of two names for one number the last in order counts."""
    found = {}
    for child in sorted(home.iterdir()):
        if child.name.isascii() and child.name.isdigit() and int(child.name) <= _MOST and child.is_dir():
            found[int(child.name)] = child
    return found


def _aspired(versions: Collection[int]) -> list[int]:
    """The versions that should be served: the newest, which is Serving's default policy, latest { num_versions: 1 }."""
    return [max(versions)] if versions else []


def _newest(model: Mapping[int, _Version]) -> _Version | None:
    available = [number for number, version in model.items() if version.state is State.AVAILABLE]
    return model[max(available)] if available else None


def _refuse_label(label: str | None) -> None:
    if label is not None:
        raise invalid(f"Unrecognized servable version label: {label}")


def _look(path: Path) -> object:
    """What tells one state of a folder from another."""
    try:
        return sorted((str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in path.rglob("*"))
    except OSError:  # a file that went while we looked
        return None


def _no_models(path: Path) -> UserError:
    layout = "A model home holds numbered folders, each a whole SavedModel: NAME/1/saved_model.pb."
    if not path.is_dir():
        return UserError("there is no such folder.", where=str(path), remedy=layout)
    if (path / "saved_model.pb").exists():
        return UserError("this is one version of a model.", where=str(path), remedy=f"Give {path.parent}. {layout}")
    return UserError("no model is here, nor in the folders below.", where=str(path), remedy=layout)
