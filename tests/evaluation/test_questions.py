"""SQuAD's rules: known cases by hand, and the official script's steps on what hypothesis finds."""

import re
import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UserError
from zoo.evaluation import score
from zoo.evaluation.questions import answer_scores, is_exact, no_answer_threshold, normalise_answer, overlap


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(score, "SAMPLES", 20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Sea!", "sea"),
        ("a theatre, an Anthem", "theatre anthem"),
        ("U.S.A.", "usa"),
        ("the-best", "thebest"),  # punctuation goes first
        ("“The sea”", "“ sea”"),  # only ASCII's punctuation goes
        ("A", ""),
        ("\u00a01 000\n", "1 000"),
    ],
)
def test_normalising(text, expected):
    assert normalise_answer(text) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "exact", "words"),
    [
        ("the Denver Broncos", "Denver Broncos", 1.0, 1.0),
        ("Denver", "Denver Broncos", 0.0, 2 / 3),
        ("Broncos of Denver", "Denver Broncos", 0.0, 4 / 5),
        ("Denver Denver", "Denver Broncos", 0.0, 1 / 2),  # a word counts as often as it stands there
        ("Carolina", "Denver", 0.0, 0.0),
        ("", "", 1.0, 1.0),
        ("the", "", 1.0, 1.0),
        ("", "Denver", 0.0, 0.0),
        ("Denver", "", 0.0, 0.0),
    ],
)
def test_pairs_by_hand(answer, reference, exact, words):
    assert is_exact(answer, reference) == exact
    assert overlap(answer, reference) == pytest.approx(words)


def test_the_best_reference_counts():
    found = answer_scores(["Denver", "in 1923"], [["Carolina", "Denver Broncos", "denver"], ["1923", "year 1923"]])
    assert {each.name: each.value for each in found} == pytest.approx(
        {"F1": 100 * (1 + 2 / 3) / 2, "exact match": 50.0}
    )
    assert found[0].signature.startswith("squad:2.0|")


def test_questions_without_an_answer():
    answers = ["Denver", "", "Denver", "", ""]
    references = [["Denver"], [], [], ["Denver"], ["the"]]  # of the last one nothing is left: it has none
    found = {each.name: each.value for each in answer_scores(answers, references)}
    assert found == pytest.approx(
        {
            "F1": 60.0,
            "exact match": 60.0,
            "F1 with an answer": 50.0,
            "exact match with an answer": 50.0,
            "F1 without an answer": 100 * 2 / 3,
            "exact match without an answer": 100 * 2 / 3,
        }
    )
    assert [each.name for each in answer_scores(["", "x"], [[], []])][2:] == [
        "F1 without an answer",
        "exact match without an answer",
    ]


def official_f1(reference: str, answer: str) -> float:
    """The steps of SQuAD's evaluate-v2.0.py."""

    def tokens(text: str) -> list[str]:
        text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
        text = " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text).split())
        return text.split() if text else []

    right, given = tokens(reference), tokens(answer)
    same = sum((Counter(right) & Counter(given)).values())
    if len(right) == 0 or len(given) == 0:
        return int(right == given)
    if same == 0:
        return 0
    precision, recall = same / len(given), same / len(right)
    return (2 * precision * recall) / (precision + recall)


WORDS = st.lists(
    st.sampled_from(["the", "A", "an", "sea", "Sea,", "1923", "--", "é", "sea-side", "\u00a0"]), max_size=6
)


@settings(max_examples=100)
@given(WORDS, WORDS)
def test_values_are_those_of_the_official_steps(answer, reference):
    one, other = " ".join(answer), " ".join(reference)
    assert overlap(one, other) == pytest.approx(official_f1(other, one))


def test_counts_that_do_not_fit():
    with pytest.raises(UserError, match="1 answers, and 2 references"):
        answer_scores([""], [[], []])
    with pytest.raises(UserError, match="no answers"):
        answer_scores([], [])


def test_the_threshold_of_no_answer_by_hand():
    references = [["Denver"], [], ["Paris in 1923"], [], ["Bonn"]]
    answers = ["Denver", "Rome", "Paris", "Oslo", "Ulm"]
    threshold, score = no_answer_threshold(answers, references, [3.0, -4.0, -2.0, 4.0, -5.0])
    assert threshold == 3.0  # what scores less than -3 has no answer: -2 is half right, -4 would be wrong
    assert (score.name, score.value) == ("F1", pytest.approx(100 * (1 + 1 + 2 * 1 / 4) / 5))
    assert no_answer_threshold(answers[::2], references[::2], [3.0, 1.5, 2.0])[0] == -0.5  # all have one
    assert no_answer_threshold(answers[1::2], references[1::2], [-4.0, 2.0])[0] == -3.0  # none has


ROW = st.tuples(st.sampled_from(["a film", "film", "the play", ""]), st.sampled_from([["film"], ["a play"], []]))


@given(rows=st.lists(st.tuples(ROW, st.integers(-6, 6)), min_size=1, max_size=12))
@settings(max_examples=40)
def test_no_threshold_is_better_than_the_official_one(rows):
    """The steps of find_best_thresh in evaluate-v2.0.py, which sorts by how likely no answer is."""
    answers, references = [answer for (answer, _), _ in rows], [right for (_, right), _ in rows]
    scores = [one / 2 for _, one in rows]
    each = [max(overlap(answer, text) for text in right or [""]) for answer, right in zip(answers, references)]
    reached = {-100.0: sum(not right for right in references)}
    for threshold in sorted({-one for one in scores}):
        said = [one >= -threshold for one in scores]
        reached[threshold] = sum(f1 if there else not right for f1, there, right in zip(each, said, references))
    found, score = no_answer_threshold(answers, references, scores)
    assert score.value == pytest.approx(100 * max(reached.values()) / len(rows))
    decided = [answer if one >= -found else "" for answer, one in zip(answers, scores)]
    assert answer_scores(decided, references)[0].value == score.value
