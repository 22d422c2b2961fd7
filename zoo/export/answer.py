"""The graph of a reader: signatures serving_default, the answer in a context, and n_best, several of them.

The windows of all contexts are one list, W of them, found by arithmetic on where the flat pieces of all texts stand;
`zoo.tasks.answer` says what a window and an answer are. Spans are told apart by their first piece and by how many
follow it, fewer than `longest`, so that no table of all pairs is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import tensorflow as tf

from zoo.export.bundle import Bundle, Exported
from zoo.export.text_encoder import TextEncoderModule, limits_of, over_texts, reference_model, weights_of
from zoo.tasks.answer import N_BEST, NEVER, Answer

__all__ = ["build", "weights_of"]

CHUNK = 32  # windows that go through the encoder at once


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle of the task answer.

    Raises: UserError where the model is no Bert, or Keras is not on TensorFlow.
    """
    task, choices = bundle.task, bundle.recipe.decoding
    assert isinstance(task, Answer)
    module, data = _Reader(bundle, storage), bundle.recipe.data
    return Exported(
        module=module,
        functions={
            "serving_default": over_texts(["question", "context"], module.serving_default),
            "n_best": module.n_best,
        },
        settled={"serving_default": asdict(choices), "n_best": {"longest": choices.longest, "n": N_BEST}},
        limits={**limits_of(bundle), "question_pieces": data.max_question, "context_pieces": data.max_context},
        reference=_Reference(task, reference_model(bundle, storage)),
        close=frozenset({"answer", "start", "end"}),  # of spans that are as likely, or on the edge of the threshold
    )


class Windows(NamedTuple):
    """All windows of a batch: the row of each, its first piece of the context, where that stands, how many there are.

    Each is int32 [W]; the windows of a row follow each other.
    """

    row: tf.Tensor
    first: tf.Tensor
    begin: tf.Tensor
    size: tf.Tensor


class _Reader(TextEncoderModule):
    def __init__(self, bundle: Bundle, storage: str) -> None:
        super().__init__(bundle, storage)
        self.data, self.decoding = bundle.recipe.data, bundle.recipe.decoding
        self.longest = min(self.decoding.longest, self.most)  # as many as a window could have
        subwords = bundle.task.preprocessors["text"]
        self.pair_ends, self.pair_segment = subwords.pair_ends, subwords.pair_segment
        self.n_best = over_texts(["question", "context"], self._n_best)

    def serving_default(self, question: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
        """answer, start, end, score [B]."""
        found = self.n_best(question, context)
        best = {name: found[f"{name}s"][:, 0] for name in ("answer", "start", "end", "score")}
        if not self.decoding.no_answer:
            return best
        none = best["score"] < -self.decoding.threshold
        nothing = {"answer": "", "start": 0, "end": 0, "score": best["score"]}
        return {name: tf.where(none, nothing[name], value) for name, value in best.items()}

    def _n_best(self, question: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
        """answers, starts, ends, scores [B, N]."""
        # The text that offsets count the characters of.
        context = tf.strings.unicode_transcode(context, "UTF-8", "UTF-8", errors="replace")
        asked, _, _ = self.text.tokenize(question, self.data.max_question)
        pieces, starts, ends = self.text.tokenize(context, self.data.max_context)
        lengths = tf.minimum(_lengths(asked), self.data.max_question)
        counts = tf.minimum(_lengths(pieces), self.data.max_context)
        windows = self._windows(lengths, counts)
        logits = self._logits(self._inputs(windows, tf.gather(lengths, windows.row), asked, pieces))
        nothing = tf.math.unsorted_segment_min(logits[:, 0, 0] + logits[:, 0, 1], windows.row, tf.size(counts))
        sums = self._sums(windows, logits, tf.size(counts), tf.reduce_max(tf.concat([counts, [N_BEST]], axis=0)))
        best, place = tf.math.top_k(sums, k=N_BEST)  # of equal ones the first
        first, there = place // self.longest, best > NEVER
        rows = tf.range(tf.size(counts))[:, None]
        start = tf.where(there, _at(starts, rows, first), 0)
        end = tf.where(there, _at(ends, rows, first + place % self.longest), 0)
        texts = tf.repeat(context[:, None], N_BEST, axis=1)
        return {
            "answers": tf.strings.substr(texts, start, end - start, unit="UTF8_CHAR"),
            "starts": start,
            "ends": end,
            "scores": tf.where(there, best - nothing[:, None], NEVER),
        }

    def _windows(self, asked: tf.Tensor, counts: tf.Tensor) -> Windows:
        """The windows of contexts with so many pieces, behind questions with so many; int32 [B] both."""
        begin = asked + 1 + self.pair_ends
        room, stride = self.most - 1 - begin, self.data.stride
        several = 1 + (tf.maximum(counts - room, 0) + stride - 1) // stride
        row = tf.repeat(tf.range(tf.size(counts)), several)
        number = tf.range(tf.size(row)) - tf.gather(tf.cumsum(several, exclusive=True), row)
        begin, room, left = (tf.gather(each, row) for each in (begin, room, counts))
        return Windows(row, number * stride, begin, tf.minimum(room, left - number * stride))

    def _inputs(
        self, windows: Windows, asked: tf.Tensor, questions: tf.RaggedTensor, contexts: tf.RaggedTensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """ids int32, mask bool and segments int32 [W, T] of windows whose questions have so many pieces, int32 [W]."""
        row, first, begin, size = (each[:, None] for each in windows)
        asked, end = asked[:, None], begin + size
        place = tf.range(tf.reduce_max(tf.concat([windows.begin + windows.size + 1, [1]], axis=0)))[None]
        mask = place <= end
        ids = tf.where((place >= begin) & (place < end), _at(contexts, row, first + place - begin), self.text.end_id)
        ids = tf.where(place <= asked, _at(questions, row, place - 1), ids)
        ids = tf.where(place == 0, self.text.start_id, ids)
        segments = tf.cast((place >= asked + 2) & mask, tf.int32) * self.pair_segment
        return tf.where(mask, ids, self.text.pad_id), mask, segments

    def _logits(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Logits [W, T, 2] of all windows; the encoder sees `CHUNK` of them at a time, which bounds its memory."""
        chunks = tf.maximum(1, (tf.shape(inputs[0])[0] + CHUNK - 1) // CHUNK)

        def step(chunk: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            part = (each[chunk * CHUNK : (chunk + 1) * CHUNK] for each in inputs)
            return chunk + 1, found.write(chunk, self.model.logits(*part))

        found = tf.TensorArray(tf.float32, chunks, infer_shape=False, element_shape=[None, None, 2])
        # One after the other: chunks that ran at once would take the memory of all.
        _, found = tf.while_loop(lambda chunk, _: chunk < chunks, step, (0, found), parallel_iterations=1)
        return found.concat()

    def _sums(self, windows: Windows, logits: tf.Tensor, rows: tf.Tensor, pieces: tf.Tensor) -> tf.Tensor:
        """The logits of all spans, the best of all windows, float32 [B, pieces * longest]; `NEVER` of what is none.

        They stand in the order of their first piece, then of their length.
        """
        first = tf.range(tf.reduce_max(tf.concat([windows.size, [0]], axis=0)))[None]
        last = first[:, :, None] + tf.range(self.longest)
        begin, width = windows.begin[:, None], tf.shape(logits)[1]
        firsts = tf.gather(logits[:, :, 0], tf.minimum(begin + first, width - 1), batch_dims=1)
        lasts = tf.gather(logits[:, :, 1], tf.minimum(begin[:, :, None] + last, width - 1), batch_dims=1)
        sums = tf.where(last < windows.size[:, None, None], firsts[:, :, None] + lasts, NEVER)
        # What stands behind the end of a context counts for its last piece, where it is never the best.
        piece = tf.minimum(windows.first[:, None] + first, pieces - 1) + windows.row[:, None] * pieces
        best = tf.math.unsorted_segment_max(
            tf.reshape(sums, [-1, self.longest]), tf.reshape(piece, [-1]), rows * pieces
        )
        return tf.reshape(tf.maximum(best, NEVER), tf.stack([rows, pieces * self.longest]))


def _lengths(ragged: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(ragged.row_lengths(), tf.int32)


def _at(ragged: tf.RaggedTensor, row: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The value at a place of a row, both int32 and broadcast; any value where there is no such place."""
    values = tf.concat([ragged.values, [0]], axis=0)
    at = tf.gather(tf.cast(ragged.row_starts(), tf.int32), row) + place
    return tf.gather(values, tf.clip_by_value(at, 0, tf.size(values) - 1))


class _Reference:
    """The model itself, asked through the host faces."""

    def __init__(self, task: Answer, model: Any) -> None:
        self.task, self.model = task, model

    def __call__(self, raws: Sequence[tuple[str, str]]) -> dict[str, list[Any]]:
        found = self.task.find(self.model, raws)
        return {name: [getattr(each, name) for each in found] for name in ("answer", "start", "end", "score")}
