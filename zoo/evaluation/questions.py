"""Scores of extractive question answering, by the rules of SQuAD's own evaluation (Rajpurkar et al., 2016, 2018).

Answers are compared without case, punctuation, articles and further blanks; of several references the best one counts.
A question without reference answers has none: the right answer is then the empty one.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from zoo.evaluation.score import Score, best_cut, check_rows, ratio

ARTICLES = re.compile(r"\b(a|an|the)\b")
RULES = "squad:2.0"  # as its evaluate-v2.0.py; on 1.1 they give what 1.1's script gives
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, without punctuation (of ASCII) and English articles, words divided by one blank."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def is_exact(answer: str, reference: str) -> float:
    """1.0 where the two are the same once normalised, else 0.0."""
    return float(normalise_answer(answer) == normalise_answer(reference))


def overlap(answer: str, reference: str) -> float:
    """F1 of the words of the two once normalised, 0 to 1. Where one has none left, 1.0 if both have."""
    given, right = normalise_answer(answer).split(), normalise_answer(reference).split()
    if not given or not right:
        return float(given == right)
    common = (Counter(given) & Counter(right)).total()
    return 2 * common / (len(given) + len(right))


def answer_scores(answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[Score]:
    """F1 and exact match over all questions; beside them, where some have no answer, those of either kind alone.

    Args:
        answers: one a question, empty for "there is none".
        references: the right answers of each question, none where there is no answer.

    Raises: UserError for no rows, or unequally many.
    """
    check_rows(answers, references)
    right = _right(references)
    has = np.array([row != [""] for row in right])
    values = {name: _best(rule, answers, right) for name, rule in (("F1", overlap), ("exact match", is_exact))}
    kinds = {"": np.ones(len(has), bool)}
    if not has.all():
        kinds |= {" with an answer": has, " without an answer": ~has}
    return [
        ratio(f"{name}{kind}", found * rows, rows, RULES)
        for kind, rows in kinds.items()
        for name, found in values.items()
        if rows.any()
    ]


def no_answer_threshold(
    answers: Sequence[str], references: Sequence[Sequence[str]], scores: Sequence[float]
) -> tuple[float, Score]:
    """How much likelier than any stretch no answer has to be, so that F1 is highest; to be chosen on validation rows.

    As `find_best_thresh` of SQuAD 2.0's script, but in the middle between the scores that it divides, with four
    decimals; the highest, by which most questions are answered, where several are best.

    Args:
        answers: the likeliest stretch of each question, whether or not no answer is likelier.
        references: as in `answer_scores`.
        scores: of the stretches, less those of no answer, in logits: below minus the threshold there is no answer.

    Returns: the threshold, and F1 with it.
    """
    check_rows(answers, references)
    right = _right(references)
    kept, dropped = _best(overlap, answers, right), _best(overlap, [""] * len(answers), right)
    low, high = best_cut(kept, dropped, scores)
    if np.isinf([low, high]).any():  # one side is empty
        cut = high - 1.0 if np.isinf(low) else low + 1.0
    else:
        cut = (low + high) / 2
    threshold = round(-cut, 4)
    decided = ["" if score < -threshold else answer for answer, score in zip(answers, scores, strict=True)]
    return threshold, answer_scores(decided, references)[0]


def _right(references: Sequence[Sequence[str]]) -> list[list[str]]:
    """As the official script: a reference of which normalising leaves nothing is none; the right answer is then ""."""
    return [[text for text in row if normalise_answer(text)] or [""] for row in references]


def _best(rule: Callable[[str, str], float], answers: Sequence[str], right: Sequence[Sequence[str]]) -> np.ndarray:
    """float [rows]: the rule by the reference that suits each answer best."""
    return np.array([max(rule(answer, each) for each in row) for answer, row in zip(answers, right, strict=True)])
