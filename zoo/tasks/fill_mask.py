"""Fill the mask: a text with a hidden word in, the likeliest texts out. Its training is the pre-training of encoders.

Masked language modelling as in Devlin et al., 2018 (arXiv 1810.04805), masked anew in each epoch (Liu et al., 2019,
arXiv 1907.11692) and, where chosen, by whole words; with a second objective about pairs of segments
(`zoo.tasks.segment_order`) or without.
"""

from __future__ import annotations

import re
import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from zoo.data.packing import Packed
from zoo.data.plan import Shape
from zoo.data.tables import Table
from zoo.errors import UserError
from zoo.recipe import Recipe, Schema, option
from zoo.tasks import segment_order
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import TextEncoder
from zoo.training.fine_tuning import FineTuning

IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff"
WORD = re.compile(rf"[{IDEOGRAPHS}]|[^\W{IDEOGRAPHS}]+")  # an ideograph is a word, as it is for WordPiece
SLICE = 256  # rows whose logits, V floats each, are held at once
LEAST_ROOM = 8  # hidden pieces that a row has room for, at least: a long word is hidden whole in a short row


@dataclass(frozen=True)
class Training(FineTuning):
    """How an encoder is pre-trained."""

    masked_share: float = option(0.15, "share of the pieces that are to be told", low=0.01, high=0.9)
    replaced: float = option(0.8, "share of those that become the mask", low=0.0, high=1.0)
    random: float = option(0.1, "share of those that become any other piece; the rest stays", low=0.0, high=1.0)
    whole_words: bool = option(True, "all pieces of a word are hidden together")
    second_objective: str = option(
        "none",
        "learned beside the words, of two segments of a document: next_sentence (or is the second of another one), "
        "sentence_order (or are they exchanged)",
        choices=segment_order.OBJECTIVES,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replaced + self.random > 1.0:
            raise UserError(f"replaced and random add up to {self.replaced + self.random:g}, over 1", where="random")


@dataclass(frozen=True)
class Decoding:
    """From probabilities to texts."""

    n_best: int = option(5, "fillings given for the mask", low=1, high=100)


class FillMask(TextEncoder):
    """The masked language model: encoder, and the head that tells the piece at each place."""

    name = "fill_mask"
    exporter = "zoo.export.fill_mask:build"
    columns = ("text",)
    head = "masked_words"
    training = Training

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        if self.paired and not recipe.data.validation:
            raise UserError(
                "a second objective is validated on whole documents, and single lines would be kept back from train",
                where="[data] validation",
                remedy="Name a file of whole documents, with an empty line between them.",
            )

    @classmethod
    def schema(cls) -> Schema:
        return {**super().schema(), "decoding": Decoding}

    def inputs(self) -> tuple[str, ...]:
        return ("text",)

    @property
    def paired(self) -> bool:
        """Whether a second objective reads rows of two segments."""
        return self.recipe.training.second_objective != "none"

    def sizes(self) -> dict[str, Any]:
        return {**super().sizes(), "order": self.paired}

    # Masking: anew each time a row is drawn; in validation the same each time, drawn from the row's own ids.

    @cached_property
    def special(self) -> np.ndarray:
        """bool [V]: pieces that are never hidden and never put in."""
        words = self.subwords
        special = np.zeros(words.size, bool)
        special[[words.pad_id, words.unknown_id, words.start_id, words.end_id, words.mask_id]] = True
        return special

    @cached_property
    def _begins(self) -> np.ndarray:
        """bool [V]: pieces with which a word begins."""
        pieces = self.subwords.pieces(np.arange(self.subwords.size, dtype=np.int32))
        if self.subwords.kind == "wordpiece":
            return np.array([not piece.startswith("##") for piece in pieces])
        return np.array([piece.startswith("Ġ") for piece in pieces])  # as GPT-2 writes a blank

    def transform(self, row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """The row with pieces hidden: ids as the model sees them, labels as they were, hidden bool [T]."""
        row = segment_order.draw(row, rng, self.subwords) if self.paired else row
        choices, labels = self.recipe.training, row["ids"]
        hidden = self._hide(labels, rng)
        fate = rng.random(len(labels))
        others = np.flatnonzero(~self.special)
        drawn = others[rng.integers(0, len(others), len(labels))]
        replaced = hidden & (fate < choices.replaced)
        put_in = hidden & ~replaced & (fate < choices.replaced + choices.random)
        ids = np.where(replaced, self.subwords.mask_id, np.where(put_in, drawn, labels)).astype(np.int32)
        return {**row, "ids": ids, "labels": labels, "hidden": hidden}

    def _hide(self, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """bool [T]: words, in an order drawn anew, until they fill the share; one at least where there is one."""
        choices, hidden = self.recipe.training, np.zeros(len(ids), bool)
        places = np.flatnonzero(~self.special[ids])
        begins = self._begins[ids[places]] if choices.whole_words else np.ones(len(places), bool)
        begins[:1] = True
        words = np.split(places, np.flatnonzero(begins)[1:])
        left = max(1, round(choices.masked_share * len(places)))
        for number in rng.permutation(len(words)):
            word = words[number]
            if len(word) <= left or not hidden.any():
                hidden[word] = True
                left -= len(word)
            if left <= 0:
                break
        return hidden

    # Data: documents are packed into rows of full length, or into pairs of segments.

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint} {self.recipe.training.second_objective}" if self.paired else super().fingerprint

    def arranged(self, table: Table) -> Table:
        most = self.recipe.data.max_length
        if self.paired:
            return segment_order.paired(table, self.subwords, most, self.recipe.training.second_objective)
        return Packed(table, self.subwords.encode, most - 2)

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A text, or the pieces of a row as `arranged` gives them."""
        if "first" in values:
            return segment_order.encode(values, self.subwords, self.recipe.data.max_length)
        if "pieces" not in values:
            return self.encode_inputs(self.texts(values))
        packed = self.subwords.pack(values["pieces"], most=self.recipe.data.max_length)
        return {"ids": packed.ids, "segments": packed.segments}

    def lengths(self, row: Mapping[str, Any]) -> tuple[int, ...]:
        return (segment_order.length(row, self.subwords),) if self.paired else super().lengths(row)

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        return None if len(row["ids"]) > 2 else "an empty text"

    def make_batch(self, rows: Sequence[dict[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        still = [row if "hidden" in row else self.transform(row, _own_rng(row["ids"])) for row in rows]
        return super().make_batch(still, shape)

    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """positions, labels int32 [B, M]: where pieces are hidden, and which; told bool [B, M]: where there is one.

        With a second objective also what `segment_order.pad` gives.
        """
        most = max(LEAST_ROOM, ceil(self.recipe.training.masked_share * shape.lengths[0]))
        batch = {
            "positions": np.zeros((shape.rows, most), np.int32),
            "labels": np.zeros((shape.rows, most), np.int32),
            "told": np.zeros((shape.rows, most), bool),
        }
        for index, row in enumerate(rows):
            places = np.flatnonzero(row["hidden"])[:most]
            batch["positions"][index, : len(places)] = places
            batch["labels"][index, : len(places)] = row["labels"][places]
            batch["told"][index, : len(places)] = True
        return {**batch, **segment_order.pad(rows, shape.rows)} if self.paired else batch

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        """The hidden pieces alone go through the projection onto the vocabulary.

        With a second objective, a row of it weighs as much as the pieces that are hidden in one of full length: where
        all rows are full, the mean over rows is added to the mean over pieces, as in BERT.
        """
        from keras import ops

        from zoo.training.losses import smoothed_cross_entropy

        labels, told = batch["labels"], batch["told"]
        hidden = model.hidden(self.inputs_of(batch), training=training)
        logits = model.masked_logits(hidden, batch["positions"])
        right = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), labels)
        found = {
            "loss": smoothed_cross_entropy(logits, labels, told),
            "count": ops.sum(ops.cast(told, "float32")),
            "accuracy": ops.sum(ops.cast(ops.logical_and(right, told), "float32")),
            "tokens": ops.sum(ops.cast(batch["mask"], "float32")),
        }
        if self.paired:
            weight = self.recipe.training.masked_share * self.recipe.data.max_length
            more = segment_order.sums(model, hidden, batch, weight)
            found |= {**more, "loss": found["loss"] + more["loss"]}
        return found

    # Answers: a text with the mask written in it, as the vocabulary spells it.

    @property
    def mask(self) -> str:
        """How the mask is written in a text: [MASK] or <mask>."""
        return self.subwords.special.mask

    @cached_property
    def fillings(self) -> list[str]:
        """What each piece is in place of a mask, V of them."""
        return [self.subwords.decode(np.array([index], np.int32)).strip() for index in range(self.subwords.size)]

    def raw(self, values: Mapping[str, Any]) -> str:
        """The text with one word, always the same, hidden; with a mask behind it where none can be told."""
        text = values["text"]
        word = self._asked(text)
        return f"{text[: word.start()]}{self.mask}{text[word.end() :]}" if word else f"{text} {self.mask}"

    def _asked(self, text: str) -> re.Match[str] | None:
        """The word that is hidden: of those that are read and that one piece can fill in. None where none is."""
        if self.mask in text:
            return None
        room = self.recipe.data.max_length - 2
        ids, offsets = (each[:room].tolist() for each in self.subwords.encode_with_offsets(text))
        told = {(start, end): self.fillings[piece] for piece, (start, end) in zip(ids, offsets, strict=True)}
        words = [word for word in WORD.finditer(text) if self._folded(told.get(word.span())) == self._folded(word[0])]
        return words[zlib.crc32(text.encode()) % len(words)] if words else None

    def _folded(self, text: str | None) -> str | None:
        """The text without what the vocabulary does not tell apart."""
        return text.casefold() if text and getattr(self.subwords, "lowercase", False) else text

    def predict(self, model: Any, raws: Sequence[str]) -> list[str]:
        """The likeliest text each."""
        return [texts[0] for texts, _ in self.predict_n_best(model, raws)]

    def predict_n_best(self, model: Any, raws: Sequence[str]) -> list[tuple[list[str], list[float]]]:
        """The texts with the likeliest pieces in place of the first mask, best first, and their probabilities.

        A text without a mask comes back as it is, with probability 1.
        """
        found = []
        for first in range(0, len(raws), SLICE):
            some = raws[first : first + SLICE]
            rows = self.encode_raws(some)
            logits = self.outputs(_at_mask(model, self.subwords.mask_id), rows)
            found += [self._filled(*each) for each in zip(some, rows, logits, strict=True)]
        return found

    def _filled(self, raw: str, row: Mapping[str, Any], logits: np.ndarray) -> tuple[list[str], list[float]]:
        """The answer of `predict_n_best` to one text; logits: [V], at its first mask."""
        if self.subwords.mask_id not in row["ids"]:
            return [raw], [1.0]
        odds = np.where(self.special, -np.inf, logits[: self.subwords.size]).astype(np.float64)
        shares = np.exp(odds - odds.max())
        shares /= shares.sum()
        best = np.argsort(-shares, kind="stable")[: self.recipe.decoding.n_best]
        return [raw.replace(self.mask, self.fillings[i], 1) for i in best], shares[best].tolist()

    def answer(self, row: Mapping[str, Any]) -> str:
        return row["texts"][0]

    def score(self, answers: Sequence[str], references: Sequence[str]) -> list[Any]:
        """The share of hidden words that were told, in capitals or not where the vocabulary knows none.

        Raises: UserError where no text has a hidden word, or there are not as many answers as references.
        """
        from zoo.evaluation.score import check_rows
        from zoo.evaluation.text import exact_match

        check_rows(answers, references)
        # An answer is the text itself but for the word that was filled in, so that whole texts may be compared.
        pairs = [(answer, text) for answer, text in zip(answers, references, strict=True) if self._asked(text)]
        if not pairs:
            raise UserError("no text has a word that is one piece of the vocabulary, to be hidden and told")
        told, texts = ([self._folded(text) for text in side] for side in zip(*pairs, strict=True))
        return [exact_match(told, texts)]

    def signatures(self) -> dict[str, Signature]:
        outputs = {"texts": "string [B, N]", "scores": "float32 [B, N]"}
        return {"serving_default": Signature({"text": "string [B]"}, outputs, "the mask filled, likeliest first")}


def _own_rng(ids: np.ndarray) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(ids.tobytes()))


class _AtMask:
    """A model that says of each text what stands at its first mask alone: logits [B, V]; of no meaning without one.

    Logits of all positions would be gigabytes for a thousand texts.
    """

    def __init__(self, model: Any, mask_id: int) -> None:
        self.model = weakref.ref(model)  # not kept alive by what is compiled of it
        self.mask_id, self.config, self.variables = mask_id, model.config, model.variables

    def __call__(self, inputs: dict[str, Any], training: bool) -> Any:
        from keras import ops

        model, ids = self.model(), inputs["ids"]
        assert model is not None
        length = ops.shape(ids)[1]
        places = ops.min(ops.where(ops.equal(ids, self.mask_id), ops.arange(length), length - 1), axis=1)
        hidden = model.hidden(inputs, training=training)
        return model.masked_logits(hidden, ops.cast(places, "int32")[:, None])[:, 0]


_AT_MASK: weakref.WeakKeyDictionary[Any, _AtMask] = weakref.WeakKeyDictionary()  # one of each model: it is compiled


def _at_mask(model: Any, mask_id: int) -> _AtMask:
    if model not in _AT_MASK:
        _AT_MASK[model] = _AtMask(model, mask_id)
    return _AT_MASK[model]
