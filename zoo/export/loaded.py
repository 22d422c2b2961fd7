"""An exported model in Python: raw inputs in, raw answers out. Needs TensorFlow and TensorFlow Text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo import recipe as recipes
from zoo.errors import UserError, nearest
from zoo.export.bundle import FORMAT, by_input, size_of
from zoo.progress import track
from zoo.recipe import Recipe
from zoo.tasks.task import Task, find, make

ROWS = 32  # rows that are answered together


class Attention(NamedTuple):
    """What each piece of an answer attended to: weights float32 [T, S] over its pieces and those of the text."""

    source_pieces: list[str]
    target_pieces: list[str]
    weights: np.ndarray


class Loaded:
    """A version of a model home.

    Args:
        folder: the version folder.
    Raises: UserError where a newer zoo wrote it.
    """

    def __init__(self, folder: Path) -> None:
        _check_format(folder)
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  (registers the ops that the graph uses)

        self.folder = folder
        self._served = tf.saved_model.load(str(folder))  # held: signatures alone do not keep their variables

    def __call__(self, raws: Sequence[Any]) -> list[Any]:
        """The answer to each raw input, as the task tells it: of a translator a text, of a classifier a label."""
        return [self.task.answer(row) for row in self.rows(self.task.asked, raws)]

    def n_best(self, texts: Sequence[str | bytes]) -> list[tuple[list[str], list[float]]]:
        """Several answers of each text, best first, and their scores."""
        return [(row["texts"], row["scores"]) for row in self.rows("n_best", texts)]

    def sample(self, texts: Sequence[str | bytes]) -> list[str]:
        """An answer of each text, drawn at random."""
        return [row["text"] for row in self.rows("sample", texts)]

    def attention(self, texts: Sequence[str | bytes]) -> list[Attention]:
        """What each piece of the best answers attended to."""
        found = []
        for row in self.rows("attention", texts):
            source, target = row["source_count"], row["target_count"]
            weights = np.array(row["weights"], "float32")[:target, :source]
            found.append(Attention(row["source_pieces"][:source], row["target_pieces"][:target], weights))
        return found

    def rows(self, signature: str, raws: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """The outputs of a signature for each raw input, in order; those of like length are answered together.

        Args:
            signature: its name.
            raws: values, or tuples of them where the signature has several inputs, in the order of `signatures`.

        Raises: UserError for an unknown signature, and where one string is given instead of a list of them.
        """
        import tensorflow as tf

        if isinstance(raws, str | bytes):
            raise UserError("a list of texts is wanted, and one text was given", remedy="Put it into a list.")
        if signature not in self.signatures:
            raise UserError(f'no signature "{signature}".{nearest(signature, self.signatures)}', where=str(self.folder))
        function, names = self._served.signatures[signature], list(self.signatures[signature]["inputs"])
        order = sorted(range(len(raws)), key=lambda index: size_of(raws[index]))
        answers: list[Any] = [None] * len(raws)
        shown = track("answering", len(raws), "rows") if len(raws) > ROWS else nullcontext(None)
        with shown as progress:
            for first in range(0, len(order), ROWS):
                chosen = order[first : first + ROWS]
                inputs = by_input(names, [raws[index] for index in chosen])
                outputs = function(**{name: tf.constant(values) for name, values in inputs.items()})
                plain = {name: _plain(name, tensor.numpy()) for name, tensor in outputs.items()}
                for row, index in enumerate(chosen):
                    answers[index] = {name: values[row] for name, values in plain.items()}
                if progress:
                    progress.advance(len(chosen))
        return iter(answers)

    @cached_property
    def signatures(self) -> dict[str, Any]:
        """What it answers: by name, inputs and outputs with their dtypes, in order."""
        path = self.folder / "assets.extra" / "signatures.json"
        return json.loads(path.read_text(encoding="utf-8"))["signatures"]

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that it was trained by."""
        path = self.folder / "assets.extra" / "recipe.toml"
        return recipes.read(path, find(recipes.peek_task(path)).schema())

    @cached_property
    def task(self) -> Task:
        """What it was made for, preprocessors loaded."""
        task = make(self.recipe)
        task.load(self.folder / "assets.extra" / "preprocessor")
        return task

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights as a checkpoint names them, to go on training from: float32, by "model/…"."""
        exporter = import_module(self.task.exporter.partition(":")[0])
        return {f"model/{path}": value for path, value in exporter.weights_of(self._served, self.task).items()}

    @cached_property
    def scores(self) -> dict[str, Any]:
        """What was measured at the export."""
        return json.loads((self.folder / "assets.extra" / "scores.json").read_text(encoding="utf-8"))


def _check_format(folder: Path) -> None:
    path = folder / "assets.extra" / "signatures.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8"))["format"] > FORMAT:
        problem = f"this version is of a newer format than {FORMAT}, which this zoo reads"
        raise UserError(problem, where=str(path), remedy="Install a newer zoo.")


def _plain(name: str, values: np.ndarray) -> Any:
    """Python values; strings become text unless the name of the output ends in _bytes."""
    if values.dtype != object or name.endswith("_bytes"):
        return values.tolist()
    return np.vectorize(lambda value: value.decode("utf-8"), otypes=[object])(values).tolist() if values.size else []


def load(path: str | Path) -> Loaded:
    """The newest version of a model home, or the version whose folder is given.

    Raises: UserError where there is no version.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return Loaded(path)
    numbers = versions(path)
    if not numbers:
        remedy = "`zoo TASK export RUN HOME` makes one."
        raise UserError("no version of a model is here", where=str(path), remedy=remedy)
    return Loaded(path / str(numbers[-1]))


def versions(home: Path) -> list[int]:
    """The numbers of a home's versions, rising."""
    if not home.is_dir():
        return []
    return sorted(int(each.name) for each in home.iterdir() if each.name.isdecimal() and each.is_dir())
