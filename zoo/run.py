"""A run: a folder in which one recipe is being, or was, trained.

    recipe.toml  environment.json  preprocessor/  checkpoints/  log.csv  samples.txt  curve.png

Starting the same recipe in the same folder again goes on where it stopped, at the very update.
"""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zoo import recipe as recipes
from zoo.data.choices import open_part
from zoo.data.prepared import Prepared, fingerprint_of, prepare
from zoo.errors import UserError
from zoo.progress import say, track
from zoo.recipe import Recipe
from zoo.tasks.task import Task, find, make

TEACHERS = "teachers"  # in the folder of a run: what they say, and those that are trained first
PACKAGES = ("zoo", "keras", "tensorflow", "jax", "torch", "grain", "numpy", "sentencepiece")


@dataclass(frozen=True)
class Start:
    """What a training goes on from: the weights, preprocessors and recipe of a run or a model home."""

    recipe: Recipe
    preprocessors: dict[str, Any]
    weights: dict[str, Any]

    @classmethod
    def of(cls, run: Run) -> Start:
        """The final weights of a run."""
        return cls(run.recipe, run.task.preprocessors, run.weights())


class Run:
    """A run folder and what belongs to it: recipe, task with its preprocessors, checkpoints.

    Args:
        folder: the run folder.
        recipe: as it was, or will be, trained.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = Path(folder), recipe
        self.task: Task = make(recipe)

    @classmethod
    def open(cls, folder: Path | str) -> Run:
        """An existing run, its preprocessors loaded.

        Raises: UserError where the folder holds no run.
        """
        folder = Path(folder)
        path = folder / "recipe.toml"
        if not path.is_file():
            raise UserError("this is no run: it has no recipe.toml", where=str(folder))
        recipe = recipes.read(path, find(recipes.peek_task(path)).schema())
        run = cls(folder, recipe)
        run.task.load(folder / "preprocessor")
        return run

    @property
    def checkpoints(self) -> Any:
        """Its checkpoints (`zoo.training.checkpoints.Checkpoints`)."""
        from zoo.training.checkpoints import Checkpoints

        return Checkpoints(self.folder / "checkpoints", self.recipe.training.keep)

    # Before the training.

    def claim(self) -> None:
        """Makes the folder, or checks that it belongs to this very recipe.

        Raises: UserError where another recipe is being trained there.
        """
        path = self.folder / "recipe.toml"
        if path.is_file():
            there = recipes.read(path, type(self.task).schema())
            if recipes.fingerprint(there) != recipes.fingerprint(self.recipe):
                raise UserError(
                    f"this folder holds the run of another recipe; {_difference(there, self.recipe)}",
                    where=str(self.folder),
                    remedy="Choose another folder by --run, or repeat the first recipe to go on with it.",
                )
            return
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError("this folder is not empty and holds no run", where=str(self.folder))
        self.folder.mkdir(parents=True, exist_ok=True)
        recipes.write(self.recipe, path)

    def prepare(
        self, preprocessors: dict[str, Any] | None = None, teachers: Sequence[Start] = ()
    ) -> tuple[Prepared, Prepared]:
        """Preprocessors loaded, taken over or learned, then the training and validation rows as arrays.

        Args:
            preprocessors: of what the training begins from.
            teachers: whose answers to the training examples are learned; they are kept in the run's folder.
        """
        folder, data = self.folder / "preprocessor", self.recipe.data
        tables = [open_part(data, part, self.task.columns) for part in ("train", "validation")]
        if folder.is_dir():
            self.task.load(folder)
        else:
            with track("reading the training data", total=None, unit="rows") as progress:
                if preprocessors:
                    self.task.adopt(preprocessors, tables[0], progress)
                else:
                    self.task.fit(tables[0], progress)
            draft = folder.with_name(".preprocessor")
            self.task.save(draft)
            draft.rename(folder)
        self.task.check()
        if teachers:
            tables[0] = self.task.taught(tables[0], teachers, self.folder / TEACHERS)
        parts = [self._prepare(part, table) for part, table in zip(("train", "validation"), tables, strict=True)]
        for part, rows in zip(("train", "validation"), parts, strict=True):
            dropped = "".join(f"; {count:,} left out: {reason}" for reason, count in rows.dropped.items())
            say(f"{part}: {len(rows):,} rows{dropped}")
        return parts[0], parts[1]

    def _prepare(self, part: str, table: Any) -> Prepared:
        data, task = self.recipe.data, self.task
        choices = (part, data.set, str(getattr(data, part)), str(data.columns))
        return prepare(
            task.arranged(table),
            task.encode,
            task.lengths,
            cache_folder(),
            fingerprint_of(table.files, task.fingerprint, *choices, *table.layout),
            keep=task.keep,
            workers=data.workers,
            description=f"preparing {part}",
        )

    # After it.

    def model(self, which: str = "final") -> Any:
        """The trained model.

        Args:
            which: "final" (what is exported: averaged as the recipe says, else the best), "best" or "last".
        """
        from zoo.training.checkpoints import restore_weights

        model = self.task.build_model(self.recipe.training.seed)
        restore_weights(model, self.weights(which))
        return model

    def weights(self, which: str = "final") -> dict[str, Any]:
        """Weights of the model by path; see `model`."""
        choices, checkpoints = self.recipe.training, self.checkpoints
        if which == "final" and choices.average_checkpoints > 1:
            return checkpoints.average(choices.average_checkpoints)
        # An exponential average is best at the end, whatever the evaluations of the plain weights said.
        found = checkpoints.latest() if which == "last" or choices.average_decay else checkpoints.best()
        if found is None:
            raise UserError("this run has no checkpoint yet", where=str(self.folder))
        return found[0]


def cache_folder() -> Path:
    """Where prepared data is kept: $ZOO_CACHE/prepared, by default ~/.cache/zoo/prepared."""
    return Path(os.environ.get("ZOO_CACHE", Path.home() / ".cache" / "zoo")) / "prepared"


def environment() -> dict[str, Any]:
    """What a run was trained with: versions, backend, processor."""
    import keras

    found = {"python": platform.python_version(), "backend": keras.backend.backend(), "cores": os.cpu_count()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "machine": f"{platform.system()} {platform.machine()}"}


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which ends with the process however it ends.

    Raises: UserError where another process trains there.
    """
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another process trains in this folder", where=str(folder)) from None
        yield


def _difference(there: Recipe, here: Recipe) -> str:
    for name, section in there.sections.items():
        for field, value in asdict(section).items():
            other = getattr(here.sections[name], field, None)
            if other != value:
                return f"there {name}.{field} is {value!r}, here {other!r}"
    return f"there the task is {there.task}, here {here.task}"
