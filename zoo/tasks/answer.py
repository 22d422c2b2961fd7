"""Answer: a question and a text in, the stretch of the text that answers it out, or nothing where none does.

A long context is read in windows that overlap (Devlin et al., 2018, section 4.2); that there is no answer is the span
of the first position alone (section 4.3). That is also what a window is taught that does not hold the answer, whether
questions without one are asked or not, as transformers' run_qa.py has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zoo.data.plan import Shape
from zoo.data.squad import check_answers
from zoo.errors import UserError
from zoo.recipe import Schema, option
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import Data as TextData
from zoo.tasks.text_encoder import TextEncoder, text_of

NEVER = -1e9  # logit of a position that cannot be
N_BEST = 5  # stretches that are told where several are asked for


@dataclass(frozen=True)
class Data(TextData):
    """Questions with contexts and answers."""

    kept_by: ClassVar[str] = "context"  # a context has several questions

    max_length: int = option(384, "pieces of a window: question, a part of the context, special ones", low=32)
    max_question: int = option(64, "pieces that are read of a question; the rest is cut", low=4)
    max_context: int = option(4096, "pieces of a context that are read; the rest is not looked at", low=1)
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

    def places(self, pieces: np.ndarray) -> tuple[int, int] | None:
        """Positions in the row of the first and last of some pieces of the context; None unless all stand in it."""
        if not len(pieces) or pieces[0] < self.first or pieces[-1] >= self.first + self.size:
            return None
        return int(pieces[0]) - self.first + self.begin, int(pieces[-1]) - self.first + self.begin


class Span(NamedTuple):
    """First and last piece of the context, and how much likelier than no answer they are, in logits."""

    first: int
    last: int
    score: float


class Found(NamedTuple):
    """A stretch of a context; empty, and 0 to 0, for none.

    score: the two logits of the likeliest stretch less those of no answer, which are the least of all windows. It is
        negative where no answer is likelier; `NEVER` where the context has nothing to choose.
    """

    answer: str
    start: int  # in characters
    end: int
    score: float


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
        return f"{super().fingerprint} all windows {(data.max_question, data.max_context, data.stride)}"

    # Windows.

    def windows(self, question: str, context: np.ndarray) -> list[Window]:
        """Windows over the pieces of a context, int32 [T], each `stride` after the one before; at least one.

        Pieces of the context after the first `max_context` are in none.
        """
        data = self.recipe.data
        context = context[: data.max_context]
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

    def encode(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All windows of an example, each a row, and where the first answer stands in it.

        first, last: int32; both 0 in a window that does not hold the whole answer, as where there is none; -1, in the
        only row, where no window holds it. context: int32 [2], where the context begins and ends.
        """
        question, context = text_of(values, "question"), text_of(values, "context")
        check_answers(context, values["answers"])
        ids, offsets = self.subwords.encode_with_offsets(context)
        windows = self.windows(question, ids)
        if not values["answers"]:
            return [_row(window, 0, 0) for window in windows]
        start = values["answers"][0]["start"]
        end = start + len(values["answers"][0]["text"])
        pieces = np.flatnonzero((offsets[:, 1] > start) & (offsets[:, 0] < end))
        places = [window.places(pieces) for window in windows]
        if not any(places):
            return [_row(windows[0], -1, -1)]
        return [_row(window, *(found or (0, 0))) for window, found in zip(windows, places, strict=True)]

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        return [text_of(values, "question"), text_of(values, "context")]

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        return "an answer that fits into no window" if row["first"] < 0 else super().keep(values, row)

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
        return [found.answer for found in self.find(model, raws)]

    def find(self, model: Any, raws: Sequence[tuple[str, str]]) -> list[Found]:
        """The answer each, or none. What is none tells the score of the stretch that would have been the answer."""
        best = [found[0] for found in self.find_n_best(model, raws, 1)]
        return [Found("", 0, 0, each.score) if self.is_none(each.score) else each for each in best]

    def find_n_best(self, model: Any, raws: Sequence[tuple[str, str]], most: int = N_BEST) -> list[list[Found]]:
        """The likeliest stretches each, best first, whether there may be no answer or not; so many, `NEVER` the rest.

        They differ in their pieces; they may overlap.
        """
        contexts = [self.subwords.encode_with_offsets(context) for _, context in raws]
        windows = [self.windows(question, ids) for (question, _), (ids, _) in zip(raws, contexts, strict=True)]
        logits = iter(self.outputs(model, [window.row for each in windows for window in each]))
        found = []
        for (_, context), (_, offsets), each in zip(raws, contexts, windows, strict=True):
            row = []
            for first, last, score in self.best_spans(each, [next(logits) for _ in each], most):
                start, end = int(offsets[first, 0]), int(offsets[last, 1])
                row.append(Found(context[start:end], start, end, score))
            found.append(row + [Found("", 0, 0, NEVER)] * (most - len(row)))
        return found

    def best_spans(self, windows: Sequence[Window], logits: Sequence[np.ndarray], most: int) -> list[Span]:
        """The likeliest spans of all windows, best first; of equal ones the first in the context, the shortest.

        A span that stands in several windows is told once, with the best of its logits.

        Args:
            logits: [T, 2] of each window. A span's is the sum of its two; of no answer, the least of all windows.
        """
        longest = self.recipe.decoding.longest
        sums = np.full((windows[-1].first + windows[-1].size, longest), NEVER, np.float32)
        for window, each in zip(windows, logits, strict=True):
            inside = each[window.begin : window.begin + window.size]
            for further in range(min(longest, window.size)):
                firsts = window.size - further
                here = sums[window.first : window.first + firsts, further]
                here[:] = np.maximum(here, inside[:firsts, 0] + inside[further:, 1])
        nothing = min(float(each[0].sum()) for each in logits)
        places = np.argsort(-sums, axis=None, kind="stable")[:most]
        spans = [(*divmod(int(place), longest), float(sums.flat[place])) for place in places]
        return [Span(first, first + further, total - nothing) for first, further, total in spans if total > NEVER]

    def is_none(self, score: float) -> bool:
        """Whether there is no answer where the likeliest span has this score."""
        return self.recipe.decoding.no_answer and score < -self.recipe.decoding.threshold

    def answer(self, row: Mapping[str, Any]) -> str:
        return row["answer"]

    def score(self, answers: Sequence[str], references: Sequence[Any]) -> list[Any]:
        """F1 of words (which selects) and exact matches, by SQuAD's own rules."""
        from zoo.evaluation.questions import answer_scores

        return answer_scores(answers, [[answer["text"] for answer in each] for each in references])

    def advice(self, ask: Callable[[str], Iterable[Mapping[str, Any]]], references: Sequence[Any]) -> list[str]:
        """The best threshold of no answer, where there may be none."""
        from zoo.evaluation.questions import no_answer_threshold

        if not self.recipe.decoding.no_answer:
            return []
        found = [(row["answers"][0], row["scores"][0]) for row in ask("n_best")]
        right = [[answer["text"] for answer in each] for each in references]
        threshold, score = no_answer_threshold([text for text, _ in found], right, [score for _, score in found])
        return [f"decoding.threshold {threshold:g} is best on these questions: {score}"]

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
                f"the {N_BEST} likeliest stretches, best first; of a score below 0 no answer is likelier",
            ),
        }


def _row(window: Window, first: int, last: int) -> dict[str, Any]:
    """What `Answer.encode` gives of a window."""
    return {
        **window.row,
        "first": np.int32(first),
        "last": np.int32(last),
        "context": np.array([window.begin, window.begin + window.size], np.int32),
    }
