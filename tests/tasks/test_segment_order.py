"""The second objective of pre-training: which pairs are drawn, what they weigh, that it is learned and passed on."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from tests.tasks.encoders import (
    BAD,
    CLS,
    DOT,
    FILM,
    GOOD,
    PLAY,
    SEP,
    SO,
    THE,
    WAS,
    A,
    learn,
    made,
    sums,
)
from tests.tasks.test_fill_mask import Lines
from zoo.data.plan import Shape
from zoo.errors import UserError
from zoo.tasks import segment_order

TEXTS = ["the film . was good .", "so . bad", "", "a play .", "so good ."]
FIRST, SECOND = [THE, FILM, DOT, WAS, GOOD, DOT], [SO, DOT, BAD]


def task_of(objective, **training):
    data = {"max_length": 15, "validation": "b.txt"}
    return made("fill_mask", data=data, training={"second_objective": objective, "whole_words": False, **training})


def rows_of(task, texts=TEXTS):
    return [task.encode(example.values) for example in task.arranged(Lines(texts))]


def test_rows_of_sentences_in_order():
    task = task_of("sentence_order")
    first, second = rows_of(task)
    assert first["ids"].tolist() == [CLS, *FIRST, SEP, *SECOND, SEP]
    assert first["segments"].tolist() == [0] * 8 + [1] * 4
    assert (first["border"], len(first["stranger"])) == (6, 0)
    assert second["ids"].tolist() == [CLS, A, PLAY, DOT, SO, GOOD, DOT, SEP] and second["border"] == 0
    assert [task.lengths(row) for row in (first, second)] == [(12,), (8,)]
    assert task.keep({}, first) is None


@pytest.mark.parametrize("objective", ["next_sentence", "sentence_order"])
def test_half_of_the_rows_stand_as_they_stood(objective):
    task = task_of(objective)
    row = segment_order.encode(
        {"first": np.int32(FIRST), "second": np.int32(SECOND), "stranger": np.int32([A, PLAY, A, PLAY])}
        if objective == "next_sentence"
        else {"first": np.int32(FIRST), "second": np.int32(SECOND)},
        task.subwords,
        15,
    )
    drawn = [task.transform(row, np.random.default_rng(seed)) for seed in range(400)]
    assert np.mean([each["order"] for each in drawn]) == pytest.approx(0.5, abs=0.08)
    as_it_stood = (row["ids"].tolist(), row["segments"].tolist())
    other = {
        "next_sentence": ([CLS, *FIRST, SEP, A, PLAY, A, PLAY, SEP], [0] * 8 + [1] * 5),
        "sentence_order": ([CLS, *SECOND, SEP, *FIRST, SEP], [0] * 5 + [1] * 7),
    }[objective]
    for each in drawn:
        assert (each["labels"].tolist(), each["segments"].tolist()) == (other if each["order"] else as_it_stood)
        assert len(each["ids"]) == len(each["hidden"]) <= task.lengths(row)[0]


def test_validation_draws_the_same_each_time_and_rows_without_a_pair_are_not_counted():
    task = task_of("sentence_order")
    rows = rows_of(task)
    one, two = (task.make_batch(rows, Shape(3, (15,))) for _ in range(2))
    assert all((one[name] == two[name]).all() for name in one)
    assert one["ordered"].tolist() == [True, False, False] and one["order"].dtype == np.int32


class Model:
    """Says nothing of the words, and 0 of the order with the odds 3 to 1."""

    def hidden(self, inputs, training):
        return np.zeros((*inputs["ids"].shape, 4), "float32")

    def masked_logits(self, hidden, positions):
        return np.zeros((*positions.shape, 19), "float32")

    def order_logits(self, hidden, mask):
        return ops.convert_to_tensor(np.log(np.tile([[3.0, 1.0]], (len(hidden), 1))).astype("float32"))


def test_loss_by_hand():
    task = task_of("sentence_order", masked_share=0.2)
    drawn = [task.transform(row, np.random.default_rng(3)) for row in rows_of(task) * 2]
    rows = [{**row, "order": order} for row, order in zip(drawn, (0, -1, 1, -1), strict=True)]
    found = sums(task, Model(), task.make_batch(rows, Shape(5, (15,))), True)
    words = found["count"] * np.log(19)
    assert found["loss"] == pytest.approx(words + 0.2 * 15 * (np.log(4 / 3) + np.log(4)), rel=1e-5)
    assert (found["order_accuracy"], found["order_accuracy_count"]) == (1.0, 2.0)


def test_learns_the_order_of_sentences():
    task = task_of("sentence_order", masked_share=0.2)
    texts = [line for noun in ("film", "play") for line in (f"the {noun} was good .", f"a {noun} . so bad .", "")]
    rows = rows_of(task, texts * 4)
    assert all(row["border"] == 5 for row in rows)
    model = learn(task, rows, 100)
    drawn = [task.transform(row, np.random.default_rng(seed)) for seed, row in enumerate(rows * 4)]
    found = sums(task, model, task.make_batch(drawn, Shape(len(drawn), (15,))), False)
    assert found["order_accuracy"] == found["order_accuracy_count"] == 32.0
    assert 0 < sum(row["order"] for row in drawn) < 32


def test_what_it_learned_serves_other_tasks():
    task = task_of("next_sentence")
    model = task.build_model(1)
    paths = {variable.path for variable in model.weights}
    assert {"bert/pooler/dense/kernel", "bert/head/order/kernel", "bert/head/order/bias"} <= paths
    weights = {f"model/{variable.path}": variable.numpy() for variable in model.weights}
    other = made("classify_text", ("bad", "good"), data={"max_length": 15})
    start = SimpleNamespace(recipe=task.recipe, preprocessors=task.preprocessors, weights=weights)
    classifier = other.build_model(2)
    assert other.start_from(classifier, start) == ["the weights come from fill_mask (test); head anew"]
    assert (classifier.pooler.dense.kernel.numpy() == model.pooler.dense.kernel.numpy()).all()


def test_data_is_prepared_anew_for_it_and_other_tasks_have_no_such_head():
    kinds = ("none", "next_sentence", "sentence_order")
    assert len({task_of(kind).fingerprint for kind in kinds}) == 3
    assert task_of("none").fingerprint == made("fill_mask", data={"max_length": 15}).fingerprint
    with pytest.raises(UserError, match="validated on whole documents"):
        made("fill_mask", training={"second_objective": "next_sentence"})
    with pytest.raises(UserError, match="no order"):
        made("classify_text", ("bad", "good"), model={"preset": "debug", "head": "classify", "order": True})
