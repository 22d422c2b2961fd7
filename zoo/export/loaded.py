"""An exported model in Python: raw inputs in, raw answers out. Needs TensorFlow and TensorFlow Text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.export.bundle import FORMAT
from zoo.progress import track
from zoo.recipe import Recipe
from zoo.tasks.task import find, make

ROWS = 32  # texts that are answered together


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

    def __call__(self, texts: Sequence[str | bytes]) -> list[str]:
        """The best answer of each text."""
        return [row["text"] for row in self.rows("serving_default", texts)]

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

    def rows(self, signature: str, texts: Sequence[str | bytes]) -> Iterator[dict[str, Any]]:
        """The outputs of a signature for each text, in order; texts of like length are answered together.

        Raises: UserError where one string is given instead of a list of them.
        """
        import tensorflow as tf

        if isinstance(texts, str | bytes):
            raise UserError("a list of texts is wanted, and one text was given", remedy="Put it into a list.")
        function = self._served.signatures[signature]
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        answers: list[Any] = [None] * len(texts)
        shown = track("answering", len(texts), "texts") if len(texts) > ROWS else nullcontext(None)
        with shown as progress:
            for first in range(0, len(order), ROWS):
                chosen = order[first : first + ROWS]
                outputs = function(text=tf.constant([texts[index] for index in chosen]))
                plain = {name: _plain(tensor.numpy()) for name, tensor in outputs.items()}
                for row, index in enumerate(chosen):
                    answers[index] = {name: values[row] for name, values in plain.items()}
                if progress:
                    progress.advance(len(chosen))
        return iter(answers)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that it was trained by."""
        path = self.folder / "assets.extra" / "recipe.toml"
        return recipes.read(path, find(recipes.peek_task(path)).schema())

    @cached_property
    def preprocessors(self) -> dict[str, Any]:
        """The preprocessors, as the task holds them."""
        task = make(self.recipe)
        task.load(self.folder / "assets.extra" / "preprocessor")
        return task.preprocessors

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights as a checkpoint names them, to go on training from: float32, by "model/…"."""
        from zoo.export.seq2seq_weights import undo_layout

        sizes = {f"{side}_vocabulary": each.size for side, each in self.preprocessors.items()}
        config = replace(self.recipe.model.config, **sizes)
        arrays = {name: variable.numpy() for name, variable in self._served.model.stored.items()}
        return {f"model/seq2seq/{path}": value for path, value in undo_layout(arrays, config).items()}

    @cached_property
    def scores(self) -> dict[str, Any]:
        """What was measured at the export."""
        return json.loads((self.folder / "assets.extra" / "scores.json").read_text(encoding="utf-8"))


def _check_format(folder: Path) -> None:
    path = folder / "assets.extra" / "signatures.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8"))["format"] > FORMAT:
        problem = f"this version is of a newer format than {FORMAT}, which this zoo reads"
        raise UserError(problem, where=str(path), remedy="Install a newer zoo.")


def _plain(values: np.ndarray) -> Any:
    """Python values; bytes become text."""
    if values.dtype == object:
        return (
            np.vectorize(lambda value: value.decode("utf-8"), otypes=[object])(values).tolist() if values.size else []
        )
    return values.tolist()


def load(path: str | Path) -> Loaded:
    """The newest version of a model home, or the version whose folder is given.

    Raises: UserError where there is no version.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return Loaded(path)
    numbers = versions(path)
    if not numbers:
        raise UserError("no version of a model is here", where=str(path), remedy="`zoo translate export` makes one.")
    return Loaded(path / str(numbers[-1]))


def versions(home: Path) -> list[int]:
    """The numbers of a home's versions, rising."""
    if not home.is_dir():
        return []
    return sorted(int(each.name) for each in home.iterdir() if each.name.isdecimal() and each.is_dir())
