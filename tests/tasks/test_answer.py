"""Questions: windows by hand, spans by hand, a toy that is learned."""

import json

import numpy as np
import pytest

from tests.tasks.encoders import BAD, CLS, DOT, FILM, GOOD, SEP, SO, THE, WAS, learn, made, sums
from zoo.data.choices import open_part
from zoo.data.encoding import Encoder
from zoo.data.plan import Shape
from zoo.data.tables import Example
from zoo.errors import UserError

SMALL = {"data": {"max_length": 32, "max_question": 4, "stride": 8}}


def values(question="the film", context="bad was the film . good", text="good", start=19):
    answers = [{"text": text, "start": start}] if text else []
    return {"question": question, "context": context, "answers": answers}


def places(task, example):
    return [(int(row["first"]), int(row["last"])) for row in task.encode(example)]


def test_a_row_and_a_batch_by_hand():
    task = made("answer", **SMALL)
    (row,) = task.encode(values())
    assert row["ids"].tolist() == [CLS, THE, FILM, SEP, BAD, WAS, THE, FILM, DOT, GOOD, SEP]
    assert (int(row["first"]), int(row["last"]), row["context"].tolist()) == (9, 9, [4, 10])
    assert places(task, values(text="was the", start=4)) == [(5, 6)]
    (nothing,) = task.encode(values(text=None))
    assert (int(nothing["first"]), int(nothing["last"])) == (0, 0)
    batch = task.make_batch([row, nothing], Shape(3, (12,)))
    assert batch["first"].tolist() == batch["last"].tolist() == [9, 0, 0]
    assert np.flatnonzero(batch["possible"][0]).tolist() == [0, 4, 5, 6, 7, 8, 9]
    assert np.flatnonzero(batch["possible"][2]).tolist() == [0]


def test_long_contexts_have_windows_that_overlap():
    task = made("answer", **SMALL)
    context = np.arange(5, 65, dtype=np.int32) % 14 + 5
    windows = task.windows("the film the film the film", context)
    room = 32 - 4 - 3
    assert [window.first for window in windows] == [0, 8, 16, 24, 32, 40]
    assert [window.size for window in windows] == [room] * 5 + [20]
    for window in windows:
        inside = window.row["ids"][window.begin : window.begin + window.size]
        assert inside.tolist() == context[window.first : window.first + window.size].tolist()
        assert window.row["ids"][: window.begin].tolist() == [CLS, THE, FILM, THE, FILM, SEP]
    assert task.windows("the", np.zeros(0, np.int32))[0].size == 0


def test_every_window_is_a_row_and_teaches_nothing_where_the_answer_is_not_whole():
    task = made("answer", **SMALL)
    context = " ".join(["the"] * 29 + ["so", "good"] + ["the"] * 19)
    example = values(context=context, text="so good", start=29 * 4)
    rows = task.encode(example)
    assert [(row["context"][1] - row["context"][0]) for row in rows] == [27, 27, 27, 26]  # from 0, 8, 16 and 24 on
    assert places(task, example) == [(0, 0), (25, 26), (17, 18), (9, 10)]
    for row in rows[1:]:
        assert row["ids"][row["first"] : row["last"] + 1].tolist() == [SO, GOOD]
    border = values(context=context, text="the", start=26 * 4)  # the last piece of the first window
    assert places(task, border) == [(30, 30), (22, 22), (14, 14), (6, 6)]
    across = values(context=context, text="the the", start=26 * 4)
    assert places(task, across)[0] == (0, 0)
    assert places(task, values(context=context, text=None)) == [(0, 0)] * 4
    assert all(task.keep(example, row) is None for row in rows)


def test_an_answer_that_no_window_holds_is_left_out():
    task = made("answer", **SMALL)
    long = values(context="the " * 40, text="the " * 38, start=0)
    (row,) = task.encode(long)
    assert task.keep(long, row) == "an answer that fits into no window"


def test_all_windows_are_prepared_and_an_example_is_counted_once():
    task = made("answer", **SMALL)
    long = values(context=" ".join(["the"] * 49 + ["good"]), start=49 * 4)
    unfit = values(context="the " * 40, text="the " * 38, start=0)
    chunk = Encoder(task.encode, task.lengths, task.keep)([Example(each, "") for each in (values(), long, unfit)])
    assert (chunk.examples, len(chunk.lengths), chunk.dropped.total()) == (3, 5, 1)
    fields = [field.name for field in chunk.fields]
    assert chunk.values[fields.index("first")].tolist() == [9, 0, 0, 0, 29]


def test_what_stands_behind_the_bound_is_not_read():
    task = made("answer", data={**SMALL["data"], "max_context": 30})
    context = " ".join(["the"] * 30 + ["good"])
    assert [(window.first, window.size) for window in task.windows("the", np.arange(31) % 14 + 5)] == [(0, 28), (8, 22)]
    behind = values(context=context, start=120)
    (row,) = task.encode(behind)
    assert task.keep(behind, row) == "an answer that fits into no window"
    assert task.fingerprint != made("answer", **SMALL).fingerprint


def test_an_answer_that_is_not_there():
    with pytest.raises(UserError, match="not in its context"):
        made("answer", **SMALL).encode(values(start=3))


def test_loss_by_hand():
    task = made("answer", **SMALL)
    batch = task.make_batch(task.encode(values()), Shape(2, (12,)))
    logits = np.zeros((2, 12, 2), "float32")
    logits[0, 9, 0], logits[0, 1] = np.log(6.0), 50.0  # what the question says is not asked
    found = sums(task, lambda inputs, training: logits, batch, True)
    assert found["loss"] == pytest.approx((np.log(2.0) + np.log(7.0)) / 2, rel=1e-5)
    assert found["count"] == 1.0


def spans(task, *windows):
    made_up = [task.windows("the", np.arange(5, 10, dtype=np.int32))[0]._replace(first=first) for first, _ in windows]
    logits = []
    for window, (_, marks) in zip(made_up, windows, strict=True):
        each = np.zeros((len(window.row["ids"]), 2))
        each[0] = -5.0
        for place, side, value in marks:
            each[window.begin + place, side] = value
        logits.append(each)
    (span,) = task.best_spans(made_up, logits, 1)
    return None if task.is_none(span.score) else span[:2]


def test_the_likeliest_span_of_all_windows():
    task = made("answer", **SMALL, decoding={"longest": 2})
    assert spans(task, (0, [(1, 0, 3.0), (2, 1, 2.0)])) == (1, 2)
    assert spans(task, (0, [(3, 0, 3.0), (1, 1, 2.0)])) != (3, 1)
    assert spans(task, (0, [(0, 0, 3.0), (3, 1, 2.5)])) in [(0, 0), (0, 1)]  # four pieces are too many
    assert spans(task, (0, [(1, 0, 3.0)]), (8, [(1, 0, 2.0), (1, 1, 2.0)])) == (9, 9)


def test_no_answer_has_to_be_likelier_by_the_threshold():
    def nothing(**decoding):
        return spans(
            made("answer", **SMALL, decoding=decoding), (0, [(1, 0, -20.0), *[(i, 1, -12.0) for i in range(5)]])
        )

    assert nothing() is not None
    assert nothing(no_answer=True) is None
    assert nothing(no_answer=True, threshold=5.0) is not None


def test_learns_and_answers():
    """The answer is what is good, wherever it stands."""
    task = made("answer", **SMALL)
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(48):
        words = rng.choice(["the", "so", "was", "a"], rng.integers(2, 12)).tolist()
        words.insert(int(rng.integers(len(words) + 1)), "good")
        context = " ".join(words)
        rows.append(values("the film", context, "good", context.index("good")))
    model = learn(task, [row for each in rows for row in task.encode(each)], 50, budget=1024)
    found = task.predict(model, [task.raw(each) for each in rows])
    assert found.count("good") > 43
    long = " ".join(["the was so"] * 20 + ["Good"] + ["a"] * 9)
    assert task.predict(model, [("the film", long), ("the film", "")]) == ["Good", ""]


def test_signatures_are_frozen():
    signatures = made("answer", **SMALL).signatures()
    assert list(signatures["serving_default"].inputs) == ["question", "context"]
    assert list(signatures["serving_default"].outputs) == ["answer", "start", "end", "score"]
    assert list(signatures["n_best"].outputs) == ["answers", "starts", "ends", "scores"]


def test_scores_of_known_answers():
    references = [[{"text": "the good film", "start": 0}, {"text": "film", "start": 9}], []]
    scores = made("answer", **SMALL).score(["a good film", "play"], references)
    found = {score.name: score.value for score in scores}
    assert next(iter(found)) == "F1" and (found["F1"], found["exact match"]) == (50.0, 50.0)


def test_advice_is_the_threshold_that_is_best():
    asked = []

    def ask(signature):
        asked.append(signature)
        stretches = (("film", 2.0), ("play", -3.0), ("film", -1.0))
        return [{"answers": [text, "so"], "scores": [score, -9.0]} for text, score in stretches]

    references = [[{"text": "the film", "start": 0}], [], [{"text": "film", "start": 0}]]
    task = made("answer", **SMALL, decoding={"no_answer": True})
    (line,) = task.advice(ask, references)
    assert line.startswith("decoding.threshold 2 is best on these questions: F1 100.00 [")
    assert asked == ["n_best"]
    assert made("answer", **SMALL).advice(ask, references) == [] and asked == ["n_best"]


def test_no_context_stands_on_both_sides(tmp_path):
    path = tmp_path / "my.jsonl"
    rows = [values(f"film {number}", f"good {number // 5}", "good", 0) for number in range(200)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = made("answer", data={**SMALL["data"], "train": str(path), "validation_share": 0.3})
    train, validation = (
        [example.values for example in open_part(task.recipe.data, part, task.columns)]
        for part in ("train", "validation")
    )
    assert sorted(each["question"] for each in train + validation) == sorted(each["question"] for each in rows)
    sides = [{each["context"] for each in part} for part in (train, validation)]
    assert not sides[0] & sides[1] and 4 < len(sides[1]) < 20
