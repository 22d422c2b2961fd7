"""What a score is, and how far it can be trusted.

Every score carries a 95 % confidence interval from bootstrap resampling of the rows (Koehn, 2004, "Statistical
Significance Tests for Machine Translation Evaluation"): it says how much of a difference the choice of test rows
explains, not how much the seed of the training does.
"""

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from zoo.errors import UserError

SAMPLES = 1000
SEED = 12345  # sacrebleu's own
DRAWN = f"bs:{SAMPLES}|seed:{SEED}"  # the end of a signature


@dataclass(frozen=True)
class Score:
    """One score of a whole test set.

    Values run from 0 to 100, and correlations from -100 to 100: a Pearson correlation of 0.87 is 87.0, an accuracy of
    0.91 is 91.0. Only the mean squared error is what it is, in the unit of the answers, squared.
    """

    name: str
    value: float
    interval: tuple[float, float]  # 95 % confidence
    signature: str  # how it was computed, for others to repeat

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.name} {self.value:.2f} [{low:.2f}, {high:.2f}]"

    def to_json(self) -> dict[str, object]:
        """Returns plain JSON values."""
        return asdict(self) | {"interval": list(self.interval)}


def check_rows(answers: Sized, references: Sized) -> None:
    """Raises: UserError for no rows, or not as many answers as references."""
    if len(answers) != len(references):
        raise UserError(
            f"{len(answers):,} answers, and {len(references):,} references to compare them with",
            remedy="give files of the same number of lines, line n of one belonging to line n of the other",
        )
    if not len(answers):
        raise UserError("there are no answers to score", remedy="give a test set that has rows")


def ratio(name: str, hits: Sequence[float] | np.ndarray, totals: Sequence[float] | np.ndarray, signature: str) -> Score:
    """sum(hits) / sum(totals), both float [rows], in percent."""
    sums = np.stack([np.asarray(hits, float), np.asarray(totals, float)], axis=1)
    return summed(name, sums, lambda drawn: 100 * share(drawn[:, 0], drawn[:, 1]), signature)


def summed(name: str, sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], signature: str) -> Score:
    """A score that depends on the rows only through sums over them, as counts of right and wrong.

    Args:
        name: of the score.
        sums: numbers [rows, …], what each row adds.
        statistic: sums over some rows, float [draws, …], to the score of each draw, float [draws].
        signature: how it is computed; that of the bootstrap is added.
    """
    rows, *shape = sums.shape
    # Of many classes, a row has one or two: without the zeros, a thousand draws take a tenth of a second.
    total = csr_array(sums.reshape(rows, prod(shape)), dtype=float).T.tocsr()
    samples = np.stack([total @ np.bincount(drawn, minlength=rows) for drawn in (np.arange(rows), *_draws(rows))])
    values = statistic(samples.reshape(len(samples), *shape))
    return _score(name, float(values[0]), values[1:], signature)


def redrawn(name: str, rows: int, statistic: Callable[[np.ndarray], float], signature: str) -> Score:
    """A score that needs the rows themselves, as one of ranks; statistic: numbers of rows, int64 [rows] -> score."""
    samples = [statistic(drawn) for drawn in _draws(rows)]
    return _score(name, float(statistic(np.arange(rows))), samples, signature)


def best_cut(kept: np.ndarray, dropped: np.ndarray, sure: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Where to divide the answers that are given from those that are too unsure, so that the rows score most.

    Args:
        kept, dropped: float [rows], what each row scores with its answer, and without it.
        sure: float [rows], by which they are divided; equal ones cannot be.

    Returns: how sure the surest is that is dropped (-inf: none is), and the least sure that is kept (inf: none is).
    Where several divisions are best, the one that drops fewest.
    """
    order = np.argsort(sure, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((dropped - kept)[order])])  # by dropping the n least sure ones
    ranked = np.concatenate([[-np.inf], np.asarray(sure, float)[order], [np.inf]])
    best = int(np.argmax(np.where(np.diff(ranked) > 0, gained, -np.inf)))
    return float(ranked[best]), float(ranked[best + 1])


def share(part: Any, whole: Any) -> np.ndarray:
    """part / whole, and 0 where there is no whole."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)


def _draws(rows: int) -> Iterator[np.ndarray]:
    """Numbers of rows drawn with replacement, int64 [rows], the same each time."""
    rng = np.random.default_rng(SEED)
    for _ in range(SAMPLES):
        yield rng.integers(0, rows, rows)


def _score(name: str, value: float, samples: Any, signature: str) -> Score:
    low, high = np.percentile(samples, [2.5, 97.5])
    return Score(name, value, (float(low), float(high)), f"{signature}|{DRAWN}")
