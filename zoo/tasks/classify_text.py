"""Classify text: a text, or a pair of texts, in; the name of its class out, or the names of all that apply.

In JSON lines the label may also be a table, { "spam": 0.9, "ham": 0.1 }: the probabilities that a larger model, the
teacher, gives to the text. A small model that learns from them is distilled from it (Hinton et al., 2015). With
training.teacher the teacher is asked before the training (`zoo.tasks.distillation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.phrases import Phrases
from zoo.data.plan import Shape
from zoo.data.readers import open_table
from zoo.data.tables import Table
from zoo.errors import UserError, nearest
from zoo.recipe import Recipe, Schema, option
from zoo.tasks.distillation import TOLD, Taught, Teacher
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import LabelledData, TextEncoder, sigmoid, softmax
from zoo.training.fine_tuning import FineTuning

PAIR = ("text_a", "text_b")
# What is read with one label a text alone, and with several alone, by section.
ONE = (
    *(("data", "positive"), ("training", "label_smoothing")),
    *(("decoding", "reject_below"), ("decoding", "reject_label")),
)
SEVERAL = (("data", "separator"), ("decoding", "threshold"))
# What is read with a teacher alone.
TAUGHT = (
    *(("data", "unlabelled"), ("data", "phrases")),
    *(("training", "temperature"), ("training", "label_weight")),
)
EVEN = 0.5  # probability from which a label that a teacher told is scored as one


@dataclass(frozen=True)
class Data(LabelledData):
    """Texts or pairs of texts with names of classes; [data] columns with text_a and text_b make it pairs."""

    multi_label: bool = option(False, "any number of labels a text, instead of exactly one")
    positive: str = option("", "one label: the class whose F1 is scored too")
    separator: str = option(",", "several labels: what stands between them, where they are not a list (JSON lines)")
    unlabelled: str | dict[str, str] = option(
        "", "with a teacher: texts without labels, of which is learned what it says; a table, or a file for each column"
    )
    phrases: int = option(0, "with a teacher: stretches of words cut out of each training text, learned too", low=0)


@dataclass(frozen=True)
class Training(FineTuning):
    """How a classifier is trained."""

    label_smoothing: float = option(0.0, "one label: probability that is spread over all", low=0.0, high=0.9)
    class_weights: str | dict[str, float] = option(
        "none", 'how often an example of each label counts: none, "balanced" by the training data, or a table by label'
    )
    teacher: str = option(
        "", "a run, a home or a recipe (trained first), for the same labels: its probabilities are learned"
    )
    temperature: float = option(2.0, "with a teacher: both logits are divided by it", low=0.1, high=100.0)
    label_weight: float = option(
        0.1, "with a teacher: weight of the label beside what the teacher says, which has the rest", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.class_weights, str) and self.class_weights not in ("none", "balanced"):
            raise UserError(
                f'"{self.class_weights}" says nothing', where="class_weights",
                remedy='Known: "none", "balanced", or a table such as { spam = 2.0, ham = 1.0 }.',
            )  # fmt: skip
        for name, weight in self.class_weights.items() if isinstance(self.class_weights, dict) else ():
            if not 0.0 <= weight < inf:
                raise UserError(f'an example of "{name}" cannot count {weight:g} times', where="class_weights")


@dataclass(frozen=True)
class Decoding:
    """From probabilities to labels."""

    threshold: float = option(0.5, "several labels: probability from which a label is given", low=0.0, high=1.0)
    reject_below: float = option(
        0.0, "one label: with less probability the answer is reject_label instead", low=0.0, high=1.0
    )
    reject_label: str = option(
        "", "stands for all that is none of the classes; examples that have it are scored but not learned from"
    )

    def __post_init__(self) -> None:
        if self.reject_below and not self.reject_label:
            raise UserError("reject_below needs a reject_label", where="reject_label")


class ClassifyText(TextEncoder):
    """The classifier: encoder, pooler, one logit a label; softmax, or a sigmoid each for several labels."""

    name = "classify_text"
    exporter = "zoo.export.classify_text:build"
    head = "classify"
    data = Data
    training = Training

    @classmethod
    def schema(cls) -> Schema:
        return {**super().schema(), "decoding": Decoding}

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        pairs = any(name in recipe.data.columns for name in PAIR)
        self.columns = (*PAIR, "label") if pairs else ("text", "label")
        self.multi_label: bool = recipe.data.multi_label
        if self.multi_label and recipe.training.class_weights == "balanced":
            raise UserError(
                "balanced weights are for one label a text", where="[training] class_weights",
                remedy="With several labels give a table: how often a yes counts.",
            )  # fmt: skip
        self._refuse_unread()
        if pairs and recipe.data.phrases:
            raise UserError("phrases are cut out of single texts, and these are pairs", where="[data] phrases")
        self._says = ""  # fingerprint of what a teacher says of the training texts

    def _refuse_unread(self) -> None:
        """Raises UserError for a field that is set and that nothing reads with so many labels, or without a teacher."""
        remedy = f"Leave it out, or set data.multi_label = {str(not self.multi_label).lower()}."
        if self.multi_label:
            self._refuse(ONE, "it is for one label a text", remedy)
        else:
            self._refuse(SEVERAL, "it is for several labels a text", remedy)
        if not self.recipe.training.teacher:
            self._refuse(TAUGHT, "it is for a training with a teacher", "Leave it out, or name a training.teacher.")

    def _refuse(self, names: Sequence[tuple[str, str]], problem: str, remedy: str) -> None:
        for section, name in names:
            choices = getattr(self.recipe, section)
            if getattr(choices, name) != type(choices).__dataclass_fields__[name].default:
                raise UserError(problem, where=f"[{section}] {name}", remedy=remedy)

    # Labels, from the column to arrays.

    def names(self, values: Mapping[str, Any]) -> dict[str, float]:
        """The labels of an example with the share of each, the reject label left out."""
        return {name: share for name, share in self.shares(values["label"]).items() if name != self._rejected}

    def shares(self, value: Any) -> dict[str, float]:
        """What a value of the column "label" says: 1 for each label, or what a teacher gave to each (a table).

        Raises: UserError, without a place, where it says nothing that can be learned.
        """
        if isinstance(value, dict):
            return self._told(value)
        if self.multi_label:
            parts = value if isinstance(value, list) else str(value).split(self.recipe.data.separator)
            return {name: 1.0 for part in parts if (name := str(part).strip())}
        if isinstance(value, list) or value is None or not str(value).strip():
            raise UserError(f"one label is expected, not {value!r:.40}", remedy="Several: data.multi_label = true.")
        return {str(value).strip(): 1.0}

    def _told(self, value: Mapping[str, Any]) -> dict[str, float]:
        try:
            found = {str(name): float(share) for name, share in value.items()}
        except (TypeError, ValueError):
            found = {}
        total = 1.0 if self.multi_label else sum(found.values())
        if not found or not 0 < total < inf or not all(0.0 <= share <= total for share in found.values()):
            raise UserError(f"a table of labels needs a probability for each, not {value!r:.60}")
        return {name: share / total for name, share in found.items()}

    def labels_in(self, value: Any) -> Any:
        """The answer that a value of the column "label" stands for: a label, or a list of them."""
        shares = self.shares(value)
        if self.multi_label:
            return [name for name, share in shares.items() if share >= EVEN]
        return max(shares, key=shares.get)

    @property
    def _rejected(self) -> str | None:
        return self.recipe.decoding.reject_label or None

    @property
    def meaning(self) -> tuple[Any, ...]:
        return (*super().meaning, self.multi_label)

    @property
    def fingerprint(self) -> str:
        data = self.recipe.data
        return f"{super().fingerprint} {(data.multi_label, data.separator, self._rejected)} {self._says}".rstrip()

    def targets(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """labels int32 [n], with the share of each: float32 [n]; told float32 [C], where a teacher was asked."""
        shares = self.names(values)
        ids = [self.labels.index(name) for name in shares]
        told = {TOLD: values[TOLD]} if TOLD in values else {}
        return {"labels": np.array(ids, np.int32), "shares": np.array([*shares.values()], np.float32), **told}

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        if not self.multi_label and not len(row["labels"]):
            return f'labelled "{self._rejected}"'
        return super().keep(values, row)

    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """targets float32 [B, C]: 1 for a label, a probability where a teacher told it; with a teacher, told [B, C]."""
        names = ("targets", TOLD) if self.recipe.training.teacher else ("targets",)
        found = {name: np.zeros((shape.rows, self.labels.size), np.float32) for name in names}
        for index, row in enumerate(rows):
            found["targets"][index, row["labels"]] = row["shares"]
            if TOLD in row:  # validation is scored by its labels
                found[TOLD][index] = row[TOLD]
        return found

    @property
    def teachers(self) -> Sequence[str]:
        return [self.recipe.training.teacher] if self.recipe.training.teacher else []

    def taught(self, table: Table, teachers: Sequence[Any], folder: Path) -> Table:
        """The training examples, and the texts without labels, with what the teacher says of each."""
        choices, data = self.recipe.training, self.recipe.data
        named = {} if isinstance(data.unlabelled, dict) else data.columns  # a file for each column has the task's name
        columns = {name: named.get(name, name) for name in self.inputs()}
        more = [open_table(data.unlabelled, columns)] if data.unlabelled else []
        more += [Phrases(table, self.inputs()[0], data.phrases)] if data.phrases else []
        found = Taught(self, table, more, Teacher(teachers[0], self), folder, choices.temperature)
        self._says = f"{found.fingerprint} {choices.temperature}"
        return found

    # What is minimised.

    @cached_property
    def class_weights(self) -> np.ndarray:
        """float32 [C]: how often an example of each label counts; of several labels, how often a yes does.

        "balanced" is rows / (C · rows of the label), as in scikit-learn; of a teacher's tables the shares add up.
        """
        choice, labels, where = self.recipe.training.class_weights, self.labels, "[training] class_weights"
        if isinstance(choice, dict):
            for name in choice:
                if name not in labels.names:
                    raise UserError(f'there is no label "{name}".{nearest(name, labels.names)}', where=where)
            weights = np.array([choice.get(name, 1.0) for name in labels.names], np.float32)
            if not weights.any():
                raise UserError("no example counts: the weight of every label is 0", where=where)
            return weights
        if choice == "none":
            return np.ones(labels.size, np.float32)
        counts = np.array(labels.counts, np.float64)
        if not counts.size:
            raise UserError("how often each label stands in the training data is not known", where=where)
        return (counts.sum() / (counts.size * counts)).astype(np.float32)

    def check(self) -> None:
        """As every text encoder's; and whether class_weights and data.positive speak of labels that there are."""
        super().check()
        _ = self.class_weights
        positive, names = self.recipe.data.positive, self.labels.names
        if positive and positive not in (*names, self._rejected):
            raise UserError(f'there is no label "{positive}".{nearest(positive, names)}', where="[data] positive")

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        from keras import ops

        from zoo.training.losses import binary_cross_entropy, soft_cross_entropy

        choices, rows = self.recipe.training, ops.cast(batch["real"], "float32")
        logits = ops.cast(model(self.inputs_of(batch), training=training), "float32")
        weights = ops.convert_to_tensor(self.class_weights)
        each = 1.0 if self.multi_label else ops.matmul(batch["targets"], weights)

        def loss_of(logits: Any, targets: Any, smoothing: float = 0.0) -> Any:
            if self.multi_label:
                return binary_cross_entropy(logits, targets, batch["real"], weights)
            return soft_cross_entropy(logits, targets, batch["real"], smoothing, each)

        loss = loss_of(logits, batch["targets"], choices.label_smoothing if training else 0.0)
        if training and choices.teacher:
            # Gradients of the soft part are smaller by T squared, which is made up for (Hinton et al., section 2).
            heat = choices.temperature
            told = heat * heat * loss_of(logits / heat, batch[TOLD])
            loss = choices.label_weight * loss + (1.0 - choices.label_weight) * told
        count = ops.sum(rows * each) * (self.labels.size if self.multi_label else 1)
        return {"loss": loss, "count": count, "tokens": ops.sum(ops.cast(batch["mask"], "float32"))}

    # Answers.

    def probabilities(self, model: Any, raws: Sequence[Any]) -> np.ndarray:
        """float32 [N, C], in the order of the labels; they add up to 1 unless there may be several labels."""
        logits = np.stack(self.outputs(model, self.encode_raws(raws)))
        return sigmoid(logits) if self.multi_label else softmax(logits)

    def predict(self, model: Any, raws: Sequence[Any]) -> list[Any]:
        """A label each; several: a list of labels each, the most probable first."""
        if not raws:
            return []
        return [self.decide(row) for row in self.probabilities(model, raws)]

    def decide(self, probabilities: np.ndarray) -> str | list[str]:
        """The answer for the probabilities [C] of one row."""
        choices, names = self.recipe.decoding, self.labels.names
        if self.multi_label:
            falling = np.argsort(-probabilities, kind="stable")
            return [names[index] for index in falling if probabilities[index] >= choices.threshold]
        best = int(np.argmax(probabilities))
        return names[best] if probabilities[best] >= choices.reject_below else choices.reject_label

    def answer(self, row: Mapping[str, Any]) -> str | list[str]:
        return [str(name) for name in row["labels"][: row["count"]]] if self.multi_label else row["label"]

    def score(self, answers: Sequence[Any], references: Sequence[Any]) -> list[Any]:
        """Accuracy (which selects), macro F1 and Matthews' correlation; of several labels micro and macro F1.

        Also F1 of the class `data.positive`, and where there is a reject_label, how rows in and out of scope fare.
        """
        from zoo.evaluation import classification as scores

        expected = [self.labels_in(each) for each in references]
        if self.multi_label:
            return [scores.multi_label_f1(answers, expected, average) for average in ("micro", "macro")]
        found = [score(answers, expected) for score in (scores.accuracy, scores.macro_f1, scores.matthews)]
        if self.recipe.data.positive:
            found.append(scores.f1(answers, expected, self.recipe.data.positive))
        if self._has_both_kinds(expected):
            # Answers are decided already: every one is sure, and the area under a curve says nothing.
            found += scores.out_of_scope(answers, expected, [1.0] * len(answers), self._rejected)[:2]
        return found

    def more_scores(self, rows: Sequence[Mapping[str, Any]], references: Sequence[Any]) -> list[Any]:
        """Of one label: how far its probability lies from the share of right answers, unless some are rejected for it;
        with rows out of scope, how well it tells them.
        """
        from zoo.evaluation import classification as scores

        if self.multi_label:
            return []
        answers, sure = [row["label"] for row in rows], [row["score"] for row in rows]
        expected = [self.labels_in(each) for each in references]
        decided = self.recipe.decoding.reject_below > 0
        found = [] if decided else [scores.calibration_error(answers, expected, sure)]
        if self._has_both_kinds(expected):
            found += scores.out_of_scope(answers, expected, sure, self._rejected)[2:]
        return found

    def advice(self, ask: Callable[[str], Iterable[Mapping[str, Any]]], references: Sequence[Any]) -> list[str]:
        """The best reject_below, where there are rows in scope and out of it."""
        from zoo.evaluation.classification import best_threshold, out_of_scope

        expected = [self.labels_in(each) for each in references]
        if self.multi_label or not self._has_both_kinds(expected):
            return []
        shares = np.array([row["probabilities"] for row in ask("probabilities")])
        answers, sure = [self.labels.names[best] for best in shares.argmax(axis=1)], shares.max(axis=1)
        exact = best_threshold(answers, expected, sure, self._rejected)
        threshold = min(ceil(exact * 1e4) / 1e4, 1.0)  # four digits are enough, and 1 the most that there is
        inside, outside, _ = out_of_scope(answers, expected, sure, self._rejected, threshold)
        return [f"decoding.reject_below {threshold:g} is best on these rows: {inside}, {outside}"]

    def _has_both_kinds(self, expected: Sequence[Any]) -> bool:
        """Whether some rows are out of scope, and some are in it."""
        return 0 < sum(each == self._rejected for each in expected) < len(expected)

    def scores_by_label(self, answers: Sequence[Any], references: Sequence[Any]) -> list[Any]:
        """F1 of each label."""
        from zoo.evaluation.classification import f1_by_label

        expected = [self.labels_in(each) for each in references]
        sides = (answers, expected) if self.multi_label else ([{each} for each in side] for side in (answers, expected))
        return [*f1_by_label(*sides).values()]

    def signatures(self) -> dict[str, Signature]:
        given = dict.fromkeys(self.inputs(), "string [B]")
        one = {"label": "string [B]", "score": "float32 [B]", "truncated": "bool [B]"}
        several = {
            "labels": "string [B, N]",
            "scores": "float32 [B, N]",
            "count": "int32 [B]",
            "truncated": "bool [B]",
        }
        every = {"labels": "string [B, C]", "probabilities": "float32 [B, C]"}
        answer = (several, "the labels, most probable first") if self.multi_label else (one, "the label")
        return {
            "serving_default": Signature(given, *answer),
            "probabilities": Signature(given, every, "every label with its probability"),
        }
