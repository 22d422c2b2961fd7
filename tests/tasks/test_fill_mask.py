"""Masked words: what is hidden and how, the loss by hand, filling in; the pre-training of an encoder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tests.arrays import scatter
from tests.tasks.encoders import (
    BAD,
    CLS,
    FILM,
    GOOD,
    LIKE,
    LY,
    MASK,
    SEP,
    SO,
    THE,
    UN,
    VOCABULARY,
    WAS,
    A,
    S,
    learn,
    made,
    sums,
)
from zoo.data.plan import Shape
from zoo.data.tables import Example, Table
from zoo.errors import UserError
from zoo.tasks import fill_mask
from zoo.tasks.text_encoder import softmax

ROW = np.array([CLS, THE, FILM, UN, LIKE, LY, GOOD, S, BAD, A, SEP], np.int32)
WORDS = ([1], [2], [3, 4, 5], [6, 7], [8], [9])


def row(ids=ROW):
    return {"ids": ids, "segments": np.zeros(len(ids), np.int32)}


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.05, 0.15, 0.4]))
def test_whole_words_are_hidden_up_to_the_share(seed, share):
    task = made("fill_mask", training={"masked_share": share})
    hidden = task.transform(row(), np.random.default_rng(seed))["hidden"]
    places = set(np.flatnonzero(hidden).tolist())
    parts = [set(word) & places for word in WORDS]
    assert all(not part or part == set(word) for part, word in zip(parts, WORDS, strict=True))
    assert places == set().union(*parts)
    wanted = max(1, round(share * 9))
    assert 1 <= len(places) <= wanted or sum(map(bool, parts)) == 1


def test_every_epoch_hides_other_words_by_80_10_10():
    task = made("fill_mask", training={"whole_words": False})
    rng = np.random.default_rng(0)
    drawn = [task.transform(row(), rng) for _ in range(3000)]
    hidden = np.stack([each["hidden"] for each in drawn])
    ids, labels = np.stack([each["ids"] for each in drawn]), np.stack([each["labels"] for each in drawn])
    assert (labels == ROW).all() and (ids[~hidden] == np.broadcast_to(ROW, ids.shape)[~hidden]).all()
    assert hidden[:, [0, -1]].sum() == 0
    assert hidden[:, 1:-1].mean(axis=0) == pytest.approx(np.full(9, 1 / 9), abs=0.03)
    masked, same = (ids == MASK)[hidden].mean(), (ids == labels)[hidden].mean()
    assert masked == pytest.approx(0.8, abs=0.03)
    assert same == pytest.approx(0.1 + 0.1 / len(VOCABULARY[5:]), abs=0.03)
    assert not np.isin(ids[hidden], [0, 1, 2, 3]).any()


def test_validation_hides_the_same_each_time():
    task = made("fill_mask")
    batches = [task.make_batch([row()], Shape(2, (12,))) for _ in range(2)]
    for name in batches[0]:
        assert (batches[0][name] == batches[1][name]).all(), name
    (batch, _) = batches
    told = batch["positions"][0][batch["told"][0]]
    assert len(told) >= 1 and batch["told"].shape == (2, 8) and not batch["told"][1].any()
    assert batch["labels"][0][batch["told"][0]].tolist() == ROW[told].tolist()


class Model:
    """Says of each position the piece whose id is the position."""

    def hidden(self, inputs, training):
        return np.zeros((*inputs["ids"].shape, 4), "float32")

    def masked_logits(self, hidden, positions):
        return np.log(
            np.eye(19, dtype="float32")[ops.convert_to_numpy(positions)] * 18 + 1
        )  # 19 / 37 there, 1 / 37 elsewhere


def test_loss_by_hand():
    task = made("fill_mask")
    hidden = np.isin(np.arange(11), [3, 4])
    rows = [{**row(), "labels": np.where(np.arange(11) == 3, 3, ROW), "hidden": hidden}]
    found = sums(task, Model(), task.make_batch(rows, Shape(2, (11,))), True)
    assert found["loss"] == pytest.approx(np.log(37 / 19) + np.log(37), rel=1e-5)
    assert [found[name] for name in ("count", "accuracy", "tokens")] == [2.0, 1.0, 11.0]


def test_shares_that_cannot_be():
    with pytest.raises(UserError, match="over 1"):
        made("fill_mask", training={"replaced": 0.8, "random": 0.3})


def test_the_question_of_a_text_is_always_the_same():
    task = made("fill_mask")
    asked = task.raw({"text": "the film was good"})
    assert asked == task.raw({"text": "the film was good"}) and asked.count("[MASK]") == 1
    assert asked.replace("[MASK]", "") in [
        " film was good", "the  was good", "the film  good", "the film was ",
    ]  # fmt: skip
    assert task.raw({"text": "..."}) == "... [MASK]"


def test_a_word_is_hidden_that_one_piece_can_tell():
    task = made("fill_mask", data={"max_length": 8})
    assert task.raw({"text": "Unlikely plays GOOD"}) == "Unlikely plays [MASK]"
    for text in ("unlikely plays", "", "strange", "unlikely plays . good", "a [MASK]", "góod"):
        assert task.raw({"text": text}) == f"{text} [MASK]"


def test_only_hidden_words_count_and_capitals_where_the_vocabulary_has_them():
    task = made("fill_mask")
    answers = ["The film was good", "the play", "good", "a Good film"]
    references = [task.reference({"text": text}) for text in ["The FILM was good", "The film", "", "A good film"]]
    assert task.score(answers, references)[0].value == pytest.approx(200 / 3)
    task.preprocessors["text"].lowercase = False
    assert task.score(answers, ["The film was good", "the play", "", "a good film"])[0].value == pytest.approx(200 / 3)
    with pytest.raises(UserError, match="no text has a word"):
        task.score(["good"], [""])


def test_the_first_mask_alone_goes_through_the_projection(monkeypatch):
    task = made("fill_mask")
    model = scatter(task.build_model(1))
    raws = ["the [MASK] was [MASK]", "good", "[MASK]", "so good a film was not [MASK] . the play"]
    rows = task.encode_raws(raws)
    logits = task.outputs(model, rows)
    monkeypatch.setattr(fill_mask, "SLICE", 3)
    monkeypatch.setattr(model, "call", None)
    found = task.predict_n_best(model, raws)
    for raw, row, each, (texts, shares) in zip(raws, rows, logits, found, strict=True):
        if raw == "good":
            continue
        place = row["ids"].tolist().index(MASK)
        odds = softmax(each[place][A:])  # the special ones stand before
        best = np.argsort(-odds)[:5]
        assert texts == [raw.replace("[MASK]", task.fillings[A + i], 1) for i in best]
        assert shares == pytest.approx(odds[best].tolist(), rel=1e-4)
    assert found[1] == (["good"], [1.0])


def test_learns_and_fills():
    task = made("fill_mask", training={"masked_share": 0.3})
    texts = ["the film was good", "the play was bad", "a film so good", "a play so bad"]
    model = learn(task, [task.encode({"text": text}) for text in texts] * 8, 120)
    assert task.predict(model, ["the [MASK] was good", "a play so [MASK]"]) == ["the film was good", "a play so bad"]
    (found, scores), (same, one) = task.predict_n_best(model, ["the [MASK] was good", "no mask"])
    assert len(found) == 5 and len(set(found)) == 5 and sorted(scores, reverse=True) == scores and sum(scores) <= 1.0
    assert (same, one) == (["no mask"], [1.0])


def test_signatures_are_frozen():
    task = made("fill_mask")
    (signature,) = task.signatures().values()
    assert (list(signature.inputs), list(signature.outputs)) == (["text"], ["texts", "scores"])
    assert task.answer({"texts": np.array(["x", "y"], object), "scores": np.array([0.5, 0.1])}) == "x"


def test_documents_are_packed_to_full_length():
    task = made("fill_mask", data={"max_length": 8})
    rows = [
        task.encode(example.values) for example in task.arranged(Lines(["the film was", "good so good bad", "", "a"]))
    ]
    assert [row["ids"].tolist() for row in rows] == [
        [CLS, THE, FILM, WAS, GOOD, SO, GOOD, SEP], [CLS, BAD, SEP], [CLS, A, SEP],
    ]  # fmt: skip
    assert task.keep({}, task.encode({"text": " "})) == "an empty text"


class Lines(Table):
    columns, files = ("text",), ()

    def __init__(self, texts):
        self.texts = texts

    def __iter__(self):
        return iter([Example({"text": text}, "a") for text in self.texts])
