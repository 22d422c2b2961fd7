"""Scores of tagging: precision, recall and F1 of whole entities, as CoNLL's evaluation and seqeval count them.

An entity counts where its first word, its last word and its label are all right. Two readings of a tag I-X that
continues nothing are in use: by the strict one (seqeval's mode="strict" with IOB2) it belongs to no entity; by that of
CoNLL-2000's conlleval, which most papers report (seqeval's default), it begins one.

Written here since seqeval 1.2.2, its last release, no longer builds where pip has today's setuptools_scm; the tests
hold the two equal.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zoo.errors import UserError
from zoo.evaluation.score import Score, check_rows, ratio, share, summed


class Entity(NamedTuple):
    """An entity of a sentence: words start to end - 1, counted from 0."""

    label: str
    start: int
    end: int


def entities(tags: Sequence[str], strict: bool = True) -> list[Entity]:
    """The entities of one sentence in IOB2, in order.

    Args:
        tags: O, B-X or I-X, one a word.
        strict: see above.

    Raises: UserError for another tag.
    """
    found: list[Entity] = []
    label, start = "", 0
    for number, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if tag != "O" and (prefix not in ("B", "I") or not name):
            raise UserError(f'"{tag}" is no tag of IOB2', remedy="zoo.data.conll.iob2 turns IOB1 and BIOES into IOB2.")
        if prefix == "I" and name == label:
            continue
        if label:
            found.append(Entity(label, start, number))
        label, start = (name, number) if prefix == "B" or not strict else ("", number)
    return found


def entity_scores(
    answers: Sequence[Sequence[str]], references: Sequence[Sequence[str]], strict: bool = True
) -> list[Score]:
    """F1, precision and recall of entities, over all of them together (micro average).

    Args:
        answers, references: the tags of each sentence, in IOB2, one a word.
        strict: how a tag I-X that continues nothing is read; see above.

    Raises: UserError for no rows, unequally many, or a sentence with more or fewer tags than words.
    """
    sums = _sums(_found(answers, references, strict))
    signature = f"{_signature(strict)}|micro"
    return [
        summed("entity F1", sums, _f1, signature),
        ratio("entity precision", sums[:, 0], sums[:, 1], signature),
        ratio("entity recall", sums[:, 0], sums[:, 2], signature),
    ]


def f1_by_label(
    answers: Sequence[Sequence[str]], references: Sequence[Sequence[str]], strict: bool = True
) -> dict[str, Score]:
    """F1 of the entities of each label, sorted by label; arguments as for `entity_scores`."""
    found = _found(answers, references, strict)
    labels = sorted({entity.label for pair in found for side in pair for entity in side})
    only = {
        label: [tuple({e for e in side if e.label == label} for side in pair) for pair in found] for label in labels
    }
    return {label: summed(f"F1 of {label}", _sums(pairs), _f1, _signature(strict)) for label, pairs in only.items()}


def _signature(strict: bool) -> str:
    return "entities:strict IOB2" if strict else "entities:conlleval"


def _found(
    answers: Sequence[Sequence[str]], references: Sequence[Sequence[str]], strict: bool
) -> list[tuple[set[Entity], ...]]:
    """The entities of answer and reference of each sentence."""
    check_rows(answers, references)
    for number, (given, right) in enumerate(zip(answers, references, strict=True), 1):
        if len(given) != len(right):
            raise UserError(f"{len(given)} tags for the {len(right)} words of a sentence", where=f"sentence {number}")
    return [
        (set(entities(given, strict)), set(entities(right, strict)))
        for given, right in zip(answers, references, strict=True)
    ]


def _sums(pairs: Sequence[tuple[set[Entity], ...]]) -> np.ndarray:
    """float [rows, 3]: entities that are right, those answered, those of the references."""
    return np.array([(len(given & right), len(given), len(right)) for given, right in pairs], float)


def _f1(sums: np.ndarray) -> np.ndarray:
    return 100 * share(2 * sums[:, 0], sums[:, 1] + sums[:, 2])
