"""The graph of a tagger: signatures serving_default, the entities of a text, and tokens, its words.

What stands for a stretch of a text here are flat tensors over the words of all texts, [W]; `zoo.tasks.tag` says what a
word and an entity are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from zoo.export.bundle import Bundle, Exported
from zoo.export.text_encoder import TextEncoderModule, limits_of, over_texts, reference_model, weights_of
from zoo.preprocessing.subwords_graph import changes, rows_of
from zoo.tasks.tag import OUTSIDE, PUNCTUATION, Tag

__all__ = ["build", "weights_of"]

WHITE = r"[\t-\r\x1c-\x1f\x{85}\p{Z}]*"  # what str.strip() takes off, as a regular expression
SPOKEN = "[" + "".join(f"\\{each}" for each in PUNCTUATION) + "]+"  # as a regular expression


class Words(NamedTuple):
    """The words of all texts: row, tag, start, end int32 [W], score float32 [W]; and of the texts, cut bool [B]."""

    row: tf.Tensor
    tag: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor
    score: tf.Tensor
    cut: tf.Tensor


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle of the task tag.

    Raises: UserError where the model is no Bert, or Keras is not on TensorFlow.
    """
    task = bundle.task
    assert isinstance(task, Tag)
    module = _Tagger(bundle, storage)
    return Exported(
        module=module,
        functions={name: over_texts(["text"], getattr(module, name)) for name in ("serving_default", "tokens")},
        settled={"serving_default": {}, "tokens": {}},
        limits=limits_of(bundle),
        reference=_Reference(task, reference_model(bundle, storage)),
        close=frozenset({"entities", "labels", "starts", "ends", "scores", "count"}),  # of tags that are as likely
    )


class _Tagger(TextEncoderModule):
    def __init__(self, bundle: Bundle, storage: str) -> None:
        super().__init__(bundle, storage)
        names = bundle.task.preprocessors["labels"].names
        kinds = ["" if name == OUTSIDE else name[2:] if name[:2] in ("B-", "I-") else name for name in names]
        labels = sorted({*kinds, ""})  # "" is the first
        self.names, self.labels = tf.constant(names), tf.constant(labels)
        self.label_of = tf.constant([labels.index(kind) for kind in kinds])
        self.goes_on = tf.constant([name.startswith("I-") for name in names])
        self.words = over_texts(["text"], self._words)

    def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """entities, labels, starts, ends, scores [B, N]; count, truncated [B]."""
        words = self.words(text)
        label = tf.gather(self.label_of, words.tag)
        same = (words.row[1:] == words.row[:-1]) & (label[1:] == label[:-1])
        begins = tf.concat([tf.fill(tf.minimum(tf.shape(label), 1), True), ~same], axis=0)
        number = tf.cumsum(tf.cast(begins | ~tf.gather(self.goes_on, words.tag), tf.int32)) - 1
        first = tf.where(number[1:] != number[:-1])[:, 0] + 1
        first = tf.concat([tf.zeros(tf.minimum(tf.shape(label), 1), tf.int64), first], axis=0)
        end, score = tf.math.segment_max(words.end, number), tf.math.segment_mean(words.score, number)
        kept = tf.boolean_mask(tf.range(tf.size(first)), tf.gather(label, first) > 0)
        first = tf.gather(first, kept)
        row, start, end = (tf.gather(*each) for each in ((words.row, first), (words.start, first), (end, kept)))
        entity, start, end = _trimmed(_parts(text, row, start, end), start)
        found = {
            "entities": entity,
            "labels": tf.gather(self.labels, tf.gather(label, first)),
            "starts": start,
            "ends": end,
            "scores": tf.gather(score, kept),
        }
        return {**_in_rows(found, row, tf.size(text)), "truncated": words.cut}

    def tokens(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """tokens, tags, starts, ends, scores [B, N]; count, truncated [B]."""
        words = self.words(text)
        found = {
            "tokens": _parts(text, words.row, words.start, words.end),
            "tags": tf.gather(self.names, words.tag),
            "starts": words.start,
            "ends": words.end,
            "scores": words.score,
        }
        return {**_in_rows(found, words.row, tf.size(text)), "truncated": words.cut}

    def _words(self, text: tf.Tensor) -> Words:
        packed = self.pack(text)
        shares = tf.nn.softmax(self.model.logits(*packed.inputs))
        _, starts, ends = self.text.tokenize(text, self.most)
        place = tf.ragged.range(starts.row_lengths())
        read = place.values < self.most - 2  # what stands behind was cut
        row, place, start, end = (
            tf.boolean_mask(tf.cast(each, tf.int32), read)
            for each in (rows_of(starts), place.values, starts.values, ends.values)
        )
        seen = ~tf.strings.regex_full_match(_parts(text, row, start, end), WHITE)
        row, place, start, end = (tf.boolean_mask(each, seen) for each in (row, place, start, end))
        begins = changes(row) | (start > tf.concat([[0], end[:-1]], axis=0)[: tf.size(end)])
        first = tf.cast(tf.where(begins)[:, 0], tf.int32)
        of_word = tf.gather_nd(shares, tf.stack([tf.gather(row, first), tf.gather(place, first) + 1], axis=1))
        return Words(
            row=tf.gather(row, first),
            tag=tf.argmax(of_word, axis=1, output_type=tf.int32),
            start=tf.gather(start, first),
            end=tf.math.segment_max(end, tf.cumsum(tf.cast(begins, tf.int32)) - 1),
            score=tf.reduce_max(of_word, axis=1),
            cut=packed.cut,
        )


def _parts(text: tf.Tensor, row: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """The characters from start to end, int32 [W], of the texts in rows int32 [W]; no text is copied for each."""
    given = tf.strings.unicode_decode(text, "UTF-8", errors="replace")
    first = tf.gather(tf.cast(given.row_starts(), tf.int32), row)
    return tf.strings.unicode_encode(tf.gather(given.values, tf.ragged.range(first + start, first + end)), "UTF-8")


def _trimmed(whole: tf.Tensor, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Stretches without the punctuation at their ends, unless they are nothing else: their texts, starts and ends."""
    left = tf.strings.regex_replace(whole, f"^{SPOKEN}", "")
    inner = tf.strings.regex_replace(left, f"{SPOKEN}$", "")
    nothing = inner == ""
    skipped = tf.strings.length(whole, unit="UTF8_CHAR") - tf.strings.length(left, unit="UTF8_CHAR")
    inner, start = tf.where(nothing, whole, inner), tf.where(nothing, start, start + skipped)
    return inner, start, start + tf.strings.length(inner, unit="UTF8_CHAR")


def _in_rows(values: dict[str, tf.Tensor], row: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
    """Flat values [W], ordered by their row, as [B, N], and their count int32 [B]."""
    ragged = {name: tf.RaggedTensor.from_value_rowids(each, row, rows, validate=False) for name, each in values.items()}
    count = tf.math.unsorted_segment_sum(tf.ones_like(row), row, rows)
    return {**{name: each.to_tensor() for name, each in ragged.items()}, "count": count}


class _Reference:
    """The model itself, asked through the host faces."""

    def __init__(self, task: Tag, model: Any) -> None:
        self.task, self.model = task, model

    def __call__(self, raws: Sequence[str]) -> dict[str, list[Any]]:
        found = self.task.predict(self.model, raws)
        names = {"entities": "text", "labels": "label", "starts": "start", "ends": "end", "scores": "score"}
        answers = {name: [[getattr(entity, field) for entity in row] for row in found] for name, field in names.items()}
        return {**answers, "count": [len(row) for row in found]}
