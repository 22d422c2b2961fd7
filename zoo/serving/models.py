"""Which versions of which models are served: found on disk, loaded, swapped, unloaded.

The rules are TensorFlow Serving's. A folder whose name is a number is a version. The newest is served, or what the
model's policy says. A new one is loaded and warmed up before the old one goes (AvailabilityPreservingPolicy), and the
old one goes when its last request is answered. A version that fails to load is tried again, while the old one answers.

All loading and unloading is done by one thread at a time, one version after another: the memory that a swap needs is
bounded, and nothing can overtake.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any

from zoo.errors import UserError
from zoo.serving import model_config
from zoo.serving.metrics import Metrics
from zoo.serving.model_config import Listed
from zoo.serving.servable import Servable
from zoo.serving.sources import Folder, List, Wanted, find_homes
from zoo.serving.status import Code, RequestError, invalid
from zoo.serving.versions import State, Status, Version

__all__ = ["Models", "State", "Status", "find_homes"]

log = logging.getLogger(__name__)

Labels = dict[str, dict[str, int]]  # model -> label -> version

_IDLE_SECONDS = 1.0  # from look to look for what is to be tried again, where the folders themselves are not watched


class Models:
    """The models of a folder, or those of a configuration.

    Args:
        source: a folder of model homes, or a model home (a home has versions, folders named by a number); or a
            ModelServerConfig.
        load: makes a version ready to answer: (folder, model, version) -> Servable.
        poll_seconds: how often folders are looked at; 0 is once, at the start.
        retries: how often a version that fails is tried again.
        retry_seconds: how long after. A version whose files have changed meanwhile is tried at once.
        labels_for_unavailable: whether a new label may stand for a version that is not AVAILABLE yet.
    """

    def __init__(
        self,
        source: str | Path | Any,
        load: Callable[[Path, str, int], Servable],
        *,
        poll_seconds: float = 1.0,
        retries: int = 5,
        retry_seconds: float = 60.0,
        labels_for_unavailable: bool = False,
    ) -> None:
        self.metrics = Metrics()
        self._load = load
        self._poll_seconds, self._retries, self._retry_seconds = poll_seconds, retries, retry_seconds
        self._labels_for_unavailable = labels_for_unavailable
        self._first = source
        self._source: Folder | List = List([])
        self._wanted: Wanted = {}
        self._models: dict[str, dict[int, Version]] = {}
        self._labels: Labels | None = None
        self._stopping = False
        self._changed = Condition()  # guards all of the above
        self._work = Lock()  # held by whoever loads and unloads
        self._thread = Thread(target=self._watch, name="zoo-serving-models", daemon=True)

    def start(self) -> None:
        """Loads what is there and returns when each model has an AVAILABLE version; then its folder is watched.

        Raises: UserError where there is no model, one does not become available, or the configuration is wrong.
        """
        try:
            if isinstance(self._first, str | Path):
                self._source, self._labels = Folder(self._first), {}
            else:
                self._configure(self._first)
            self._source.check()
            self._wanted = self._source.wanted()
            with self._work:
                self._follow(self._wanted, at_once=self._wanted)
            self._check_available(self._wanted)
        except RequestError as error:
            self.stop()
            remedy = ""
            if error.code is Code.UNKNOWN:
                remedy = "Repair these versions, or move their folders away."
            elif error.code is Code.FAILED_PRECONDITION:
                remedy = "--allow_version_labels_for_unavailable_models lets labels stand for versions to be loaded."
            raise UserError(f"Failed to start server. Error: {error}", remedy=remedy) from error
        self._thread.start()

    def reload(self, config: Any) -> None:
        """Replaces what is served by what a ModelServerConfig lists; models that it leaves out are unloaded.

        Returns when every model that is new has an AVAILABLE version.

        Raises: RequestError with Serving's code and text: where the configuration is wrong nothing has changed; where
            a new model does not become available (UNKNOWN), the configuration holds and its versions are tried again.
        """
        with self._work:
            before = set(self._source.names())
            self._configure(config)
            self._wanted = self._source.wanted()
            new = self._wanted.keys() - before
            self._follow(self._wanted, at_once=new)
        self._check_available(new)

    def stop(self) -> None:
        """Waits for the requests that are being answered, then unloads everything."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        with self._work:
            self._follow({})
            while leaving := self._leaving():
                with self._changed:
                    self._changed.wait_for(lambda: not any(version.users for version in leaving))
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
            label: the name of a version, instead of its number.
        Raises: RequestError: NOT_FOUND, or INVALID_ARGUMENT for a label that the model does not have.
        """
        with self._changed:
            if label is not None:
                version = self._labelled(name, label)
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
                if found.state is State.UNLOADING:
                    self._changed.notify_all()

    def status(self, name: str, version: int | None = None, label: str | None = None) -> list[Status]:
        """Where the versions of a model stand, newest first, those included that are no longer served.

        Raises: RequestError: NOT_FOUND, or INVALID_ARGUMENT for a label that the model does not have.
        """
        with self._changed:
            if label is not None:
                version = self._labelled(name, label)
            model = self._models.get(name, {})
            if version is not None and version not in model:
                raise RequestError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
            if not model:
                raise RequestError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
            return [model[each].status() for each in sorted(model, reverse=True) if version in (None, each)]

    def known(self, name: str) -> bool:
        """Whether a model of that name is, or was, served; for metrics, which strangers' names must not fill."""
        return name in self._models

    def _labelled(self, name: str, label: str) -> int:
        if self._labels is None:
            raise RequestError(Code.UNAVAILABLE, f"Model labels does not init yet.{label}")
        version = self._labels.get(name, {}).get(label)
        if version is None:
            raise invalid(f"Unrecognized servable version label: {label}")
        return version

    def _configure(self, config: Any) -> None:
        """Takes a configuration over once it is found to be right; loads nothing yet."""
        listed = model_config.check(config, None if self._labels is None else self._source.names())
        with self._changed:
            self._labels = {model.name: dict(self._assigned(model)) for model in listed}
            self._source = List(listed)

    def _assigned(self, model: Listed) -> Iterator[tuple[str, int]]:
        """The labels of a model, each checked as Serving's UpdateModelVersionLabelMap does."""
        before = (self._labels or {}).get(model.name, {})
        for label, number in model.labels.items():
            version = self._models.get(model.name, {}).get(number)
            available = version is not None and version.state is State.AVAILABLE
            fresh = before.get(label, number) == number
            if not available and not (self._labels_for_unavailable and fresh):
                raise RequestError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {model.name}, which is not currently "
                    "available for inference",
                )
            yield label, number

    def _check_available(self, names: Collection[str]) -> None:
        """Raises RequestError (UNKNOWN) where one of these models has no AVAILABLE version."""
        with self._changed:
            missing = [name for name in sorted(names) if not _newest(self._models.get(name, {}))]
            parts = []
            for name in missing:
                tried = [each for each in self._models.get(name, {}).values() if each.error]
                parts += [f"{{{{name: {name} version: {each.number}}} due to error: {each.error}}}, " for each in tried]
                parts += [] if tried else [f"{{{{name: {name}}}}}, "]
        if missing:
            text = f"{len(missing)} model(s) did not become available: {{{''.join(parts)}}}"
            raise RequestError(Code.UNKNOWN, text)

    def _watch(self) -> None:
        pause = min(self._poll_seconds or _IDLE_SECONDS, self._retry_seconds or _IDLE_SECONDS)
        while True:
            with self._changed:
                self._changed.wait_for(self._called, pause)
                if self._stopping:
                    return
            try:
                with self._work:
                    self._look()
                    self._follow(self._wanted)
            except Exception:
                log.exception("looking after the models failed; going on")

    def _look(self) -> None:
        if not self._poll_seconds:
            return
        try:
            self._wanted = self._source.wanted()
        except OSError as error:  # a disk that is gone for a moment takes no model with it
            log.warning("cannot look into %s: %s", error.filename, error.strerror)

    def _called(self) -> bool:
        """Whether there is something to do before the next look."""
        return self._stopping or any(not version.users for version in self._leaving())

    def _leaving(self) -> list[Version]:
        with self._changed:
            models = self._models.values()
            return [each for model in models for each in model.values() if each.state is State.UNLOADING]

    def _follow(self, wanted: Mapping[str, Mapping[int, Path]], at_once: Collection[str] = ()) -> None:
        """Makes what is served be what is wanted, as far as that can be done now; `_work` is held.

        Models that go are first, for their memory; requests that use them are not waited for.
        """
        for name in sorted(wanted.keys() | self._models.keys(), key=lambda name: (name in wanted, name)):
            folders = wanted.get(name, {})
            with self._changed:
                model = self._models.setdefault(name, {})
                for number in folders:
                    model.setdefault(number, Version(number)).path = folders[number]
            for number in folders:
                if model[number].due(name in at_once):
                    self._try_to_load(name, model[number])
            ready = not folders or any(model[number].state is State.AVAILABLE for number in folders)
            for version in (each for number, each in model.items() if number not in folders):
                version.tried = None  # should it be asked for again, that is a new start
                if version.state in (State.START, State.LOADING):
                    self._set(version, State.END, version.error)  # it never came to be
                elif version.state is State.AVAILABLE and ready:
                    self._set(version, State.UNLOADING)
            for version in model.values():
                if version.state is State.UNLOADING:
                    self._unload(name, version)

    def _try_to_load(self, name: str, version: Version) -> None:
        version.tried = version.seen
        self._set(version, State.LOADING, version.error)
        began = time.monotonic()
        try:
            servable = self._load(version.path, name, version.number)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, the others go on
            with self._changed:
                version.failed(error, self._retries, self._retry_seconds)
            said = version.error
            log.warning("%s version %d failed to load (attempt %d): %s", name, version.number, version.attempts, said)
            self.metrics.loads.add((str(version.path), "fail"))
            return
        seconds = time.monotonic() - began
        with self._changed:
            version.servable, version.attempts = servable, 0
        self._set(version, State.AVAILABLE)
        self.metrics.loads.add((str(version.path), "success"))
        self.metrics.load_latency.add((str(version.path),), round(seconds * 1e6))
        log.info("%s version %d is available (%.1f s)", name, version.number, seconds)

    def _unload(self, name: str, version: Version) -> None:
        """Gives the memory back, unless requests still use it: then at a later look, the last of them calls."""
        with self._changed:
            if version.users:
                return
            servable, version.servable = version.servable, None
        if servable:
            servable.close()
        self._set(version, State.END)
        log.info("%s version %d is unloaded", name, version.number)

    def _set(self, version: Version, state: State, error: RequestError | None = None) -> None:
        with self._changed:
            version.state, version.error = state, error


def _newest(model: Mapping[int, Version]) -> Version | None:
    available = [number for number, version in model.items() if version.state is State.AVAILABLE]
    return model[max(available)] if available else None
