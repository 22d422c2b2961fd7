"""What all tasks over a text encoder share: subwords in, one encoder, a head; fine-tuning from weights that exist."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo.data.choices import DataChoices
from zoo.data.plan import Shape
from zoo.errors import UserError
from zoo.preprocessing.labels import Labels
from zoo.preprocessing.subwords import SubwordChoices, fit_subwords, load_subwords
from zoo.recipe import Schema, option
from zoo.tasks.compiled import compiled
from zoo.tasks.model_section import model_section
from zoo.tasks.starting import check_alike, check_head, encoder, take
from zoo.tasks.task import OwnPlan, Task, make
from zoo.training.fine_tuning import FineTuning, frozen_blocks

INPUTS = ("ids", "mask", "segments")
ROWS = 32  # of a batch in `predict`
STEP = 8  # lengths in `predict` are multiples of this: each shape is compiled
# What a model may have for itself, by what is in the paths of its variables.
OWN = {"/pooler/": "pooler", "/head/": "head", "/lora_kernel_": "low-rank additions"}
# What two encoders may differ in and yet share their weights.
FREE = ("vocabulary", "dropout", "attention_dropout", "head", "head_hidden", "classes", "pooler")


@dataclass(frozen=True)
class Data(DataChoices):
    """Texts or pairs of texts."""

    max_length: int = option(
        128, "pieces that are read of a text or pair, special ones among them; the rest is cut", low=8
    )


@dataclass(frozen=True)
class LabelledData(Data):
    """Texts or pairs of texts with names of classes."""

    labels: list[str] = option([], "the labels that there are, in this order; empty: those of train, sorted")


@dataclass(frozen=True)
class Export:
    """What is shipped."""

    storage: str = option("float32", "of the weights in the SavedModel", choices=("float32", "float16", "bfloat16"))
    about: str = option("", "what the model is not for, in the card's words")


class TextEncoder(Task):
    """Base of the tasks over an encoder of the family "bert".

    A task gives `head`, its columns, `targets`, `pad_targets`, `objective` and the way back from the outputs.
    """

    families = ("bert",)
    own = OwnPlan(epochs=4, alone={"model": {"preset": "mini"}, "training": {"peak_rate": 5e-4}})
    head: ClassVar[str]
    data: ClassVar[type] = Data
    training: ClassVar[type] = FineTuning

    @classmethod
    def schema(cls) -> Schema:
        return {
            "data": cls.data,
            "preprocessing": SubwordChoices,
            "model": model_section(cls.families),
            "training": cls.training,
            "export": Export,
        }

    # What a task says.

    def names(self, values: Mapping[str, Any]) -> Sequence[str] | Mapping[str, float]:
        """The label names in the answer of an example, or the share of each; none where a task has no labels."""
        return ()

    def targets(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of an example as arrays, fields of its row; none where `encode` gives them, piece by piece."""
        return {}

    @abstractmethod
    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """The targets of a batch, padded to its shape."""

    @property
    def meaning(self) -> tuple[Any, ...]:
        """Two heads of the same meaning may have the same weights."""
        return (self.name, self.labels.names if "labels" in self.preprocessors else ())

    # Preprocessing: subwords of all texts, and labels.

    @property
    def subwords(self) -> Any:
        """WordPiece or BytePair."""
        return self.preprocessors["text"]

    @property
    def labels(self) -> Labels:
        """Of the tasks that have labels."""
        return self.preprocessors["labels"]

    def fit(self, examples: Iterable[Any], progress: Any = None) -> None:
        counted: dict[str, float] = {}
        lines = (self.texts(example.values) for example in self._counting(examples, counted))
        self.preprocessors["text"] = fit_subwords(lines, self.recipe.preprocessing, progress)
        self._set_labels(counted)

    def adopt(self, preprocessors: Mapping[str, Any], examples: Iterable[Any], progress: Any = None) -> None:
        """Takes the subwords; labels are those of the training data, in the order of the other where they are alike."""
        if not hasattr(preprocessors.get("text"), "pack"):
            raise UserError("what the training is to begin from has no subwords of a text encoder", where="--from")
        counted: dict[str, float] = {}
        for _ in self._counting(examples, counted):
            if progress is not None:
                progress.advance()
        self.preprocessors = {"text": preprocessors["text"]}
        self._set_labels(counted, preprocessors.get("labels"))

    def _counting(self, examples: Iterable[Any], counted: dict[str, float]) -> Iterator[Any]:
        """The examples, while their labels are counted."""
        listed = getattr(self.recipe.data, "labels", [])
        known = Labels(listed) if listed else None
        for example in examples:
            try:
                names = self.names(example.values)
                for name in names if known else ():
                    known.index(name)
            except UserError as error:
                raise UserError(error.problem, where=error.where or example.place, remedy=error.remedy) from error
            shares = names if isinstance(names, Mapping) else Counter(names)
            for name, share in shares.items():
                counted[name] = counted.get(name, 0) + share
            yield example

    def _set_labels(self, counted: dict[str, float], given: Labels | None = None) -> None:
        if issubclass(self.data, LabelledData):
            order = given.names if given else ()
            self.preprocessors["labels"] = Labels.fit(counted, self.recipe.data.labels, order)

    def save(self, folder: Path) -> None:
        for name, preprocessor in self.preprocessors.items():
            preprocessor.save(folder / name)

    def load(self, folder: Path) -> None:
        self.preprocessors = {"text": load_subwords(folder / "text")}
        if issubclass(self.data, LabelledData):
            self.preprocessors["labels"] = Labels.load(folder / "labels")

    @property
    def fingerprint(self) -> str:
        parts = [self.name, *(each.fingerprint for each in self.preprocessors.values())]
        return " ".join([*parts, str(self.recipe.data.max_length), str(self.recipe.data.validation_share)])

    # Data: ids and segments are prepared once; a batch adds padding and the mask.

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        """The texts of an example."""
        return [text_of(values, name) for name in self.inputs()]

    def encode_inputs(self, texts: Sequence[str]) -> dict[str, Any]:
        """One text or a pair, packed with its special pieces: ids, segments int32 [T]."""
        packed = self.subwords.pack(*map(self.subwords.encode, texts), most=self.recipe.data.max_length)
        return {"ids": packed.ids, "segments": packed.segments}

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        return {**self.encode_inputs(self.texts(values)), **self.targets(values)}

    def lengths(self, row: Mapping[str, Any]) -> tuple[int, ...]:
        return (len(row["ids"]),)

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        return None if all(text.strip() for text in self.texts(values)) else "an empty text"

    def pad_inputs(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """ids, segments int32 [B, T] and mask bool [B, T]; rows that are not there are all padding."""
        batch = {
            "ids": np.full((shape.rows, *shape.lengths), self.subwords.pad_id, np.int32),
            "mask": np.zeros((shape.rows, *shape.lengths), bool),
            "segments": np.zeros((shape.rows, *shape.lengths), np.int32),
        }
        for index, row in enumerate(rows):
            length = len(row["ids"])
            batch["ids"][index, :length] = row["ids"]
            batch["mask"][index, :length] = True
            batch["segments"][index, :length] = row["segments"]
        return batch

    def make_batch(self, rows: Sequence[dict[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """The inputs, the targets, and real bool [B]: the rows that are there."""
        real = np.arange(shape.rows) < len(rows)
        return {**self.pad_inputs(rows, shape), **self.pad_targets(rows, shape), "real": real}

    # The model.

    def sizes(self) -> dict[str, Any]:
        """Fields of the family's Config that the task decides."""
        return {"head": self.head, "classes": self.labels.size if "labels" in self.preprocessors else 0}

    @property
    def config(self) -> Any:
        """The family's Config for the fitted preprocessors.

        Raises: UserError where [model] does not go with the task, the vocabulary or the lengths.
        """
        config = self.recipe.model.config
        check_head(config, self.head, self.name)
        if config.vocabulary and config.vocabulary < self.subwords.size:
            problem = f"{config.vocabulary} is less than the {self.subwords.size} pieces of the vocabulary"
            raise UserError(
                problem, where="[model] vocabulary", remedy="Leave it out: it is taken from the vocabulary."
            )
        vocabulary = config.vocabulary or self.subwords.size
        config = replace(config, vocabulary=vocabulary, **self.sizes())
        if config.max_length < self.recipe.data.max_length:
            problem = (
                f"{self.recipe.data.max_length} pieces are to be read, and the model has {config.max_length} positions"
            )
            raise UserError(problem, where="[data] max_length", remedy="Lower it, or raise model.max_length.")
        return config

    def check(self) -> None:
        """Tells what the fitted preprocessors show to be wrong in the recipe, before a model is built.

        Raises: UserError as `config`, and for a freeze of more blocks than there are, or that leaves nothing to learn.
        """
        config = self.config
        above = config.head != "pool" or config.pooler == "cls_dense"  # the other ways to pool have no variables
        frozen_blocks(self.recipe.training.freeze, config.layers, above)

    def build_model(self, seed: int) -> Any:
        return encoder(self.recipe, self.config, seed)

    def start_from(self, model: Any, start: Any) -> list[str]:
        """Takes the encoder; pooler and head where they mean the same, each as a whole or not at all."""
        from zoo.layers.adapters import merge
        from zoo.training.checkpoints import weights

        other = make(start.recipe)
        if not isinstance(other, TextEncoder):
            raise UserError(f'weights of the task "{other.name}" do not serve "{self.name}"', where="--from")
        other.preprocessors = dict(start.preprocessors)
        if other.subwords.fingerprint != self.subwords.fingerprint:
            raise UserError("the weights were learned with another vocabulary", where="--from")
        theirs, ours = start.recipe.model.config, self.recipe.model.config
        check_alike(theirs, ours, FREE)
        arrays = merge(weights(start.weights))
        same = {
            "/head/": other.meaning == self.meaning and theirs.head_hidden == ours.head_hidden,
            "/pooler/": theirs.pooler == ours.pooler,
        }
        wanted = {f"model/{variable.path}": tuple(variable.shape) for variable in model.weights}
        given = {name: array.shape for name, array in arrays.items()}
        apart = [part for part, alike in same.items() if not alike or _within(part, wanted) != _within(part, given)]
        return take(model, arrays, apart, OWN, start)

    def inputs_of(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """What of a batch the model takes."""
        return {name: batch[name] for name in INPUTS}

    # Answers.

    def outputs(self, model: Any, rows: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
        """The model's output for each encoded row, in batches of similar length; float32, padding and all.

        Args:
            model: of this task.
            rows: with ids and segments, as `encode_inputs` gives them.
        """
        run = compiled(model)
        found: list[Any] = [None] * len(rows)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]["ids"]))
        for first in range(0, len(order), ROWS):
            chosen = order[first : first + ROWS]
            width = -(-len(rows[chosen[-1]]["ids"]) // STEP) * STEP
            shape = Shape(ROWS, (min(width, model.config.max_length),))
            result = run(self.pad_inputs([rows[index] for index in chosen], shape))
            for index, each in zip(chosen, result, strict=False):  # the last batch has empty rows
                found[index] = each
        return found

    def encode_raws(self, raws: Sequence[Any]) -> list[dict[str, Any]]:
        """Rows with the inputs of `predict`: a text each, or a tuple of them."""
        return [self.encode_inputs((raw,) if isinstance(raw, str) else raw) for raw in raws]


def _within(part: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shapes of what belongs to a part of the model."""
    return {name: shape for name, shape in shapes.items() if part in name}


def text_of(values: Mapping[str, Any], name: str) -> str:
    """The text in a column.

    Raises: UserError, without a place, where it is none.
    """
    if not isinstance(values[name], str):
        raise UserError(f'"{name}" must be a text, not {values[name]!r:.40}')
    return values[name]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis; float32, computed in float64."""
    odds = np.exp((logits - logits.max(axis=-1, keepdims=True)).astype(np.float64))
    return (odds / odds.sum(axis=-1, keepdims=True)).astype(np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of yes, each for itself; float32."""
    return (0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float64))).astype(np.float32)
