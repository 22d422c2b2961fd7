"""Answer: a question and a text in, the stretch of the text that answers it out, or nothing where none does.

A long context is read in windows that overlap (Devlin et al., 2018, section 4.2); that there is no answer is the span
of the first position alone (section 4.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from zoo.data.plan import Shape
from zoo.data.squad import check_answers
from zoo.errors import UserError
from zoo.recipe import Schema, option
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import Data as TextData
from zoo.tasks.text_encoder import TextEncoder, text_of

NEVER = -1e9  # logit of a position that cannot be


@dataclass(frozen=True)
class Data(TextData):
    """Questions with contexts and answers."""

    max_length: int = option(384, "pieces of a window: question, a part of the context, special ones", low=32)
    max_question: int = option(64, "pieces that are read of a question; the rest is cut", low=4)
    stride: int = option(128, "pieces of the context from one window to the next", low=1)

    def __post_init__(self) -> None:
        if self.max_question > self.max_length // 2:
            raise UserError("the question may not take more than half of a window", where="max_question")
        if self.stride > self.max_length - self.max_question - 8:
            raise UserError("windows so far apart would leave out pieces of the context", where="stride")


@dataclass(frozen=True)
class Decoding:
    """From spans to answers."""

    longest: int = option(30, "most pieces of an answer", low=1)
    no_answer: bool = option(False, "there may be no answer, as in SQuAD 2.0")
    threshold: float = option(0.0, "how much more likely than any span no answer has to be, in logits")


class Window(NamedTuple):
    """A part of a context with the question before it.

    row: ids and segments.
    first: piece of the context with which it begins.
    begin: position of that piece in the row.
    size: pieces of the context.
    """

    row: dict[str, np.ndarray]
    first: int
    begin: int
    size: int


class Answer(TextEncoder):
    """The reader: encoder, and the logits of first and last position at each piece."""

    name = "answer"
    exporter = "zoo.export.answer:build"
    columns = ("question", "context", "answers")
    head = "span"
    data = Data

    @classmethod
    def schema(cls) -> Schema:
        return {**super().schema(), "decoding": Decoding}

    @property
    def fingerprint(self) -> str:
        data = self.recipe.data
        return f"{super().fingerprint} {(data.max_question, data.stride)}"

    # Windows.

    def windows(self, question: str, context: np.ndarray) -> list[Window]:
        """Windows over the pieces of a context, int32 [T], each `stride` after the one before; at least one."""
        data = self.recipe.data
        asked = self.subwords.encode(question)[: data.max_question]
        begin = len(asked) + 1 + self.subwords.pair_ends
        room = data.max_length - begin - 1
        found, first = [], 0
        while True:
            part = context[first : first + room]
            packed = self.subwords.pack(asked, part, most=data.max_length)
            found.append(Window({"ids": packed.ids, "segments": packed.segments}, first, begin, len(part)))
            if first + room >= len(context):
                return found
            first += data.stride

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The window in which the first answer has most context, and the positions of the answer in it.

        first, last: int32; both 0 where there is no answer, -1 where it fits into no window. context: int32 [2], where
        the context begins and ends.
        """
        question, context = text_of(values, "question"), text_of(values, "context")
        check_answers(context, values["answers"])
        ids, offsets = self.subwords.encode_with_offsets(context)
        windows = self.windows(question, ids)
        chosen, first, last = windows[0], 0, 0
        if values["answers"]:
            start = values["answers"][0]["start"]
            end = start + len(values["answers"][0]["text"])
            inside = np.flatnonzero((offsets[:, 1] > start) & (offsets[:, 0] < end))
            chosen, first, last = _best(windows, inside)
        return {
            **chosen.row,
            "first": np.int32(first),
            "last": np.int32(last),
            "context": np.array([chosen.begin, chosen.begin + chosen.size], np.int32),
        }

    def targets(self, values: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError("encode gives them, since they belong to a window")

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        return [text_of(values, "question"), text_of(values, "context")]

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        return "an answer longer than a window" if row["first"] < 0 else super().keep(values, row)

    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """first, last int32 [B]; possible bool [B, T]: the context, and the first position for no answer."""
        places = np.arange(shape.lengths[0])
        batch = {
            "first": np.zeros(shape.rows, np.int32),
            "last": np.zeros(shape.rows, np.int32),
            "possible": np.tile(places == 0, (shape.rows, 1)),
        }
        for index, row in enumerate(rows):
            batch["first"][index], batch["last"][index] = row["first"], row["last"]
            batch["possible"][index] |= (places >= row["context"][0]) & (places < row["context"][1])
        return batch

    # What is minimised: the mean of the two cross-entropies.

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        from keras import ops

        from zoo.training.losses import smoothed_cross_entropy

        logits = ops.cast(model(self.inputs_of(batch), training=training), "float32")
        logits = ops.where(batch["possible"][:, :, None], logits, NEVER)
        losses = [
            smoothed_cross_entropy(logits[:, :, side], batch[name], batch["real"])
            for side, name in enumerate(("first", "last"))
        ]
        return {
            "loss": (losses[0] + losses[1]) / 2.0,
            "count": ops.sum(ops.cast(batch["real"], "float32")),
            "tokens": ops.sum(ops.cast(batch["mask"], "float32")),
        }

    # Answers.

    def predict(self, model: Any, raws: Sequence[tuple[str, str]]) -> list[str]:
        """The answer each; "" for none."""
        contexts = [self.subwords.encode_with_offsets(context) for _, context in raws]
        windows = [self.windows(question, ids) for (question, _), (ids, _) in zip(raws, contexts, strict=True)]
        logits = iter(self.outputs(model, [window.row for each in windows for window in each]))
        answers = []
        for (_, context), (_, offsets), each in zip(raws, contexts, windows, strict=True):
            span = self.best_span(each, [next(logits) for _ in each])
            answers.append(context[offsets[span[0], 0] : offsets[span[1], 1]] if span else "")
        return answers

    def best_span(self, windows: Sequence[Window], logits: Sequence[np.ndarray]) -> tuple[int, int] | None:
        """First and last piece of the context of the likeliest span in any window; None where there is no answer.

        Args:
            logits: [T, 2] of each window. A span's is the sum of its two; of no answer, the least of all windows.
        """
        choices = self.recipe.decoding
        best, highest = None, -np.inf
        for window, each in zip(windows, logits, strict=True):
            inside = each[window.begin : window.begin + window.size]
            sums = inside[:, 0, None] + inside[None, :, 1]
            length = np.arange(window.size)[None, :] - np.arange(window.size)[:, None]
            sums = np.where((length >= 0) & (length < choices.longest), sums, -np.inf)
            if window.size and sums.max() > highest:
                highest = float(sums.max())
                place = np.unravel_index(int(sums.argmax()), sums.shape)
                best = (window.first + int(place[0]), window.first + int(place[1]))
        nothing = min(float(each[0].sum()) for each in logits)
        return None if choices.no_answer and nothing > highest + choices.threshold else best

    def answer(self, row: Mapping[str, Any]) -> str:
        return row["answer"]

    def score(self, answers: Sequence[str], references: Sequence[Any]) -> list[Any]:
        """F1 of words (which selects) and exact matches, by SQuAD's own rules."""
        from zoo.evaluation.questions import answer_scores

        return answer_scores(answers, [[answer["text"] for answer in each] for each in references])

    def signatures(self) -> dict[str, Signature]:
        given = {"question": "string [B]", "context": "string [B]"}
        names = ("answer", "start", "end", "score")
        kinds = ("string", "int32", "int32", "float32")
        return {
            "serving_default": Signature(
                given, {name: f"{kind} [B]" for name, kind in zip(names, kinds, strict=True)}, "the answer"
            ),
            "n_best": Signature(
                given,
                {f"{name}s": f"{kind} [B, N]" for name, kind in zip(names, kinds, strict=True)},
                "several answers, likeliest first",
            ),
        }


def _best(windows: Sequence[Window], pieces: np.ndarray) -> tuple[Window, int, int]:
    """The window in which the pieces of an answer stand farthest from its ends, and their positions; else -1, -1."""
    inside = [
        (min(pieces[0] - window.first, window.first + window.size - 1 - pieces[-1]), -index)
        for index, window in enumerate(windows)
        if len(pieces) and window.first <= pieces[0] and pieces[-1] < window.first + window.size
    ]
    if not inside:
        return windows[0], -1, -1
    window = windows[-max(inside)[1]]
    return window, window.begin + pieces[0] - window.first, window.begin + pieces[-1] - window.first
