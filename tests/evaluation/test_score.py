"""The bootstrap: right values, right widths, the same each time."""

import json
import math

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.evaluation.score import SAMPLES, check_rows, ratio, redrawn, share, summed


def test_a_ratio_is_of_sums_and_its_interval_that_of_the_binomial():
    found = ratio("accuracy", [1] * 300 + [0] * 100, [1] * 400, "of:rows")
    half = 1.96 * 100 * math.sqrt(0.75 * 0.25 / 400)
    assert found.value == 75.0 and found.interval == pytest.approx((75 - half, 75 + half), abs=0.5)
    assert found.signature == f"of:rows|bs:{SAMPLES}|seed:12345"
    assert ratio("words", [1, 0], [3, 1], "of:words").value == 25.0
    assert ratio("nothing", [0, 0], [0, 0], "of:words").value == 0.0


def test_sums_and_rows_give_the_same_score():
    values = np.random.default_rng(0).normal(3, 1, 200)
    by_sums = summed("mean", np.stack([values, np.ones(200)], 1), lambda drawn: drawn[:, 0] / drawn[:, 1], "m")
    by_rows = redrawn("mean", 200, lambda rows: float(values[rows].mean()), "m")
    assert by_sums.value == pytest.approx(values.mean())
    assert by_sums.interval == pytest.approx(by_rows.interval)  # the same draws
    assert by_sums.interval[1] - by_sums.interval[0] == pytest.approx(2 * 1.96 * values.std() / math.sqrt(200), rel=0.1)
    assert json.loads(json.dumps(by_sums.to_json()))["interval"] == list(by_sums.interval)


def test_a_share_of_nothing_is_0():
    assert share([1.0, 0.0, 2.0], [2.0, 0.0, 0.0]).tolist() == [0.5, 0.0, 0.0]


def test_rows_are_checked():
    with pytest.raises(UserError, match="2 answers, and 3 references"):
        check_rows([1, 2], [1, 2, 3])
    with pytest.raises(UserError, match="no answers to score"):
        check_rows([], [])
