"""Translate: a sentence in, the same sentence in another language out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.choices import DataChoices
from zoo.data.plan import Shape
from zoo.data.tables import Table
from zoo.decoding.choices import SearchChoices
from zoo.errors import UserError
from zoo.models.registry import FAMILIES
from zoo.preprocessing.sentencepiece import SentencePiece, SentencePieceChoices
from zoo.recipe import Recipe, Schema, option
from zoo.tasks.model_section import model_section
from zoo.tasks.task import Signature, Task, resolve
from zoo.tasks.translations import Translations
from zoo.training.choices import TrainingChoices

INPUTS = ("source_ids", "source_mask", "target_ids", "target_mask")
DRAWS = 4  # a sampled segmentation is longer than the best one: so often one is drawn that fits the planned room


@dataclass(frozen=True)
class Data(DataChoices):
    """Sentence pairs."""

    max_length: int = option(100, "pairs with a side of more pieces than this are left out of training", low=1)
    max_ratio: float = option(4.0, "pairs whose sides differ in length by more than this factor are left out", low=1.0)


@dataclass(frozen=True)
class Training(TrainingChoices):
    """How a translator is trained."""

    label_smoothing: float = option(0.1, "probability that is spread over the vocabulary", low=0.0, high=0.9)
    r_drop: float = option(
        0.0,
        "weight of the divergence between two passes beside the mean of their losses (R-Drop, where α is beside their "
        "sum: twice this); doubles the work",
        low=0.0,
    )
    teachers: list[str] = option(
        [],
        "translators whose translations of the training texts are learned beside the pairs: runs, model homes, or "
        "recipes, which are trained first; those of the other direction write sources",
    )


@dataclass(frozen=True)
class Export:
    """What is shipped."""

    storage: str = option("float32", "of the weights in the SavedModel", choices=("float32", "float16", "bfloat16"))
    max_source: int = option(256, "pieces of a source that are read; the rest is cut", low=8)
    source_language: str = option("", "ISO 639-1 code, for the card and the scorers")
    target_language: str = option("", "ISO 639-1 code, for the card and the scorers")
    about: str = option("", "what the model is not for, in the card's words")


class Translate(Task):
    """The translator: SentencePiece on both sides, an encoder-decoder, search."""

    name = "translate"
    columns = ("source", "target")
    exporter = "zoo.export.text_to_text:build"
    families = ("seq2seq",)

    @classmethod
    def schema(cls) -> Schema:
        return {
            "data": Data,
            "preprocessing": SentencePieceChoices,
            "model": model_section(cls.families),
            "training": Training,
            "decoding": SearchChoices,
            "export": Export,
        }

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._told = ""  # what decides the teachers' translations
        if recipe.preprocessing.sampling:
            self.transform = self._sample

    # Preprocessing: one vocabulary for both sides, or one each.

    def fit(self, examples: Iterable[Any], progress: Any = None) -> None:
        choices = self.recipe.preprocessing
        if choices.shared:
            pairs = ([example.values["source"], example.values["target"]] for example in examples)
            both = SentencePiece.fit(pairs, choices, progress)
            self.preprocessors = {"source": both, "target": both}
        else:
            for side in self.columns:
                lines = (example.values[side] for example in examples)
                self.preprocessors[side] = SentencePiece.fit(lines, choices, progress)

    def adopt(self, preprocessors: Mapping[str, Any], examples: Iterable[Any], progress: Any = None) -> None:
        if not all(side in preprocessors for side in self.columns):
            raise UserError("what the training is to begin from is no translator", where="--from")
        super().adopt(preprocessors, examples, progress)

    def save(self, folder: Path) -> None:
        for side in self.columns[: 1 if self.recipe.preprocessing.shared else 2]:
            self.preprocessors[side].save(folder / side)

    def load(self, folder: Path) -> None:
        shared = self.recipe.preprocessing.shared
        source = SentencePiece.load(folder / "source")
        self.preprocessors = {
            "source": source,
            "target": source if shared else SentencePiece.load(folder / "target"),
        }

    @property
    def fingerprint(self) -> str:
        data = self.recipe.data
        sides = [self.preprocessors[side].fingerprint for side in self.columns]
        sampling = bool(self.recipe.preprocessing.sampling)
        return " ".join([*sides, str((data.max_length, data.max_ratio, data.validation_share, sampling)), self._told])

    @property
    def teachers(self) -> Sequence[str]:
        return self.recipe.training.teachers

    def taught(self, table: Table, teachers: Sequence[Any], folder: Path) -> Table:
        """The pairs, and after each what the teachers write in place of its target, or of its source."""
        found = Translations(table, teachers, self.recipe.export, folder)
        self._told = found.fingerprint
        return found

    # Data: ids are prepared once; a batch adds start, end, padding and masks.

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {side: self.preprocessors[side].encode(values[side]) for side in self.columns}
        if self.transform:  # the text is needed again, each time the row is drawn
            row |= {f"{side}_text": values[side] for side in self.columns}
        return row

    def lengths(self, row: Mapping[str, Any]) -> tuple[int, ...]:
        room = [len(row[side]) + 1 for side in self.columns]  # + 1: end of source, start of target
        return tuple(n + n // 7 + 2 for n in room) if self.transform else tuple(room)

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        source, target = (len(row[side]) for side in self.columns)
        data = self.recipe.data
        if not (source and target):
            return "an empty side"
        if max(source, target) > data.max_length:
            return f"over {data.max_length} pieces"
        # Short pairs may well differ by a factor: ten pieces of grace.
        if max(source, target) > data.max_ratio * min(source, target) + 10:
            return f"sides differ by a factor over {data.max_ratio:g}"
        return None

    def _sample(self, row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        drawn = {side: row[side] for side in self.columns}
        for side, room in zip(self.columns, self.lengths(row), strict=True):
            for _ in range(DRAWS):
                ids = self.preprocessors[side].encode(row[f"{side}_text"], sample_rng=rng)
                if len(ids) < room:
                    drawn[side] = ids
                    break
        return drawn

    def make_batch(self, rows: Sequence[dict[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """source_ids, source_mask [B, S] end with end_id; target_ids begin with start_id; labels are what follows."""
        sources, targets = shape.lengths
        batch = {
            "source_ids": np.zeros((shape.rows, sources), np.int32),
            "source_mask": np.zeros((shape.rows, sources), bool),
            "target_ids": np.zeros((shape.rows, targets), np.int32),
            "target_mask": np.zeros((shape.rows, targets), bool),
            "labels": np.zeros((shape.rows, targets), np.int32),
        }
        for index, row in enumerate(rows):
            source, target = row["source"], row["target"]
            batch["source_ids"][index, : len(source)] = source
            batch["source_ids"][index, len(source)] = SentencePiece.end_id
            batch["source_mask"][index, : len(source) + 1] = True
            batch["target_ids"][index, 0] = SentencePiece.start_id
            batch["target_ids"][index, 1 : len(target) + 1] = target
            batch["labels"][index, : len(target)] = target
            batch["labels"][index, len(target)] = SentencePiece.end_id
            batch["target_mask"][index, : len(target) + 1] = True
        return batch

    # The model and what it minimises.

    def build_model(self, seed: int) -> Any:
        section = self.recipe.model
        sizes = {f"{side}_vocabulary": self.preprocessors[side].size for side in self.columns}
        longest = max(section.max_length, self.recipe.export.max_source, self.recipe.data.max_length + 1)
        config = replace(section.config, **sizes, max_length=longest)
        return resolve(FAMILIES[section.family])(config, seed=seed)

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        from keras import ops

        from zoo.training.losses import smoothed_cross_entropy, symmetric_divergence

        choices = self.recipe.training
        inputs = {name: batch[name] for name in INPUTS}
        mask = batch["target_mask"]
        count = ops.sum(ops.cast(mask, "float32"))
        smoothing = choices.label_smoothing if training else 0.0
        logits = model(inputs, training=training)
        loss = smoothed_cross_entropy(logits, batch["labels"], mask, smoothing)
        if training and choices.r_drop:
            again = model(inputs, training=True)
            loss = (loss + smoothed_cross_entropy(again, batch["labels"], mask, smoothing)) / 2.0
            loss = loss + choices.r_drop * symmetric_divergence(logits, again, mask)
        tokens = count + ops.sum(ops.cast(batch["source_mask"], "float32"))
        return {"loss": loss, "count": count, "tokens": tokens}

    # Answers.

    def predict(self, model: Any, raws: Sequence[str], choices: SearchChoices | None = None) -> list[str]:
        """Translates in batches of similar length; answers stand in the order of `raws`."""
        return [texts[0] for texts, _ in self.predict_n_best(model, raws, choices)]

    def predict_n_best(
        self, model: Any, raws: Sequence[str], choices: SearchChoices | None = None, rows: int = 32
    ) -> list[tuple[list[str], list[float]]]:
        """Translations of each text, best first, with their scores."""
        from zoo.decoding.generate import generate
        from zoo.decoding.search import limits_of

        choices = choices or self.recipe.decoding
        source, target = (self.preprocessors[side] for side in self.columns)
        encoded = [source.encode_within(text, self.recipe.export.max_source)[0] for text in raws]
        answers: list[Any] = [None] * len(raws)
        order = sorted(range(len(raws)), key=lambda index: len(encoded[index]))
        for first in range(0, len(order), rows):
            chosen = order[first : first + rows]
            width = max(len(encoded[index]) for index in chosen)
            width = -(-width // 8) * 8  # few shapes: each one is compiled
            ids = np.zeros((rows, width), np.int32)
            for row, index in enumerate(chosen):
                ids[row, : len(encoded[index])] = encoded[index]
            mask = ids != SentencePiece.pad_id
            length = min(int(choices.length_factor * width) + choices.length_extra, model.config.max_length)
            limits = np.asarray(limits_of(mask.sum(axis=1), choices, length))
            inputs = {"source_ids": ids, "source_mask": mask}
            found = generate(model, inputs, choices, length=length, limits=limits)
            for row, index in enumerate(chosen):
                texts = [
                    target.decode(ids[:size]) for ids, size in zip(found.ids[row], found.lengths[row], strict=True)
                ]
                answers[index] = (texts, found.scores[row].tolist())
        return answers

    def answer(self, row: Mapping[str, Any]) -> str:
        return row["text"]

    def score(self, answers: Sequence[str], references: Sequence[str]) -> list[Any]:
        """BLEU (which selects) and chrF, cased and detokenized."""
        from zoo.evaluation.text import bleu, chrf

        return [bleu(answers, references), chrf(answers, references)]

    def signatures(self) -> dict[str, Signature]:
        text = {"text": "string [B]"}
        return {
            "serving_default": Signature(
                text, {"text": "string [B]", "score": "float32 [B]", "truncated": "bool [B]"}, "the best translation"
            ),
            "n_best": Signature(
                text, {"texts": "string [B, N]", "scores": "float32 [B, N]"}, "several translations, best first"
            ),
            "sample": Signature(
                text, {"text": "string [B]", "score": "float32 [B]", "truncated": "bool [B]"}, "drawn at random"
            ),
            "attention": Signature(
                text,
                {
                    "source_pieces": "string [B, S]",
                    "source_count": "int32 [B]",
                    "target_pieces": "string [B, T]",
                    "target_count": "int32 [B]",
                    "weights": "float32 [B, T, S]",
                },
                "what each piece of the translation attended to",
            ),
        }


def check_languages(recipe: Recipe) -> None:
    """Language codes are two or three letters.

    Raises: UserError naming the field.
    """
    for side in ("source_language", "target_language"):
        code = getattr(recipe.export, side)
        if code and not (code.isalpha() and code.islower() and len(code) in (2, 3)):
            raise UserError(f'"{code}" is no language code', where=f"[export] {side}", remedy='For example "de".')
