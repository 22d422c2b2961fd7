"""Scores of classification, each with its interval.

Values are scikit-learn's, to the last digits (tests hold them equal); computed here from sums over the rows, since a
thousand resamplings of a test set take minutes there. Answers and references are label names, one a row, or with
several labels a collection of them a row; the classes are the labels that stand among the two. Every function raises
UserError for no rows, or unequally many.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from zoo.errors import UserError
from zoo.evaluation.score import Score, best_cut, check_rows, ratio, redrawn, share, summed

BINS = 15  # of the confidence, as Guo et al. have them


class Confusion(NamedTuple):
    """How often each class was taken for each. counts: int64 [C, C], references down, answers across."""

    labels: tuple[str, ...]
    counts: np.ndarray


def accuracy(answers: Sequence[str], references: Sequence[str]) -> Score:
    """The share of rows whose label is right."""
    return ratio("accuracy", _hits(answers, references), np.ones(len(answers)), "of:rows")


def f1(answers: Sequence[str], references: Sequence[str], positive: str) -> Score:
    """F1 of one class: the harmonic mean of its precision and recall. MRPC is scored so."""
    check_rows(answers, references)
    if positive not in references:
        raise UserError(f'no reference is "{positive}"', remedy="Is this the name of the positive class?")
    given, right = ([{positive} & {label} for label in rows] for rows in (answers, references))
    return _f1(f"F1 of {positive}", given, right, "micro", f"f1|positive:{positive}")


def macro_f1(answers: Sequence[str], references: Sequence[str]) -> Score:
    """The mean of the classes' F1, each class counting the same."""
    check_rows(answers, references)
    return _f1("macro F1", [{label} for label in answers], [{label} for label in references], "macro", "f1|macro")


def multi_label_f1(
    answers: Sequence[Collection[str]], references: Sequence[Collection[str]], average: str = "micro"
) -> Score:
    """F1 where a row may have several labels or none.

    Args:
        answers, references: the labels of each row.
        average: "micro", F1 of all decisions together, or "macro", the mean of the classes' F1.
    """
    check_rows(answers, references)
    return _f1(f"{average} F1", answers, references, average, f"f1|{average}|multi-label")


def f1_by_label(answers: Sequence[Collection[str]], references: Sequence[Collection[str]]) -> dict[str, Score]:
    """F1 of each label, sorted by label; arguments as for `multi_label_f1`."""
    check_rows(answers, references)
    labels = _labels([*answers, *references])
    sums = _sums(_flags(answers, labels), _flags(references, labels))
    return {
        label: summed(f"F1 of {label}", sums[:, :, [place]], _micro, f"f1|label:{label}")
        for place, label in enumerate(labels)
    }


def matthews(answers: Sequence[str], references: Sequence[str]) -> Score:
    """Matthews' correlation of answers and references, -100 to 100 (Gorodkin, 2004, for more than two classes).

    It is 0 where all answers, or all references, are one label.
    """
    check_rows(answers, references)
    labels = _labels([answers, references])
    given, right = (_flags([{label} for label in rows], labels) for rows in (answers, references))

    def correlation(sums: np.ndarray) -> np.ndarray:  # [draws, 3, C]
        hits, given, right = np.moveaxis(sums, 1, 0)
        rows = right.sum(-1)
        spread = np.sqrt(rows**2 - (given**2).sum(-1)) * np.sqrt(rows**2 - (right**2).sum(-1))
        return 100 * share(hits.sum(-1) * rows - (given * right).sum(-1), spread)

    return summed("Matthews correlation", _sums(given, right), correlation, "matthews")


def calibration_error(answers: Sequence[str], references: Sequence[str], confidences: Sequence[float]) -> Score:
    """Expected calibration error: how far confidence lies from accuracy, on average (Guo et al., 2017,
    arXiv:1706.04599), in percent; 0 is best.

    Args:
        answers, references: labels.
        confidences: the probability given to each answer, 0 to 1.
    """
    hits, sure = _hits(answers, references), _confidences(confidences, len(answers))
    bins = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)  # (0, 1/15], (1/15, 2/15], …
    gaps = np.where(bins[:, None] == np.arange(BINS), (sure - hits)[:, None], 0.0)
    sums = np.concatenate([gaps, np.ones((len(gaps), 1))], axis=1)

    def error(sums: np.ndarray) -> np.ndarray:
        return 100 * np.abs(sums[:, :-1]).sum(-1) / sums[:, -1]

    return summed("calibration error", sums, error, f"bins:{BINS}|width:equal")


def confusion(answers: Sequence[str], references: Sequence[str], labels: Sequence[str] = ()) -> Confusion:
    """The confusion matrix.

    Args:
        answers, references: labels.
        labels: which, in which order; empty: those that there are, sorted.
    """
    check_rows(answers, references)
    names = tuple(labels) or _labels([answers, references])
    unknown = sorted({*answers, *references} - set(names))
    if unknown:
        raise UserError(f'the label "{unknown[0]}" is not among those listed', where="labels")
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, tuple([names.index(label) for label in rows] for rows in (references, answers)), 1)
    return Confusion(names, counts)


def out_of_scope(
    answers: Sequence[str],
    references: Sequence[str],
    confidences: Sequence[float],
    outside: str = "oos",
    threshold: float = 0.0,
) -> list[Score]:
    """How well requests that belong to no intent are found (Larson et al., 2019, arXiv:1909.02027).

    Args:
        answers: the likeliest label of each row; it may be `outside`, where a model has learned that as a class.
        references: the right labels, `outside` among them.
        confidences: how sure it is that the row is in scope and has this label, 0 to 1.
        outside: the label of what is out of scope.
        threshold: below this confidence, the answer is taken to be `outside`.

    Returns: the accuracy on rows in scope, the recall of those out of scope, and the area under the ROC curve by which
    confidence tells the two apart, whatever the threshold.
    """
    check_rows(answers, references)
    sure = _confidences(confidences, len(answers))
    decided = [outside if each < threshold else answer for answer, each in zip(answers, sure, strict=True)]
    hits, inside = _hits(decided, references), np.array([label != outside for label in references])
    if inside.all() or not inside.any():
        problem = f'{"no" if inside.all() else "every"} reference is "{outside}"'
        raise UserError(problem, remedy="Out-of-scope scores need rows of both kinds. Is this the name of the label?")
    above = f"threshold:{threshold:g}"
    return [
        ratio("in-scope accuracy", hits * inside, inside, above),
        ratio("out-of-scope recall", hits * ~inside, ~inside, above),
        redrawn("out-of-scope AUROC", len(sure), lambda rows: 100 * _area(inside[rows], sure[rows]), "ranks"),
    ]


def best_threshold(
    answers: Sequence[str], references: Sequence[str], confidences: Sequence[float], outside: str = "oos"
) -> float:
    """The threshold for `out_of_scope` with the highest accuracy over all rows, `outside` counting as a label.

    To be chosen on validation rows. The lowest where several are best; 0.0 where no threshold helps.
    """
    check_rows(answers, references)
    sure = _confidences(confidences, len(answers))
    kept, dropped = _hits(answers, references), np.array([label == outside for label in references], float)
    surest_outside, _ = best_cut(kept, dropped, sure)
    return 0.0 if surest_outside == -np.inf else float(np.nextafter(surest_outside, np.inf))


def _hits(answers: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """float [rows], 1 where the answer is right."""
    check_rows(answers, references)
    return np.array([answer == reference for answer, reference in zip(answers, references, strict=True)], float)


def _confidences(values: Sequence[float], rows: int) -> np.ndarray:
    found = np.asarray(values, float)
    if len(found) != rows:
        raise UserError(f"{len(found):,} confidences for {rows:,} answers")
    if not ((found >= 0) & (found <= 1)).all():
        raise UserError("confidences must lie between 0 and 1")
    return found


def _labels(rows: Sequence[Collection[str]]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*rows)))


def _flags(rows: Sequence[Collection[str]], labels: tuple[str, ...]) -> np.ndarray:
    """bool [rows, C]: which labels each row has."""
    numbers = {label: number for number, label in enumerate(labels)}
    flags = np.zeros((len(rows), len(labels)), bool)
    for row, found in enumerate(rows):
        for label in found:
            flags[row, numbers[label]] = True
    return flags


def _sums(given: np.ndarray, right: np.ndarray) -> np.ndarray:
    """bool [rows, 3, C]: right answers, answers, references; from bool [rows, C]."""
    return np.stack([given & right, given, right], axis=1)


def _f1(
    name: str,
    answers: Sequence[Collection[str]],
    references: Sequence[Collection[str]],
    average: str,
    signature: str,
) -> Score:
    statistic = AVERAGES[average]
    labels = _labels([*answers, *references])
    return summed(name, _sums(_flags(answers, labels), _flags(references, labels)), statistic, signature)


def _micro(sums: np.ndarray) -> np.ndarray:
    """Sums float [draws, 3, C] of right answers, answers and references, to F1 in percent [draws]."""
    hits, given, right = sums.sum(-1).T
    return 100 * share(2 * hits, given + right)


def _macro(sums: np.ndarray) -> np.ndarray:
    """As `_micro`; a class that is not among the rows drawn does not count."""
    hits, given, right = np.moveaxis(sums, 1, 0)
    return 100 * share(share(2 * hits, given + right).sum(-1), (given + right > 0).sum(-1))


AVERAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"micro": _micro, "macro": _macro}


def _area(inside: np.ndarray, sure: np.ndarray) -> float:
    """Area under the ROC curve: how often a row in scope is surer than one out of scope, ties counting half."""
    within, without = int(inside.sum()), int((~inside).sum())
    ranks = rankdata(sure)[inside].sum() - within * (within + 1) / 2
    return ranks / (within * without) if within and without else 0.5
