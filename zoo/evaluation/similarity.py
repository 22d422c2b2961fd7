"""Scores of numbers against numbers, as of how alike two sentences are: correlations and the mean squared error.

Every function raises UserError for no rows, unequally many, or what is no finite number.
"""

from collections.abc import Sequence

import numpy as np
import scipy
from scipy.stats import rankdata

from zoo.errors import UserError
from zoo.evaluation.score import Score, check_rows, redrawn, share, summed

BY = f"scipy:{scipy.__version__}"


def pearson(answers: Sequence[float], references: Sequence[float]) -> Score:
    """Pearson's correlation, -100 to 100; 0 where all answers, or all references, are the same.

    Args:
        answers: float [rows].
        references: float [rows].
    """
    given, right = _numbers(answers, references)
    # Sums of numbers far from 0 would lose digits.
    given, right = given - given.mean(), right - right.mean()
    sums = np.stack([given, right, given * given, right * right, given * right, np.ones_like(given)], axis=1)
    return summed("Pearson", sums, lambda drawn: 100 * _correlation(drawn), "pearson")


def spearman(answers: Sequence[float], references: Sequence[float]) -> Score:
    """Spearman's correlation, that of the ranks, equal numbers sharing theirs; otherwise as `pearson`."""
    given, right = _numbers(answers, references)

    def of_ranks(rows: np.ndarray) -> float:
        one, other = rankdata(given[rows]), rankdata(right[rows])
        one, other = one - one.mean(), other - other.mean()
        return 100 * float(share((one * other).sum(), np.sqrt((one * one).sum() * (other * other).sum())))

    return redrawn("Spearman", len(given), of_ranks, BY)


def mean_squared_error(answers: Sequence[float], references: Sequence[float]) -> Score:
    """The mean of (answer - reference)², in the unit of the numbers, squared; 0 is best."""
    given, right = _numbers(answers, references)
    sums = np.stack([(given - right) ** 2, np.ones_like(given)], axis=1)
    return summed("mean squared error", sums, lambda drawn: share(drawn[:, 0], drawn[:, 1]), "of:rows")


def _correlation(sums: np.ndarray) -> np.ndarray:
    one, other, ones, others, both, rows = sums.T
    spread = np.maximum(rows * ones - one**2, 0) * np.maximum(rows * others - other**2, 0)
    return share(rows * both - one * other, np.sqrt(spread))


def _numbers(answers: Sequence[float], references: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    check_rows(answers, references)
    found = [np.asarray(values, float) for values in (answers, references)]
    for name, values in zip(("answer", "reference"), found, strict=True):
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise UserError(f"{values[row]} is no number to score", where=f"{name} {row + 1}")
    return found[0], found[1]
