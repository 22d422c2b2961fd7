"""The scorer of pairs: scores to the scale and back, the loss by hand, a toy that is learned."""

import numpy as np
import pytest

from tests.tasks.encoders import BAD, CLS, GOOD, SEP, SMALL, learn, made, sums
from zoo.data.plan import Shape
from zoo.errors import UserError

SCALE = {"data": {"lowest": 1.0, "highest": 3.0}}


def test_a_row_and_a_batch_by_hand():
    task = made("score_pair", **SCALE)
    rows = [task.encode({"text_a": "good", "text_b": "bad", "score": score}) for score in ("1", 2.5)]
    assert rows[0]["ids"].tolist() == [CLS, GOOD, SEP, BAD, SEP]
    assert rows[0]["segments"].tolist() == [0, 0, 0, 1, 1]
    batch = task.make_batch(rows, Shape(3, (6,)))
    assert batch["scores"].tolist() == [0.0, 0.75, 0.0]
    assert batch["real"].tolist() == [True, True, False]


def test_loss_by_hand():
    task = made("score_pair", **SCALE)
    rows = [task.encode({"text_a": "good", "text_b": "bad", "score": score}) for score in (1, 2.5)]
    batch = task.make_batch(rows, Shape(3, (5,)))
    found = sums(task, lambda inputs, training: np.array([[0.5], [0.5], [9.0]], "float32"), batch, True)
    assert found["loss"] == pytest.approx(0.5**2 + 0.25**2)
    assert found["count"] == 2.0 and found["tokens"] == 10.0


@pytest.mark.parametrize(
    ("score", "problem"),
    [("x", "must be a number, not 'x'"), (None, "must be a number"), ("3.5", "between 1 and 3"), ("nan", "between")],
)
def test_scores_that_cannot_be(score, problem):
    with pytest.raises(UserError, match=problem):
        made("score_pair", **SCALE).encode({"text_a": "good", "text_b": "bad", "score": score})
    with pytest.raises(UserError, match="empty"):
        made("score_pair", data={"lowest": 1.0, "highest": 1.0})


def test_learns_and_answers_on_the_scale():
    """The score is whether both texts say the same of good and bad."""
    task = made("score_pair", **SCALE, model={**SMALL, "pooler": "mean"})
    values = [
        {"text_a": a, "text_b": b, "score": 3.0 if (a == "good") else 1.0}
        for a in ("good", "bad")
        for b in ("a film", "the play", "so good", "so bad")
    ]
    model = learn(task, [task.encode(each) for each in values] * 4, 60)
    found = task.predict(model, [task.raw(each) for each in values])
    assert found == pytest.approx([each["score"] for each in values], abs=0.5)


def test_signatures_are_frozen():
    ((name, signature),) = made("score_pair").signatures().items()
    assert (name, list(signature.inputs), list(signature.outputs)) == (
        "serving_default", ["text_a", "text_b"], ["score", "truncated"],
    )  # fmt: skip
    assert made("score_pair").answer({"score": np.float32(2.5), "truncated": False}) == 2.5


def test_scores_of_known_answers():
    pearson, spearman, error = made("score_pair", **SCALE).score([1.0, 1.5, 3.0], ["1", "2", "3"])
    assert pearson.value == pytest.approx(100 * np.corrcoef([1, 1.5, 3], [1, 2, 3])[0, 1])
    assert spearman.value == pytest.approx(100.0)
    assert error.value == pytest.approx(0.25 / 3)
