"""Tag: a text in, the entities in it out, with their labels and where they stand.

It learns from words with a tag each (CoNLL columns), where the first piece of a word carries its tag (Devlin et al.,
2018, section 5.3). In a text, a word is what stands between white space, and an entity is cut free of the punctuation
at its ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np

from zoo.data.conll import check_sentence, iob2
from zoo.data.plan import Shape
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import LabelledData, TextEncoder, softmax

OUTSIDE = "O"
PUNCTUATION = ".,;:!?\"'()[]{}"


class Entity(NamedTuple):
    """A stretch of a text, and what it is."""

    text: str
    label: str
    start: int  # in characters
    end: int
    score: float  # mean probability of the tags of its words


class Tag(TextEncoder):
    """The tagger: encoder, and one logit a tag at each piece."""

    name = "tag"
    exporter = "zoo.export.tag:build"
    columns = ("words", "tags")
    head = "tokens"
    data = LabelledData

    def inputs(self) -> tuple[str, ...]:
        return ("text",)

    def raw(self, values: Mapping[str, Any]) -> str:
        """The words as a text, divided by blanks."""
        return " ".join(values["words"])

    def reference(self, values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Words and tags: entities of a text are scored as the tags of its words."""
        return values["words"], iob2(values["tags"])

    # Preprocessing: the tag of a word belongs to its first piece.

    def names(self, values: Mapping[str, Any]) -> list[str]:
        """The tags of an example; where an entity begins it might also go on, so both its tags are there."""
        check_sentence(values["words"], values["tags"])
        found = set(iob2(values["tags"]))
        return sorted(found | {f"{letter}-{tag[2:]}" for tag in found if tag[:2] in ("B-", "I-") for letter in "BI"})

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        return [self.raw(values)]

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """ids and segments as of a text; tags int32 [T], -1 where no word begins."""
        check_sentence(values["words"], values["tags"])
        ids, word_of = self.subwords.encode_words(values["words"])
        packed = self.subwords.pack(ids, most=self.recipe.data.max_length)
        labels = [self.labels.index(tag) for tag in iob2(values["tags"])]
        tags = np.full(len(packed.ids), -1, np.int32)
        first = np.flatnonzero(np.diff(word_of, prepend=-1))  # pieces with which a word begins
        first = first[first < len(packed.ids) - 2]
        tags[first + 1] = np.array(labels, np.int32)[word_of[first]]
        return {"ids": packed.ids, "segments": packed.segments, "tags": tags}

    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """tags int32 [B, T], -1 where none is told."""
        tags = np.full((shape.rows, *shape.lengths), -1, np.int32)
        for index, row in enumerate(rows):
            tags[index, : len(row["tags"])] = row["tags"]
        return {"tags": tags}

    # What is minimised.

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        from keras import ops

        from zoo.training.losses import smoothed_cross_entropy

        told = ops.greater_equal(batch["tags"], 0)
        logits = model(self.inputs_of(batch), training=training)
        return {
            "loss": smoothed_cross_entropy(logits, ops.maximum(batch["tags"], 0), told),
            "count": ops.sum(ops.cast(told, "float32")),
            "tokens": ops.sum(ops.cast(batch["mask"], "float32")),
        }

    # Answers.

    def predict(self, model: Any, raws: Sequence[str]) -> list[list[Entity]]:
        """The entities of each text, in their order."""
        encoded = [self.subwords.encode_with_offsets(raw) for raw in raws]
        packed = [self.subwords.pack(ids, most=self.recipe.data.max_length) for ids, _ in encoded]
        rows = [{"ids": each.ids, "segments": each.segments} for each in packed]
        found = []
        for raw, row, (_, offsets), logits in zip(raws, rows, encoded, self.outputs(model, rows), strict=True):
            pieces = len(row["ids"]) - 2
            found.append(self.entities(raw, offsets[:pieces], softmax(logits[1 : pieces + 1])))
        return found

    def entities(self, text: str, offsets: np.ndarray, probabilities: np.ndarray) -> list[Entity]:
        """Words to entities.

        Args:
            offsets: int [T, 2], where each piece begins and ends in the text. A piece after a gap begins a word; a
                piece of white space, as byte pairs have of a line's end, is a gap.
            probabilities: [T, C] of the tags at each piece.
        """
        seen = np.array([bool(text[start:end].strip()) for start, end in offsets], bool)
        offsets, probabilities = offsets[seen], probabilities[seen]
        if not len(offsets):
            return []
        starts, ends = offsets[:, 0], offsets[:, 1]
        first = np.flatnonzero(np.concatenate([[True], starts[1:] > ends[:-1]]))
        last = np.concatenate([first[1:], [len(offsets)]]) - 1
        best = probabilities[first].argmax(axis=1)
        found: list[list[Any]] = []  # label, start, end, scores; "" where there is none
        for begin, end, tag, row in zip(starts[first], ends[last], best, probabilities[first], strict=True):
            name, score = self.labels.names[tag], float(row[tag])
            label = "" if name == OUTSIDE else name[2:] if name[:2] in ("B-", "I-") else name
            if name.startswith("I-") and found and found[-1][0] == label:
                found[-1][2] = int(end)
                found[-1][3].append(score)
            else:
                found.append([label, int(begin), int(end), [score]])
        return [_trimmed(text, label, begin, end, scores) for label, begin, end, scores in found if label]

    def answer(self, row: Mapping[str, Any]) -> list[Entity]:
        parts = [row[name][: row["count"]] for name in ("entities", "labels", "starts", "ends", "scores")]
        return [Entity(*each) for each in zip(*parts, strict=True)]

    def score(self, answers: Sequence[Sequence[Entity]], references: Sequence[Any]) -> list[Any]:
        """F1 of whole entities (which selects), precision and recall; of tags that mark no entities their accuracy."""
        from zoo.evaluation.classification import accuracy
        from zoo.evaluation.tagging import entity_scores

        tags, expected = self._sides(answers, references)
        return entity_scores(tags, expected) if self._marked else [accuracy(*_flat(tags, expected))]

    def scores_by_label(self, answers: Sequence[Sequence[Entity]], references: Sequence[Any]) -> list[Any]:
        """F1 of the entities of each label; of tags that mark no entities that of each tag."""
        from zoo.evaluation import classification, tagging

        tags, expected = self._sides(answers, references)
        if self._marked:
            return [*tagging.f1_by_label(tags, expected).values()]
        given, right = ([{tag} for tag in side] for side in _flat(tags, expected))
        return [*classification.f1_by_label(given, right).values()]

    @property
    def _marked(self) -> bool:
        """Whether the tags mark entities."""
        return any(name.startswith("B-") for name in self.labels.names)

    @staticmethod
    def _sides(answers: Sequence[Sequence[Entity]], references: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The tags of the words of each sentence: those answered, and the right ones."""
        tags = [tags_of(words, found) for found, (words, _) in zip(answers, references, strict=True)]
        return tags, [tags for _, tags in references]

    def signatures(self) -> dict[str, Signature]:
        entities = {
            "entities": "string [B, N]",
            "labels": "string [B, N]",
            "starts": "int32 [B, N]",
            "ends": "int32 [B, N]",
            "scores": "float32 [B, N]",
            "count": "int32 [B]",
            "truncated": "bool [B]",
        }
        tokens = {"tokens": "string [B, N]", "tags": "string [B, N]", **entities}
        return {
            "serving_default": Signature({"text": "string [B]"}, entities, "the entities, in order"),
            "tokens": Signature(
                {"text": "string [B]"},
                {name: tokens[name] for name in ("tokens", "tags", "starts", "ends", "scores", "count", "truncated")},
                "every word with its tag",
            ),
        }


def _flat(tags: Sequence[Sequence[str]], expected: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Tags that mark no entities, of all sentences in a row: those answered, and the right ones."""
    return [tag.removeprefix("B-") for row in tags for tag in row], [*chain.from_iterable(expected)]


def tags_of(words: Sequence[str], entities: Sequence[Entity]) -> list[str]:
    """IOB2 tags of words that stood in a text with a blank between them; a word that an entity touches is in it."""
    ends = list(accumulate(len(word) + 1 for word in words))  # with the blank
    tags = [OUTSIDE] * len(words)
    for entity in entities:
        inside = [i for i, end in enumerate(ends) if entity.start < end - 1 and end - 1 - len(words[i]) < entity.end]
        for number, index in enumerate(inside):
            tags[index] = f"{'I' if number else 'B'}-{entity.label}"
    return tags


def _trimmed(text: str, label: str, start: int, end: int, scores: Sequence[float]) -> Entity:
    """The entity without the punctuation at its ends, unless it is nothing else."""
    inner = text[start:end].strip(PUNCTUATION)
    if inner:
        start += text[start:end].index(inner)
        end = start + len(inner)
    return Entity(text[start:end], label, start, end, sum(scores) / len(scores))
