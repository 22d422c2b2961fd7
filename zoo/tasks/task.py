"""The contract of a task: what the user wants done, from raw columns to a scored answer.

A task knows columns, families, preprocessors, losses and scores. It knows nothing of folders of runs, devices,
servers or command lines. One instance belongs to one recipe and, once fitted or loaded, holds its preprocessors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo.data.plan import Shape
from zoo.data.tables import Table
from zoo.errors import UserError, nearest
from zoo.recipe import Recipe, Schema


def resolve(name: str) -> Any:
    """The object that a "module:attribute" string names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True)
class Signature:
    """One frozen signature of the export: names and dtypes, in order; every first dimension is the batch."""

    inputs: dict[str, str]
    outputs: dict[str, str]
    about: str = ""


@dataclass(frozen=True)
class OwnPlan:
    """How a training on the user's own file is planned where no recipe says it.

    epochs: times through the examples. alone: what the recipe says, by section, where it begins from nothing.
    """

    epochs: int
    alone: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Task(ABC):
    """What every task offers. `make` (below) builds the one that a recipe names.

    Attributes:
        columns: names of the raw values of an example, the answer last.
        asked: the signature of the export that answers to what `raw` gives; evaluation goes through it.
        exporter: "module:function" in zoo.export that builds the graph of this task (a name, since a task may not
            import a room above it).
        own: for a training on the user's own file without a recipe.
        preprocessors: by name; empty until `fit` or `load`.
    """

    name: ClassVar[str]
    columns: tuple[str, ...]
    exporter: ClassVar[str]
    asked: ClassVar[str] = "serving_default"
    own: ClassVar[OwnPlan] = OwnPlan(epochs=4)

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.preprocessors: dict[str, Any] = {}

    @classmethod
    @abstractmethod
    def schema(cls) -> Schema:
        """The sections of its recipes."""

    @abstractmethod
    def fit(self, examples: Iterable[Any], progress: Any = None) -> None:
        """Learns the preprocessors from the training examples."""

    def adopt(self, preprocessors: Mapping[str, Any], examples: Iterable[Any], progress: Any = None) -> None:
        """Takes over the preprocessors of another run or home instead of learning its own.

        Args:
            preprocessors: the other's, by name.
            examples: the training examples, for what a task learns of them nevertheless, such as its labels.
            progress: advanced by one a row that is read.

        Raises: UserError where they do not serve this task.
        """
        self.preprocessors = dict(preprocessors)

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the preprocessors."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Reads what `save` wrote."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of all that decides what `encode` and `keep` give."""

    def arranged(self, table: Table) -> Table:
        """The examples as `encode` is to have them, once the preprocessors are there: by default as they are."""
        return table

    @property
    def teachers(self) -> Sequence[str]:
        """Models whose answers are learned: runs, model homes, or recipes of this task, which are trained first."""
        return ()

    def taught(self, table: Table, teachers: Sequence[Any], folder: Path) -> Table:
        """The training examples with what the `teachers`, one or more, say of each.

        Args:
            table: the examples.
            teachers: `recipe`, `preprocessors` and `weights` of each (`zoo.run.Start`).
            folder: where their answers are kept, and found on a resume.

        Raises: UserError where one is a teacher of something else.
        """
        raise NotImplementedError(f"{self.name} has no teachers")

    @abstractmethod
    def encode(self, values: Mapping[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        """Raw values to arrays, once, when data is prepared; deterministic and picklable.

        Returns: a row; a list of them where a task makes several of an example, which are then drawn apart.
        """

    @abstractmethod
    def lengths(self, row: Mapping[str, Any]) -> tuple[int, ...]:
        """Upper bounds of the row's lengths, one a side."""

    def room(self, values: Mapping[str, Any]) -> float:
        """About how many positions of a batch an example will take, before there are preprocessors: of texts a
        position for four characters.
        """
        inputs = [values[name] for name in self.columns[:-1] or self.columns]
        return sum(len(each if isinstance(each, str) else " ".join(map(str, each))) for each in inputs) / 4

    @abstractmethod
    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        """Why the row is left out, or None."""

    transform: Callable[[dict[str, Any], np.random.Generator], dict[str, Any]] | None = None
    """Done anew each time a row is drawn; None where nothing is."""

    @abstractmethod
    def make_batch(self, rows: Sequence[dict[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """Arrays padded to a shape, masks included; rows that are not there are all padding."""

    @abstractmethod
    def build_model(self, seed: int) -> Any:
        """A new keras.Model for the fitted preprocessors."""

    @abstractmethod
    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        """Sums of what is minimised; see `zoo.training.objective`."""

    @abstractmethod
    def predict(self, model: Any, raws: Sequence[Any]) -> list[Any]:
        """Raw inputs to raw answers, on any backend, without TensorFlow."""

    def inputs(self) -> tuple[str, ...]:
        """The columns that are raw inputs, in the order of those of the signature asked; the rest is the answer."""
        return self.columns[:-1]

    def raw(self, values: Mapping[str, Any]) -> Any:
        """What `predict` takes for an example: its input, or a tuple of them where there are several."""
        found = tuple(values[name] for name in self.inputs())
        return found[0] if len(found) == 1 else found

    def reference(self, values: Mapping[str, Any]) -> Any:
        """What `score` compares the answer to an example with: the value of the last column."""
        return values[self.columns[-1]]

    @abstractmethod
    def answer(self, row: Mapping[str, Any]) -> Any:
        """What `predict` returns and `score` takes, from one row of the outputs of the signature asked."""

    def check(self) -> None:
        """Says before the data is prepared what would fail after it; the preprocessors are there.

        Raises: UserError naming the field of the recipe.
        """

    def start_from(self, model: Any, start: Any) -> list[str]:
        """Takes over the weights of another run or home before the training begins.

        Args:
            model: as `build_model` made it.
            start: `recipe`, `preprocessors` and `weights`, by path, of the other (`zoo.run.Start`).

        Returns: lines for the user: what was taken, what begins anew.

        Raises: UserError where the weights do not fit.
        """
        from zoo.training.checkpoints import restore_weights

        restore_weights(model, start.weights)
        return []

    @abstractmethod
    def score(self, answers: Sequence[Any], references: Sequence[Any]) -> list[Any]:
        """The field's scores, the one that selects first (`zoo.evaluation`)."""

    def more_scores(self, rows: Sequence[Mapping[str, Any]], references: Sequence[Any]) -> list[Any]:
        """Scores of an exported model that take more of its outputs than `answer` keeps, such as probabilities.

        Args:
            rows: of the outputs of the signature asked, as `answer` takes them.
        """
        return []

    def scores_by_label(self, answers: Sequence[Any], references: Sequence[Any]) -> list[Any]:
        """A score for each label; none where a task has no labels."""
        return []

    def advice(self, ask: Callable[[str], Iterable[Mapping[str, Any]]], references: Sequence[Any]) -> list[str]:
        """Lines for the user: what a scored set says of the recipe's choices, such as a better threshold.

        Args:
            ask: the name of a signature -> its outputs for each input of the set, in order.
            references: of the set, as `score` takes them.
        """
        return []

    @abstractmethod
    def signatures(self) -> dict[str, Signature]:
        """The signatures of the export, by name."""


TASKS = {
    "answer": "zoo.tasks.answer:Answer",
    "classify_images": "zoo.tasks.classify_images:ClassifyImages",
    "classify_text": "zoo.tasks.classify_text:ClassifyText",
    "embed": "zoo.tasks.embed:Embed",
    "fill_mask": "zoo.tasks.fill_mask:FillMask",
    "score_pair": "zoo.tasks.score_pair:ScorePair",
    "tag": "zoo.tasks.tag:Tag",
    "translate": "zoo.tasks.translate:Translate",
}
"""The tasks by name; a new one adds its one line here."""


def find(name: str) -> type[Task]:
    """The task class of a name.

    Raises: UserError for a name that is no task.
    """
    if name not in TASKS:
        raise UserError(f'unknown task "{name}".{nearest(name, TASKS)}', remedy=f"Known: {', '.join(TASKS)}.")
    return resolve(TASKS[name])


def make(recipe: Recipe) -> Task:
    """The task of a recipe."""
    return find(recipe.task)(recipe)
