"""Correlations and errors by hand, and against scipy's."""

import math

import numpy as np
import pytest
from scipy import stats

from zoo.errors import UserError
from zoo.evaluation import score
from zoo.evaluation.similarity import mean_squared_error, pearson, spearman

ALL = [pearson, spearman, mean_squared_error]


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(score, "SAMPLES", 50)


def test_by_hand():
    answers, references = [1.0, 2.0, 3.0, 6.0], [1.0, 3.0, 2.0, 4.0]
    # deviations −2 −1 0 3 and −1.5 0.5 −0.5 1.5
    assert pearson(answers, references).value == pytest.approx(100 * 7 / math.sqrt(14 * 5))
    assert spearman(answers, references).value == pytest.approx(100 * (1 - 6 * 2 / (4 * 15)))
    assert mean_squared_error(answers, references).value == pytest.approx((0 + 1 + 1 + 4) / 4)


@pytest.mark.parity
def test_values_and_draws_are_those_of_scipy():
    rng = np.random.default_rng(0)
    references = rng.integers(0, 11, 300) / 2 + 1000.0  # with ties, far from 0
    answers = references + rng.normal(0, 1, 300)
    assert pearson(answers, references).value == pytest.approx(100 * stats.pearsonr(answers, references).statistic)
    assert spearman(answers, references).value == pytest.approx(100 * stats.spearmanr(answers, references).statistic)
    draws = np.random.default_rng(score.SEED)
    rows = [draws.integers(0, 300, 300) for _ in range(50)]
    for rule, by_scipy in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        values = [100 * by_scipy(answers[each], references[each]).statistic for each in rows]
        assert rule(answers, references).interval == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))


@pytest.mark.parametrize("rule", [pearson, spearman])
def test_direction_and_scale(rule):
    values = [0.5, 1.0, 4.0, 2.5, 3.0]
    assert rule([10 * each - 3 for each in values], values).value == pytest.approx(100.0)
    assert rule([-each for each in values], values).value == pytest.approx(-100.0)
    assert rule([2.0] * 5, values).value == 0.0  # a model that answers always the same


def test_an_error_is_no_percentage():
    assert mean_squared_error([30.0, 10.0], [10.0, 10.0]).value == 200.0


@pytest.mark.parametrize("rule", ALL)
def test_what_cannot_be_scored(rule):
    with pytest.raises(UserError, match="1 answers, and 2 references"):
        rule([1.0], [1.0, 2.0])
    with pytest.raises(UserError, match="no answers"):
        rule([], [])
    with pytest.raises(UserError, match="answer 2: nan is no number"):
        rule([1.0, float("nan"), 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(UserError, match="reference 1: inf is no number"):
        rule([1.0], [float("inf")])
