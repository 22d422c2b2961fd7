import numpy as np
import pytest

from tests.decoding.tables import CONTENT, END, answers, decode, every_output, random_table, total
from zoo.decoding.choices import SearchChoices
from zoo.decoding.search import search
from zoo.errors import UserError

ROWS = 4000
CHOICE = [END, *CONTENT]
TABLE = np.log(np.array([0.1, 0.1, 0.1, 0.4, 0.25, 0.05], "float32"))  # PAD and START have 0.2, never drawn


def draws(rows, samples, length, seed=0):
    return np.random.default_rng(seed).random((rows, samples, length), "float32")


def sampled(choices, table, length, rows=ROWS, seed=0):
    return decode(np.repeat(table, rows, axis=0), choices, length, draws=draws(rows, choices.n_best, length, seed))


def expected_probabilities(temperature, top_k, top_p):
    """Of END and CONTENT, by the definition, token by token."""
    weights = np.exp(TABLE[CHOICE] / temperature)
    order = np.argsort(-weights, kind="stable")
    kept = order[: top_k or None]
    probabilities = weights[kept] / weights[kept].sum()
    enough = np.flatnonzero(np.cumsum(probabilities) >= top_p - 1e-6)[0] + 1
    result = np.zeros(len(CHOICE))
    result[kept[:enough]] = probabilities[:enough] / probabilities[:enough].sum()
    return result


CASES = [(1.0, 0, 1.0), (2.0, 3, 1.0), (0.6, 0, 0.8), (1.0, 3, 0.6), (1.0, 0, 0.01)]


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), CASES)
def test_tokens_come_as_often_as_they_should_and_no_others(temperature, top_k, top_p):
    table = np.tile(TABLE, (1, 7, 1))
    choices = SearchChoices(beam=1, temperature=temperature, top_k=top_k, top_p=top_p)
    found = sampled(choices, table, 1)
    counts = np.array([(found.ids[:, 0, 0] == token).sum() for token in CHOICE])
    expected = expected_probabilities(temperature, top_k, top_p) * ROWS
    assert counts.sum() == ROWS
    assert (counts[expected == 0] == 0).all()
    seen = expected > 0
    statistic = ((counts[seen] - expected[seen]) ** 2 / expected[seen]).sum()
    assert statistic < 16.3  # chi-square with at most 3 degrees of freedom: 1 in 1,000 by chance


def test_whole_outputs_come_as_often_as_their_probability():
    table = random_table(3, spread=1.0)
    table -= np.log(np.exp(table[..., CHOICE]).sum(-1, keepdims=True))  # over what may be drawn
    found = sampled(SearchChoices(beam=1, temperature=1.0, length_penalty=0.0), table, 2)
    drawn = [answers(found, row)[0] for row in range(ROWS)]
    outputs = every_output(table[0], 2, 0.0)
    counts = np.array([sum(answer[:2] == output[:2] for answer in drawn) for output in outputs])
    expected = np.exp([output.score for output in outputs]) * ROWS
    assert len(outputs) == 13 and counts.sum() == ROWS
    assert ((counts - expected) ** 2 / expected).sum() < 32.9  # 12 degrees of freedom: 1 in 1,000 by chance
    for answer in drawn[:50]:
        assert answer.score == pytest.approx(total(table[0], answer.tokens + (END,) * answer.finished), rel=1e-4)


def test_scores_are_log_probabilities_before_temperature():
    table = random_table(5)
    found = sampled(SearchChoices(beam=1, temperature=3.0, length_penalty=1.0), table, 4, rows=20)
    for row in range(20):
        (answer,) = answers(found, row)
        tokens = answer.tokens + (END,) * answer.finished
        assert answer.score == pytest.approx(total(table[0], tokens) / len(tokens), rel=1e-4)


def test_several_samples_of_a_row_are_its_own_and_come_best_first():
    tables = random_table(6, rows=5, spread=0.5)
    choices = SearchChoices(beam=1, temperature=1.0, n_best=6)
    numbers = draws(5, 6, 4)
    together = decode(tables, choices, 4, draws=numbers)
    for row in range(5):
        found = answers(together, row)
        assert found == sorted(found, key=lambda answer: (not answer.finished, -answer.score))
        assert len({answer.tokens for answer in found}) > 1
        alone = decode(tables[row : row + 1], choices, 4, draws=numbers[row : row + 1])
        assert answers(alone, 0) == found


def test_a_low_temperature_is_greedy():
    tables = random_table(7, rows=6)
    cold = decode(tables, SearchChoices(beam=1, temperature=1e-4), 8, draws=draws(6, 1, 8))
    greedy = decode(tables, SearchChoices(beam=1), 8)
    for ours, theirs in zip(cold, greedy):
        np.testing.assert_array_equal(ours, theirs)


def test_the_ends_of_the_random_numbers_draw_what_may_be_drawn():
    tables = np.repeat(random_table(8), 2, axis=0)
    tables[..., [4, 5]] = -np.inf
    # One is what a number just below it may be rounded to.
    numbers = np.stack([np.zeros((1, 4), "float32"), np.ones((1, 4), "float32")])
    found = decode(tables, SearchChoices(beam=1, temperature=1.0), 4, draws=numbers)
    assert {int(token) for row in range(2) for token in answers(found, row)[0].tokens} <= {3}
    assert (found.scores > -1e6).all()


def test_a_vocabulary_without_anything_possible_gives_finite_numbers():
    tables = random_table(4, rows=2)
    tables[0] = -np.inf
    found = decode(tables, SearchChoices(beam=1, temperature=1.0, n_best=2), 4, draws=draws(2, 2, 4))
    assert np.isfinite(found.scores).all()
    assert answers(found, 0) == [((), False, -1e9)] * 2
    assert found.scores[1, 0] > -100


def test_random_numbers_and_temperature_go_together():
    for choices, numbers in [(SearchChoices(beam=1, temperature=1.0), None), (SearchChoices(), draws(1, 1, 4))]:
        with pytest.raises(UserError, match="random numbers are needed"):
            search([], 1, choices, start_id=1, end_id=2, pad_id=0, length=4, draws=numbers)
