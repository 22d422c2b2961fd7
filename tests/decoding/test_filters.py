import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tests.decoding.tables import CONTENT, PAD, answers, assert_same, decode, every_output, prefixes, random_table
from zoo.decoding import filters
from zoo.decoding.choices import SearchChoices
from zoo.decoding.tensors import LOWEST

VOCABULARY = 7
HISTORIES = st.lists(st.lists(st.integers(2, VOCABULARY - 1), max_size=8), min_size=3, max_size=3)


def apply(change, histories, length=8):
    """Random log-probabilities [R, V] before and after the filter."""
    log_probs = -np.random.default_rng(0).random((len(histories), VOCABULARY), "float32") - 0.1
    tokens = np.full((len(histories), length), PAD, "int32")
    for row, history in zip(tokens, histories):
        row[: len(history)] = history
    count = np.array([len(history) for history in histories], "int32")
    return log_probs, ops.convert_to_numpy(change(*map(ops.convert_to_tensor, (log_probs, tokens, count))))


def would_repeat(history, token, size):
    ngrams = [tuple(history[i : i + size]) for i in range(len(history) - size + 1)]
    return len(history) >= size - 1 and (*history[len(history) - (size - 1) :], token) in ngrams


@pytest.mark.parametrize("size", [1, 2, 3, 9])
@settings(max_examples=40, deadline=None)
@given(histories=HISTORIES)
def test_no_repeat_ngram_forbids_what_would_repeat_and_nothing_else(size, histories):
    before, now = apply(filters.no_repeat_ngram(size), histories)
    expected = [[would_repeat(history, token, size) for token in range(VOCABULARY)] for history in histories]
    np.testing.assert_array_equal(now < LOWEST / 2, expected)
    np.testing.assert_array_equal(now[~np.array(expected)], before[~np.array(expected)])


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_repetition_penalty_multiplies_once_for_each_token_that_is_there(histories):
    before, now = apply(filters.penalise_repetition(1.5), histories)
    there = np.array([[token in history for token in range(VOCABULARY)] for history in histories])
    np.testing.assert_allclose(now, np.where(there, before * np.float32(1.5), before), rtol=1e-6)


def test_ban_forbids_these_ids_alone():
    before, now = apply(filters.ban({0, 3}), [[], [3]])
    assert (now[:, [0, 3]] < LOWEST / 2).all()
    np.testing.assert_array_equal(now[:, [1, 2, 4, 5, 6]], before[:, [1, 2, 4, 5, 6]])


def test_only_what_is_asked_for_runs():
    assert len(filters.build(SearchChoices(), set())) == 0
    assert len(filters.build(SearchChoices(no_repeat_ngram=2, repetition_penalty=1.2), {0})) == 3


def by_hand(log_probs, tokens):
    """What SearchChoices(repetition_penalty=1.3, no_repeat_ngram=2) does to the log-probabilities of one step."""
    changed = log_probs.copy()
    changed[list(set(tokens))] *= 1.3
    for token in CONTENT:
        if would_repeat(list(tokens), token, 2):
            changed[token] = LOWEST
    return changed


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_filters_follow_each_hypothesis_through_the_beam(seed):
    tables = random_table(seed, rows=2)
    choices = SearchChoices(beam=121, n_best=5, repetition_penalty=1.3, no_repeat_ngram=2)
    found = decode(tables, choices, 4, prefix=prefixes((), (3,)))
    for row, prefix in enumerate([(), (3,)]):
        assert_same(answers(found, row), every_output(tables[row], 4, 1.0, prefix, by_hand)[:5])
