import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from zoo.training.losses import (
    binary_cross_entropy,
    in_batch_negatives,
    smoothed_cross_entropy,
    soft_cross_entropy,
    squared_error,
    symmetric_divergence,
)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype("float64")
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def brute_force_cross_entropy(logits: np.ndarray, labels: np.ndarray, mask: np.ndarray, smoothing: float) -> float:
    total = 0.0
    for place in np.argwhere(mask):
        log_probabilities = log_softmax(logits[tuple(place)])
        for token, log_probability in enumerate(log_probabilities):
            target = smoothing / len(log_probabilities) + (1 - smoothing) * (token == labels[tuple(place)])
            total -= target * log_probability
    return total


def brute_force_divergence(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    total = 0.0
    for place in np.argwhere(mask):
        log_a, log_b = log_softmax(a[tuple(place)]), log_softmax(b[tuple(place)])
        total += (np.exp(log_a) * (log_a - log_b)).sum() / 2 + (np.exp(log_b) * (log_b - log_a)).sum() / 2
    return total


def case(seed: int, rows: int, length: int, classes: int, scale: float = 3.0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (2, rows, length, classes)).astype("float32")
    labels = rng.integers(0, classes, (rows, length)).astype("int32")
    return logits[0], logits[1], labels, rng.random((rows, length)) < 0.6


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 3),
    length=st.integers(1, 4),
    classes=st.integers(2, 7),
    smoothing=st.sampled_from([0.0, 0.1, 0.7]),
)
def test_losses_are_those_of_the_definition(seed: int, rows: int, length: int, classes: int, smoothing: float) -> None:
    a, b, labels, mask = case(seed, rows, length, classes)
    expected = brute_force_cross_entropy(a, labels, mask, smoothing)
    assert float(smoothed_cross_entropy(a, labels, mask, smoothing)) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    expected = brute_force_divergence(a, b, mask)
    assert float(symmetric_divergence(a, b, mask)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_nothing_real_is_a_loss_of_zero(dtype: str, smoothing: float) -> None:
    a, b, labels, _ = case(0, 2, 3, 5)
    a, b = ops.cast(a, dtype), ops.cast(b, dtype)
    mask = np.zeros((2, 3), bool)
    assert float(smoothed_cross_entropy(a, labels, mask, smoothing)) == 0.0
    assert float(symmetric_divergence(a, b, mask)) == 0.0


def test_padding_counts_nothing_whatever_stands_there() -> None:
    a, _, labels, mask = case(1, 3, 5, 6)
    spoiled = np.where(mask[..., None], a, 1e30).astype("float32")
    other = np.where(mask, labels, 0)
    for smoothing in (0.0, 0.1):
        same = smoothed_cross_entropy(spoiled, other, mask, smoothing)
        assert float(same) == float(smoothed_cross_entropy(a, labels, mask, smoothing))
    assert float(symmetric_divergence(spoiled, spoiled, mask)) == 0.0


def test_logits_in_bfloat16_cost_their_rounding_alone() -> None:
    a, b, labels, mask = case(2, 4, 8, 50)
    rounded = [ops.cast(x, "bfloat16") for x in (a, b)]
    exact = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in rounded]
    expected = brute_force_cross_entropy(exact[0], labels, mask, 0.1)
    assert float(smoothed_cross_entropy(rounded[0], labels, mask, 0.1)) == pytest.approx(expected, rel=1e-5)
    assert float(symmetric_divergence(*rounded, mask)) == pytest.approx(brute_force_divergence(*exact, mask), rel=1e-4)


def test_rows_with_a_distribution_each() -> None:
    logits = np.array([[1.0, 3.0, 0.0], [2.0, 0.0, 0.0], [9.0, 9.0, 9.0]], "float32")
    targets = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], "float32")
    real, weights = np.array([True, True, False]), np.array([2.0, 0.5, 4.0], "float32")
    rows = [-(target * log_softmax(row)).sum() for target, row in zip(targets, logits, strict=True)]
    assert float(soft_cross_entropy(logits, targets, real)) == pytest.approx(rows[0] + rows[1], rel=1e-5)
    found = float(soft_cross_entropy(logits, targets, real, weights=weights))
    assert found == pytest.approx(2 * rows[0] + rows[1] / 2, rel=1e-5)
    hard = np.eye(3, dtype="float32")[[2, 0, 1]]
    expected = float(smoothed_cross_entropy(logits, np.array([2, 0, 1]), real, 0.3))
    assert float(soft_cross_entropy(logits, hard, real, 0.3)) == pytest.approx(expected, rel=1e-5)


def test_yes_or_no_decisions_and_squares() -> None:
    logits = np.array([[2.0, -1.0], [500.0, -500.0], [7.0, 7.0]], "float32")
    targets, real = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], "float32"), np.array([True, True, False])
    expected = np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0)) + 500.0 + 500.0
    assert float(binary_cross_entropy(logits, targets, real)) == pytest.approx(expected, rel=1e-6)
    expected += 2 * np.log1p(np.exp(-2.0)) + 4 * 500.0
    assert float(binary_cross_entropy(logits, targets, real, np.array([3.0, 5.0]))) == pytest.approx(expected, rel=1e-6)
    assert float(squared_error(logits[:, 0], targets[:, 0], real)) == pytest.approx(1.0 + 500.0**2)


def test_each_pair_against_the_others_of_its_batch() -> None:
    a = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]], "float32")
    b = np.array([[2.0, 0.0], [1.0, 1.0], [9.0, 0.0]], "float32")
    real = np.array([True, True, False])
    cosines = np.array([[1.0, 0.5**0.5], [0.0, 0.5**0.5]]) / 0.5
    rows = [-log_softmax(cosines[row])[row] for row in (0, 1)]
    columns = [-log_softmax(cosines[:, column])[column] for column in (0, 1)]
    found = float(in_batch_negatives(a, b, real, temperature=0.5))
    assert found == pytest.approx((sum(rows) + sum(columns)) / 2, rel=1e-5)
    assert float(in_batch_negatives(a, b, np.zeros(3, bool), temperature=0.5)) == 0.0
