"""Entity scores by hand, by recorded values of seqeval 1.2.2, and against seqeval where it is installed."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UserError
from zoo.evaluation import score
from zoo.evaluation.tagging import Entity, entities, entity_scores, f1_by_label

REFERENCES = [
    ["B-PER", "I-PER", "O", "B-LOC"],
    ["O", "B-ORG", "I-ORG", "B-ORG", "O"],
    ["B-PER", "O", "O"],
    ["O", "O"],
]
ANSWERS = [
    ["B-PER", "I-PER", "O", "I-LOC"],  # I-LOC continues nothing
    ["O", "B-ORG", "I-ORG", "I-ORG", "O"],  # one entity too long
    ["B-LOC", "O", "B-PER"],
    ["O", "I-PER"],
]
TAGS = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(score, "SAMPLES", 20)


def test_entities_of_a_sentence():
    tags = ["I-A", "B-A", "I-A", "I-B", "B-B", "B-B", "O", "I-B"]
    assert entities(tags) == [("A", 1, 3), ("B", 4, 5), ("B", 5, 6)]
    assert entities(tags, strict=False) == [
        ("A", 0, 1),
        ("A", 1, 3),
        ("B", 3, 4),
        ("B", 4, 5),
        ("B", 5, 6),
        ("B", 7, 8),
    ]
    assert entities(["B-creative-work", "I-creative-work"]) == [Entity("creative-work", 0, 2)]
    assert entities([]) == []


def test_by_hand():
    # strict: 1 right of 4 answered (PER, ORG, LOC, PER) and 5 there are
    found, precision, recall = entity_scores(ANSWERS, REFERENCES)
    assert (precision.value, recall.value, found.value) == pytest.approx((25.0, 20.0, 100 * 2 / 9))
    assert found.signature.startswith("entities:strict IOB2|micro|")
    # otherwise: 2 right (I-LOC is one) of 6 answered
    found, precision, recall = entity_scores(ANSWERS, REFERENCES, strict=False)
    assert (precision.value, recall.value, found.value) == pytest.approx((100 * 2 / 6, 40.0, 100 * 4 / 11))
    assert [each.name for each in (found, precision, recall)] == ["entity F1", "entity precision", "entity recall"]


def test_by_label():
    found = f1_by_label(ANSWERS, REFERENCES)
    assert {label: each.value for label, each in found.items()} == {"LOC": 0.0, "ORG": 0.0, "PER": 50.0}
    assert f1_by_label([["O"]], [["O"]]) == {}


def test_right_answers_are_100_and_nothing_is_0():
    assert [each.value for each in entity_scores(REFERENCES, REFERENCES)] == [100.0] * 3
    nothing = [["O"] * len(tags) for tags in REFERENCES]
    assert [each.value for each in entity_scores(nothing, REFERENCES)] == [0.0] * 3
    assert [each.value for each in entity_scores(nothing, nothing)] == [0.0] * 3


def drawn(seed: int) -> list[list[str]]:
    rng = random.Random(seed)
    lengths = random.Random(7)
    return [rng.choices(["O", "B-A", "I-A", "B-B", "I-B"], k=lengths.randrange(1, 12)) for _ in range(100)]


@pytest.mark.parametrize(
    ("strict", "recorded"),
    [
        (True, [16.0337552743, 16.5938864629, 15.5102040816]),
        (False, [28.1795511222, 28.4634760705, 27.9012345679]),
    ],
)
def test_recorded_values_of_seqeval(strict, recorded):
    assert [each.value for each in entity_scores(drawn(0), drawn(1), strict)] == pytest.approx(recorded)


@pytest.mark.parity
@settings(max_examples=50)
@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=5), st.booleans())
def test_values_are_those_of_seqeval(rows, strict):
    metrics = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme")
    rows = [(one[: len(other)], other[: len(one)]) for one, other in rows]
    answers, references = map(list, zip(*rows, strict=True))
    choices = {"mode": "strict", "scheme": scheme.IOB2} if strict else {}
    expected = [
        100 * rule(references, answers, zero_division=0, **choices)
        for rule in (metrics.f1_score, metrics.precision_score, metrics.recall_score)
    ]
    assert [each.value for each in entity_scores(answers, references, strict)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answers", "references", "expected"),
    [
        ([["O"]], [["O"], ["O"]], "1 answers, and 2 references"),
        ([], [], "no answers"),
        ([["O"], ["O"]], [["O"], ["O", "O"]], "sentence 2: 1 tags for the 2 words"),
        ([["S-PER"]], [["O"]], '"S-PER" is no tag of IOB2'),
        ([["PER"]], [["O"]], '"PER" is no tag of IOB2'),
        ([["B-"]], [["O"]], '"B-" is no tag of IOB2'),
    ],
)
def test_what_cannot_be_scored(answers, references, expected):
    with pytest.raises(UserError, match=expected):
        entity_scores(answers, references)
