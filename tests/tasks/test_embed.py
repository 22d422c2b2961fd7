"""The embedder: batches of two sides, losses by hand, vectors that learn to point alike."""

from itertools import permutations

import numpy as np
import pytest

from tests.tasks.encoders import BAD, CLS, FILM, GOOD, SEP, SMALL, THE, learn, made, sums
from zoo.data.plan import Shape

SCALE = {"lowest": 0.0, "highest": 1.0}


def values(a="good", b="the film", score=1.0):
    return {"text_a": a, "text_b": b, "score": score}


def test_a_batch_has_two_sides():
    task = made("embed", data=SCALE)
    rows = [task.encode(values()), task.encode(values("the film", "bad", 0.25))]
    assert [task.lengths(row) for row in rows] == [(3, 4), (4, 3)]
    batch = task.make_batch(rows, Shape(3, (4, 4)))
    assert batch["ids_a"].tolist() == [[CLS, GOOD, SEP, 0], [CLS, THE, FILM, SEP], [0] * 4]
    assert batch["ids_b"].tolist() == [[CLS, THE, FILM, SEP], [CLS, BAD, SEP, 0], [0] * 4]
    assert batch["mask_b"].sum(axis=1).tolist() == [4, 3, 0]
    assert batch["scores"].tolist() == [1.0, 0.25, 0.0] and batch["real"].tolist() == [True, True, False]


def vectors(inputs, training):
    """The first text of a batch is to the right, the second up, and so are those of the other side."""
    return np.eye(3, dtype="float32")[: len(inputs["ids"])] * [[2.0], [3.0], [0.0]]


def test_losses_by_hand():
    task = made("embed", data=SCALE)
    batch = task.make_batch([task.encode(values(score=score)) for score in (0.5, 1.0)], Shape(3, (4, 4)))
    found = sums(task, vectors, batch, True)
    assert found["loss"] == pytest.approx(0.25) and found["count"] == 2.0
    assert found["tokens"] == 14.0
    task = made("embed", data=SCALE, training={"objective": "negatives", "temperature": 0.5})
    found = sums(task, vectors, batch, True)
    assert found["loss"] == pytest.approx(2 * np.log(1 + np.exp(-2.0)), rel=1e-5)


def test_pairs_that_are_not_alike_are_no_partners():
    task = made("embed", data=SCALE, training={"objective": "negatives"})
    assert task.keep(values(), task.encode(values())) is None
    assert task.keep(values(score=0.7), task.encode(values(score=0.7))) == "not alike"


@pytest.mark.parametrize("objective", ["cosine", "negatives"])
def test_learns_what_is_alike(objective):
    model = {**SMALL, "pooler": "mean"}
    task = made("embed", data=SCALE, model=model, training={"objective": objective})
    texts = [("a good film", "so good"), ("the play was bad", "bad"), ("not the", "not")]
    pairs = [values(a, b, 1.0) for a, b in texts]
    apart = [values(a, b, 0.0) for (a, _), (_, b) in permutations(texts, 2)]
    rows = [task.encode(each) for each in (pairs if objective == "negatives" else pairs * 2 + apart)]
    trained = learn(task, rows, 40)
    found = task.predict(trained, [task.raw(each) for each in pairs + apart])
    assert min(found[:3]) > max(found[3:]) + 0.1
    vectors = task.embed(trained, ["a good film", "bad"])
    assert vectors.shape == (2, 32) and np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(2), rel=1e-5)


def test_signatures_are_frozen():
    task = made("embed")
    signatures = task.signatures()
    assert list(signatures["serving_default"].inputs) == ["text"]
    assert list(signatures["serving_default"].outputs) == ["embedding"]
    assert list(signatures[task.asked].inputs) == ["text_a", "text_b"] == list(task.inputs())
    assert task.answer({"score": np.float32(0.5)}) == 0.5
