"""Classify images: the bytes of an image file in, the name of its class out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.plan import Shape
from zoo.errors import UserError
from zoo.preprocessing.augment import AugmentChoices, mixup_cutmix
from zoo.preprocessing.labels import Labels
from zoo.recipe import option
from zoo.tasks.image_encoder import DRAWN, ImageEncoder
from zoo.tasks.image_encoder import Data as ImageData
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import softmax
from zoo.training.fine_tuning import FineTuning

TOP = 5


@dataclass(frozen=True)
class Data(ImageData):
    """Images with the name of a class each."""

    labels: list[str] = option([], "the labels that there are, in this order; empty: those of train, sorted")


@dataclass(frozen=True)
class Augmentation(AugmentChoices):
    """How training images are changed each time they are seen, and mixed with others of their batch."""

    mixup: float = option(0.0, "alpha of the share in which two images are blended; 0.8 is usual, 0 = off", low=0.0)
    cutmix: float = option(0.0, "alpha of the share of an image that another covers; 1 is usual, 0 = off", low=0.0)


@dataclass(frozen=True)
class Training(FineTuning):
    """How a classifier of images is trained."""

    label_smoothing: float = option(0.0, "probability that is spread over all labels", low=0.0, high=0.9)


class ClassifyImages(ImageEncoder):
    """The classifier: encoder, one vector of the image, one logit a label, softmax."""

    name = "classify_images"
    columns = ("image", "label")
    exporter = "zoo.export.classify_images:build"
    head = "classify"
    data = Data
    augmentation = Augmentation
    training = Training

    @property
    def labels(self) -> Labels:
        """The names of the classes."""
        return self.preprocessors["labels"]

    def fit(self, examples: Iterable[Any], progress: Any = None) -> None:
        """Counts the labels."""
        listed, counted = self.recipe.data.labels, dict[str, float]()
        known = Labels(listed) if listed else None
        for example in examples:
            try:
                name = self.reference(example.values)
                if known:
                    known.index(name)
            except UserError as error:
                raise UserError(error.problem, where=error.where or example.place, remedy=error.remedy) from error
            counted[name] = counted.get(name, 0) + 1
            if progress is not None:
                progress.advance()
        self.preprocessors["labels"] = Labels.fit(counted, listed)

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.preprocessors["labels"] = Labels.load(folder / "labels")

    def reference(self, values: Mapping[str, Any]) -> str:
        """The label of an example.

        Raises: UserError, without a place, where there is none.
        """
        if not str(values["label"] or "").strip():
            raise UserError("the label is empty")
        return str(values["label"]).strip()

    def targets(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"label": np.int32(self.labels.index(self.reference(values)))}

    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """targets float32 [B, C], each row adding up to 1."""
        targets = np.zeros((shape.rows, self.labels.size), np.float32)
        targets[np.arange(len(rows)), [row["label"] for row in rows]] = 1.0
        return {"targets": targets}

    def make_batch(self, rows: Sequence[dict[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """As of every task over images; in training some may be mixed with others of the batch."""
        batch, choices = super().make_batch(rows, shape), self.recipe.augmentation
        if rows and DRAWN in rows[0] and (choices.mixup or choices.cutmix):
            rng, there = np.random.default_rng([row[DRAWN] for row in rows]), slice(len(rows))
            batch["images"][there], batch["targets"][there] = mixup_cutmix(
                batch["images"][there], batch["targets"][there], rng, choices.mixup, choices.cutmix
            )
        return batch

    def sizes(self) -> dict[str, Any]:
        return {"head": self.head, "classes": self.labels.size}

    @property
    def meaning(self) -> tuple[Any, ...]:
        return (self.name, self.labels.names)

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        from keras import ops

        from zoo.training.losses import soft_cross_entropy

        logits = ops.cast(model({"images": batch["images"]}, training=training), "float32")
        smoothing = self.recipe.training.label_smoothing if training else 0.0
        rows = ops.cast(batch["real"], "float32")
        right = ops.cast(ops.argmax(logits, axis=-1) == ops.argmax(batch["targets"], axis=-1), "float32")
        return {
            "loss": soft_cross_entropy(logits, batch["targets"], batch["real"], smoothing),
            "count": ops.sum(rows),
            "accuracy": ops.sum(right * rows),
        }

    # Answers.

    def probabilities(self, model: Any, raws: Sequence[bytes]) -> np.ndarray:
        """float32 [N, C], in the order of the labels."""
        outputs = self.outputs(model, raws)
        return softmax(np.stack(outputs)) if outputs else np.zeros((0, self.labels.size), np.float32)

    def predict(self, model: Any, raws: Sequence[bytes]) -> list[str]:
        return [self.labels.names[best] for best in self.probabilities(model, raws).argmax(axis=1)]

    def answer(self, row: Mapping[str, Any]) -> str:
        return row["label"]

    def score(self, answers: Sequence[str], references: Sequence[str]) -> list[Any]:
        """Accuracy, which selects, and macro F1."""
        from zoo.evaluation import classification as scores

        return [scores.accuracy(answers, references), scores.macro_f1(answers, references)]

    def more_scores(self, rows: Sequence[Mapping[str, Any]], references: Sequence[str]) -> list[Any]:
        """How far the probability of the answer lies from the share of right ones."""
        from zoo.evaluation.classification import calibration_error

        return [calibration_error([row["label"] for row in rows], references, [row["score"] for row in rows])]

    def scores_by_label(self, answers: Sequence[str], references: Sequence[str]) -> list[Any]:
        from zoo.evaluation.classification import f1_by_label

        return [*f1_by_label([{each} for each in answers], [{each} for each in references]).values()]

    def signatures(self) -> dict[str, Signature]:
        image = {"image_bytes": "string [B]"}
        one = {"label": "string [B]", "score": "float32 [B]", "ok": "bool [B]"}
        every = {"labels": "string [B, C]", "probabilities": "float32 [B, C]"}
        return {
            "serving_default": Signature(image, one, "the label"),
            "probabilities": Signature(image, every, "every label with its probability"),
        }
