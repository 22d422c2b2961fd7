"""Where versions come from: a folder of models, or the models of a list; what of it should be served."""

import logging
from collections.abc import Collection
from pathlib import Path

from zoo.errors import UserError
from zoo.serving.model_config import Listed, Policy

log = logging.getLogger(__name__)

Wanted = dict[str, dict[int, Path]]  # model -> version -> folder

_MOST = 2**63 - 1  # versions are int64


class Folder:
    """Every model home of a folder, or the one that the folder is; the newest version of each, Serving's default."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        self._last: Wanted = {}

    def names(self) -> list[str]:
        """The models that were there when last looked."""
        return list(self._last)

    def check(self) -> None:
        """Raises UserError where there is no model."""
        if not (self.path.is_dir() and find_homes(self.path)):
            raise _no_models(self.path)

    def wanted(self) -> Wanted:
        """What should be served.

        Raises: OSError where the folder cannot be read.
        """
        self._last = {name: _choose(Policy(), found) for name, found in find_homes(self.path).items()}
        return self._last


class List:
    """The models of a configuration."""

    def __init__(self, models: Collection[Listed]) -> None:
        self.models = models
        self._said: dict[str, str] = {}  # a folder is looked at every second; what is wrong is said when it begins
        self._last: Wanted = {}

    def names(self) -> list[str]:
        """The models of the list."""
        return [model.name for model in self.models]

    def check(self) -> None:
        """Raises UserError for a model whose folder is missing or holds no version, with Serving's text.

        Serving itself would wait for it, and not answer for other models either.
        """
        for model in self.models:
            if problem := self._find(model)[1]:
                raise UserError(problem, remedy="A model's base path holds numbered folders: 1/saved_model.pb.")

    def wanted(self) -> Wanted:
        """What should be served. Where a folder cannot be read it is what it was: a disk may be gone for a moment."""
        for model in self.models:
            self._last[model.name], problem = self._find(model)
            if problem and problem != self._said.get(model.name):
                log.warning("%s", problem)
            self._said[model.name] = problem
        return dict(self._last)

    def _find(self, model: Listed) -> tuple[dict[int, Path], str]:
        """The versions to serve, and what is wrong where there is none."""
        try:
            found = _choose(model.policy, versions(model.base_path))
        except OSError as error:
            at = f"base path {model.base_path} for servable {model.name}"
            return self._last.get(model.name, {}), f"Could not find {at} with error {error.strerror}"
        if found:
            return found, ""
        return {}, (
            f"No versions of servable {model.name} found under base path {model.base_path}. Did you forget to name "
            "your leaf directory as a number (eg. '/1/')?"
        )


def find_homes(base_path: Path) -> Wanted:
    """Name -> version -> folder of the models at a path: a model home, or a folder of them.

    Raises: OSError where the path cannot be read.
    """
    own = versions(base_path)
    if own:
        return {base_path.name: own}
    homes = {child.name: versions(child) for child in base_path.iterdir() if child.is_dir()}
    return {name: found for name, found in homes.items() if found}


def versions(home: Path) -> dict[int, Path]:
    """Folders named by a number, such as 1 or 0007; of two names for one number the last in order counts.

    Raises: OSError where the folder cannot be read.
    """
    found = {}
    for child in sorted(home.iterdir()):
        if child.name.isascii() and child.name.isdigit() and int(child.name) <= _MOST and child.is_dir():
            found[int(child.name)] = child
    return found


def _choose(policy: Policy, found: dict[int, Path]) -> dict[int, Path]:
    return {number: found[number] for number in policy.choose(found)}


def _no_models(path: Path) -> UserError:
    layout = "A model home holds numbered folders, each a whole SavedModel: NAME/1/saved_model.pb."
    if not path.is_dir():
        return UserError("there is no such folder.", where=str(path), remedy=layout)
    if (path / "saved_model.pb").exists():
        return UserError("this is one version of a model.", where=str(path), remedy=f"Give {path.parent}. {layout}")
    return UserError("no model is here, nor in the folders below.", where=str(path), remedy=layout)
