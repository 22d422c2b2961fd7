from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo.decoding.search as search_module
from tests.decoding.tables import (
    CONTENT,
    END,
    IDS,
    PAD,
    START,
    Answer,
    TableScorer,
    after,
    answers,
    assert_same,
    decode,
    every_output,
    prefixes,
    random_table,
    total,
)
from zoo.decoding.choices import SearchChoices
from zoo.decoding.choosers import Beam
from zoo.decoding.search import limits_of, search
from zoo.errors import UserError

SEEDS = st.integers(0, 2**31)
GREEDY = SearchChoices(beam=1)
BEAM = SearchChoices(beam=3, n_best=3)
FEW = 4  # tokens of an output where all are counted: 81 unfinished outputs and 40 finished ones,
WIDE = SearchChoices(beam=121, n_best=5)  # none of which this beam ever has to drop
FOREVER = float("-inf")


def greedy_by_hand(table, length, alpha=1.0, prefix=()):
    tokens = list(prefix)
    while len(tokens) < length and END not in tokens:
        log_probs = after(table, tokens).copy()
        log_probs[[PAD, START]] = FOREVER
        tokens.append(int(log_probs.argmax()))
    return [int(token) for token in tokens], total(table, tokens) / len(tokens) ** alpha


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_greedy_takes_the_most_probable_token_each_time(seed):
    tables = random_table(seed, rows=3)
    found = decode(tables, GREEDY, 8)
    for row, table in enumerate(tables):
        tokens, score = greedy_by_hand(table, 8)
        (answer,) = answers(found, row)
        assert list(answer.tokens) + [END] * answer.finished == tokens
        assert answer.score == pytest.approx(score, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_a_beam_of_one_is_greedy(seed):
    tables = random_table(seed, rows=3)
    greedy = decode(tables, GREEDY, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "_chooser", lambda scorers, choices, ends, draws: Beam(choices, ends))
        same = SearchChoices(beam=1, length_extra=11)  # compiled on its own: length_extra is not read by a search
        for ours, theirs in zip(decode(tables, same, 8), greedy):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, spread=st.sampled_from([0.5, 2.0, 4.0]))
def test_a_beam_wide_enough_finds_what_counting_finds(alpha, seed, spread):
    tables = random_table(seed, rows=3, spread=spread)
    found = decode(tables, replace(WIDE, length_penalty=alpha), FEW)
    for row, table in enumerate(tables):
        assert_same(answers(found, row), every_output(table, FEW, alpha)[:5])


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_several_scorers_add_up_by_their_weights(seed):
    tables = random_table(seed, rows=2), random_table(seed + 1, rows=2)
    found = decode(tables, WIDE, FEW, weights=(0.7, 0.4))
    for row in range(2):
        assert_same(answers(found, row), every_output(0.7 * tables[0][row] + 0.4 * tables[1][row], FEW, 1.0)[:5])


def test_a_scorer_with_a_negative_weight_keeps_the_search_exact():
    tables = random_table(5, rows=8), random_table(6, rows=8)
    found = decode(tables, replace(WIDE, n_best=1, length_penalty=0.0), FEW, weights=(1.0, -0.9))
    for row in range(8):  # sums rise and fall: stopping early would miss outputs that come late
        assert_same(answers(found, row), every_output(tables[0][row] - 0.9 * tables[1][row], FEW, 0.0)[:1])


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_stopping_early_changes_nothing(seed):
    tables = random_table(seed, rows=4)
    best = decode(tables, SearchChoices(beam=3, n_best=1, length_penalty=0.4), 8)
    late = decode(tables, SearchChoices(beam=3, n_best=3, length_penalty=0.4), 8)  # only stops with 3 finished
    for ours, theirs in zip(best, late):
        np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])


def test_stops_when_nothing_unfinished_can_win():
    table = np.full((1, 7, 6), -5.0, "float32")
    table[0, 0, END] = -0.1  # "" ends at once; whatever does not has at most -5
    for tokens in [(3,), (4,), (5,)]:
        after(table[0], tokens)[:] = 100.0  # no log-probabilities: a search that goes on is lured away
    found = decode(table, SearchChoices(beam=2, length_penalty=0.0), 8)
    assert_same(answers(found, 0), [Answer((), True, -0.1)])


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_row_does_not_depend_on_its_neighbours(seed):
    tables, others = random_table(seed, rows=3), random_table(seed + 1, rows=2)
    for choices in (BEAM, GREEDY):
        together = decode(tables, choices, 8)
        for row in range(3):
            moved = np.concatenate([others[row:], tables[row : row + 1], others[:row]])
            found = decode(moved, choices, 8)
            for ours, theirs in zip(together, found):
                np.testing.assert_array_equal(ours[row], theirs[2 - row])


@pytest.mark.parametrize("choices", [BEAM, GREEDY], ids=["beam", "greedy"])
def test_each_row_has_its_own_limit(choices):
    tables = random_table(3, rows=3)
    limits = np.array([1, 5, 3], "int32")
    mixed = decode(tables, choices, 8, limits=limits)
    for row, limit in enumerate(limits):
        same = decode(tables, choices, 8, limits=np.full(3, limit, "int32"))
        assert answers(mixed, row) == answers(same, row)
        assert all(len(answer.tokens) + answer.finished <= limit for answer in answers(mixed, row))


def test_limits_come_from_the_lengths_of_the_inputs():
    choices = SearchChoices(length_factor=1.5, length_extra=4)
    np.testing.assert_array_equal(np.asarray(limits_of(np.array([0, 3, 10, 100]), choices, 50)), [4, 8, 19, 50])


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_returns_the_best_unfinished_where_nothing_finishes(alpha):
    tables = random_table(11, rows=3)
    tables[:2, :, END] = FOREVER
    found = decode(tables, replace(WIDE, length_penalty=alpha), FEW)
    for row in range(3):
        expected = every_output(tables[row], FEW, alpha)[:5]
        assert [answer.finished for answer in expected] == [row == 2] * 5
        assert_same(answers(found, row), expected)


def test_finished_come_before_unfinished_whatever_their_scores():
    tables = random_table(12, rows=3)
    tables[..., END] = FOREVER
    after(tables[0], (3,))[END] = -9.0
    expected = every_output(tables[0], FEW, 0.0)[:20]
    assert expected[0].score < expected[-1].score and not expected[-1].finished
    assert_same(answers(decode(tables, replace(WIDE, length_penalty=0.0), FEW), 0), expected[:5])


@pytest.mark.parametrize("choices", [BEAM, GREEDY], ids=["beam", "greedy"])
def test_a_vocabulary_without_anything_possible_gives_finite_numbers(choices):
    tables = random_table(4, rows=3)
    tables[0] = FOREVER  # from the first token
    tables[1, 1:] = FOREVER  # after the first token
    tables[1, 0, END] = FOREVER
    found = decode(tables, choices, 8)
    assert np.isfinite(found.scores).all()
    for row in range(2):
        assert answers(found, row) == [((), False, -1e9)] * choices.n_best
    assert answers(found, 2) == answers(decode(np.repeat(tables[2:], 3, axis=0), choices, 8), 0)


def test_ties_go_to_the_lowest_id_and_the_earlier_hypothesis():
    tables = np.full((3, 7, 6), -np.log(6), "float32")
    assert answers(decode(tables, GREEDY, 8), 0)[0].tokens == ()  # end_id is below all content
    tables[..., END] = FOREVER
    found = decode(tables, BEAM, 8)
    for row in range(3):
        assert [answer.tokens for answer in answers(found, row)] == [(3,) * 7 + (last,) for last in CONTENT]


def test_padding_and_start_never_come_but_may_be_the_end():
    tables = np.full((3, 7, 6), -8.0, "float32")
    tables[..., [PAD, START]] = -0.5
    tables[..., 4] = -2.0
    assert answers(decode(tables, GREEDY, 8), 0)[0].tokens == (4,) * 8
    for choices, same in ((BEAM, PAD), (GREEDY, START)):
        found = decode(tables, choices, 8, ids={**IDS, "end_id": same})
        assert found.lengths[0, 0] == 0 and found.ids[0, 0, 0] == same


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.lists(st.lists(st.sampled_from(CONTENT), max_size=FEW), min_size=3, max_size=3))
def test_outputs_begin_with_the_prefix_and_its_probability_counts(seed, wanted):
    tables = random_table(seed, rows=3)
    packed = prefixes(*wanted, width=FEW)
    found, greedy = decode(tables, WIDE, FEW, prefix=packed), decode(tables, GREEDY, FEW, prefix=packed)
    for row, (table, prefix) in enumerate(zip(tables, wanted)):
        expected = every_output(table, FEW, 1.0, prefix)[:5]
        assert_same(answers(found, row)[: len(expected)], expected)
        (answer,) = answers(greedy, row)
        tokens, score = greedy_by_hand(table, FEW, prefix=prefix)
        assert list(answer.tokens) + [END] * answer.finished == tokens
        assert answer.score == pytest.approx(score, rel=1e-4)


def test_a_prefix_longer_than_the_output_is_refused():
    with pytest.raises(UserError, match="prefix of 4 tokens, and outputs of at most 3"):
        search([(TableScorer(random_table(8)), 1.0)], 1, GREEDY, **IDS, length=3, prefix=prefixes((3, 4, 5, 3)))


def test_an_empty_prefix_is_none():
    tables = random_table(9, rows=3)
    assert answers(decode(tables, GREEDY, 8, prefix=prefixes((), (), ())), 0) == answers(decode(tables, GREEDY, 8), 0)
