"""Scores of classification against values worked out by hand, and against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo.errors import UserError
from zoo.evaluation import score
from zoo.evaluation.classification import (
    accuracy,
    best_threshold,
    calibration_error,
    confusion,
    f1,
    f1_by_label,
    macro_f1,
    matthews,
    multi_label_f1,
    out_of_scope,
)

#            cat: 2 of 3 found, 2 of 3 right; dog: 1 of 2 found, 1 of 2 right; bird: found, and once wrongly
REFERENCES = ["cat", "cat", "cat", "dog", "dog", "bird"]
ANSWERS = ["cat", "cat", "dog", "dog", "cat", "bird"]
ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=30)
LABEL_SETS = st.sets(st.sampled_from("abcd"))


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(score, "SAMPLES", 20)


def test_by_hand():
    assert accuracy(ANSWERS, REFERENCES).value == pytest.approx(100 * 4 / 6)
    assert f1(ANSWERS, REFERENCES, "cat").value == pytest.approx(100 * 2 / 3)
    assert f1(ANSWERS, REFERENCES, "dog").value == pytest.approx(100 * 1 / 2)
    assert macro_f1(ANSWERS, REFERENCES).value == pytest.approx(100 * (2 / 3 + 1 / 2 + 1) / 3)
    # (4·6 − (3·3 + 2·2 + 1·1)) / (36 − 14)
    assert matthews(ANSWERS, REFERENCES).value == pytest.approx(100 * 10 / 22)
    found = confusion(ANSWERS, REFERENCES)
    assert found.labels == ("bird", "cat", "dog")
    assert found.counts.tolist() == [[1, 0, 0], [0, 2, 1], [0, 1, 1]]
    assert confusion(ANSWERS, REFERENCES, ["dog", "cat", "bird", "fish"]).counts.tolist() == [
        [1, 1, 0, 0],
        [1, 2, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 0],
    ]


def test_several_labels_by_hand():
    answers = [["a", "b"], ["a"], [], ["c"]]
    references = [["a"], ["a", "c"], [], ["b"]]
    assert multi_label_f1(answers, references).value == pytest.approx(100 * 2 * 2 / (4 + 4))
    assert multi_label_f1(answers, references, "macro").value == pytest.approx(100 * (1 + 0 + 0) / 3)
    assert multi_label_f1([[]], [[]]).value == 0.0  # as scikit-learn: nothing to find is nothing found


@pytest.mark.parametrize("rule", [macro_f1, matthews, accuracy])
def test_right_answers_are_100(rule):
    assert rule(REFERENCES, REFERENCES).value == pytest.approx(100.0)
    assert rule(REFERENCES, REFERENCES).interval == pytest.approx((100.0, 100.0))


def test_matthews_of_one_class_is_0_and_of_wrong_answers_negative():
    assert matthews(["a"] * 4, ["a", "b"] * 2).value == 0.0
    assert matthews(["b", "a"] * 2, ["a", "b"] * 2).value == pytest.approx(-100.0)


def test_f1_by_label_is_that_of_each_label():
    found = f1_by_label([{label} for label in ANSWERS], [{label} for label in REFERENCES])
    expected = {label: f1(ANSWERS, REFERENCES, label) for label in sorted({*ANSWERS, *REFERENCES})}
    assert list(found) == list(expected)
    for label, one in expected.items():
        assert (found[label].name, found[label].value) == (one.name, one.value)
        assert found[label].interval == one.interval


def test_calibration_by_hand():
    # (0.6, 0.667]: 0.65 and 0.65, half right; (0.933, 1]: 0.95 and 1.0, all right; 0 falls into the first bin.
    found = calibration_error(["a", "b", "a", "a", "b"], ["a", "a", "a", "a", "a"], [0.65, 0.65, 0.95, 1.0, 0.0])
    assert found.value == pytest.approx(100 * (0.30 + 0.05 + 0) / 5)
    assert calibration_error(["a"] * 4, ["a", "a", "a", "b"], [0.75] * 4).value == pytest.approx(0.0)


def test_out_of_scope_by_hand():
    references = ["pay", "pay", "buy", "buy", "oos", "oos"]
    answers = ["pay", "buy", "buy", "buy", "pay", "oos"]
    sure = [0.9, 0.8, 0.4, 0.7, 0.6, 0.3]
    inside, recall, area = out_of_scope(answers, references, sure)
    assert (inside.value, recall.value) == (75.0, 50.0)
    assert area.value == pytest.approx(100 * (2 * 4 - 1) / 8)  # one of eight pairs is in the wrong order
    inside, recall, again = out_of_scope(answers, references, sure, threshold=0.65)
    assert (inside.value, recall.value, again.value) == (50.0, 100.0, area.value)
    assert [each.name for each in (inside, recall, area)] == [
        "in-scope accuracy",
        "out-of-scope recall",
        "out-of-scope AUROC",
    ]


def test_the_best_threshold_by_hand():
    references = ["oos", "oos", "pay", "pay", "buy"]
    answers = ["pay", "buy", "pay", "pay", "buy"]
    found = best_threshold(answers, references, [0.2, 0.5, 0.5, 0.8, 0.9])
    assert 0.2 < found <= 0.5  # the two at 0.5 cannot be divided: one is won, one lost
    assert out_of_scope(answers, references, [0.2, 0.5, 0.5, 0.8, 0.9], threshold=found)[1].value == 50.0
    assert best_threshold(answers, answers, [0.5] * 5) == 0.0  # nothing is out of scope
    assert best_threshold(answers, ["oos"] * 5, [0.1, 0.2, 0.3, 0.4, 1.0]) > 1.0  # everything is


@given(ROWS)
@settings(max_examples=30)
def test_no_threshold_is_better_than_the_best(rows):
    answers, references = zip(*rows, strict=True)
    references = ["oos" if label == "d" else label for label in references]
    sure = np.random.default_rng(len(rows)).integers(0, 8, len(rows)) / 8

    def right(threshold: float) -> int:
        decided = np.where(sure < threshold, "oos", answers)
        return int((decided == np.array(references)).sum())

    best = best_threshold(answers, references, sure)
    assert right(best) == max(map(right, np.arange(0, 1.1, 1 / 16)))


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parity
@given(ROWS)
@settings(max_examples=40)
def test_values_are_those_of_scikit_learn(rows):
    metrics = pytest.importorskip("sklearn.metrics")
    answers, references = map(list, zip(*rows, strict=True))
    expected = {
        macro_f1: metrics.f1_score(references, answers, average="macro", zero_division=0),
        matthews: metrics.matthews_corrcoef(references, answers),
        accuracy: metrics.accuracy_score(references, answers),
    }
    for rule, value in expected.items():
        assert rule(answers, references).value == pytest.approx(100 * value, abs=1e-9)
    binary = metrics.f1_score(references, answers, average=None, labels=[references[0]], zero_division=0)[0]
    assert f1(answers, references, references[0]).value == pytest.approx(100 * binary)
    found = confusion(answers, references)
    assert (found.counts == metrics.confusion_matrix(references, answers, labels=found.labels)).all()


@pytest.mark.parity
@given(st.lists(st.tuples(LABEL_SETS, LABEL_SETS), min_size=1, max_size=20), st.sampled_from(["micro", "macro"]))
@settings(max_examples=40)
def test_values_of_several_labels_are_those_of_scikit_learn(rows, average):
    metrics = pytest.importorskip("sklearn.metrics")
    labels = sorted(set().union(*(one | other for one, other in rows)))
    assume(len(labels) > 1)  # scikit-learn takes one column for two classes
    given, right = (np.array([[label in row for label in labels] for row in rows]) for rows in zip(*rows, strict=True))
    expected = 100 * metrics.f1_score(right, given, average=average, zero_division=0)
    answers, references = zip(*rows, strict=True)
    assert multi_label_f1(answers, references, average).value == pytest.approx(expected)


@pytest.mark.parity
def test_area_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    inside, sure = rng.random(300) < 0.8, rng.integers(0, 20, 300) / 20  # with ties
    references = np.where(inside, "pay", "oos").tolist()
    found = out_of_scope(references, references, sure)[2]
    assert found.value == pytest.approx(100 * metrics.roc_auc_score(inside, sure))


@pytest.mark.parametrize("rule", [accuracy, macro_f1, matthews, multi_label_f1, confusion])
def test_counts_that_do_not_fit(rule):
    with pytest.raises(UserError, match="1 answers, and 2 references"):
        rule(["a"], ["a", "b"])
    with pytest.raises(UserError, match="no answers"):
        rule([], [])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: f1(ANSWERS, REFERENCES, "cats"), 'no reference is "cats"'),
        (lambda: calibration_error(["a"], ["a"], [1.5]), "between 0 and 1"),
        (lambda: calibration_error(["a"], ["a"], [float("nan")]), "between 0 and 1"),
        (lambda: calibration_error(["a"], ["a"], []), "0 confidences for 1 answers"),
        (lambda: out_of_scope(["a"], ["a"], [1.0]), 'no reference is "oos"'),
        (lambda: out_of_scope(["a"], ["oos"], [1.0]), 'every reference is "oos"'),
        (lambda: confusion(["a"], ["b"], ["a"]), 'the label "b" is not among those listed'),
    ],
)
def test_what_cannot_be_scored(call, expected):
    with pytest.raises(UserError, match=expected):
        call()


def test_intervals_hold_the_value_and_are_those_of_the_definition():
    rng = np.random.default_rng(1)
    references = rng.choice(list("abc"), 400)
    answers = np.where(rng.random(400) < 0.8, references, rng.choice(list("abc"), 400))
    for rule in (accuracy, macro_f1, matthews):
        low, high = rule(answers.tolist(), references.tolist()).interval
        assert low < rule(answers.tolist(), references.tolist()).value < high
        drawn = [rng.integers(0, 400, 400) for _ in range(60)]
        values = [rule(answers[rows].tolist(), references[rows].tolist()).value for rows in drawn]
        assert (low, high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=3)
