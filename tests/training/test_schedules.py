import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import UserError
from zoo.training.choices import TrainingChoices
from zoo.training.schedules import build, peak, rates

NAMES = ("inverse_square_root", "linear", "cosine", "constant", "warmup_stable_decay")


def choices(schedule: str, warmup: int, steps: int = 10, **more: float) -> TrainingChoices:
    return TrainingChoices(schedule=schedule, warmup=warmup, steps=steps, peak_rate=0.5, **more)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # Updates 1 to 10 with the peak 0.5 at update 4, by hand.
        ("inverse_square_root", [*(0.125, 0.25, 0.375, 0.5), *(0.5 * (4 / n) ** 0.5 for n in range(5, 11))]),
        ("linear", [0.125, 0.25, 0.375, 0.5, *(0.5 * left / 7 for left in (6, 5, 4, 3, 2, 1))]),
        ("cosine", [0.125, 0.25, 0.375, 0.5, *(0.25 * (1 + np.cos(np.pi * n / 7)) for n in range(1, 7))]),
        ("constant", [0.125, 0.25, 0.375, *[0.5] * 7]),
        ("warmup_stable_decay", [0.125, 0.25, 0.375, *[0.5] * 5, 0.5 * 2 / 3, 0.5 / 3]),
    ],
)
def test_rates_by_hand(schedule: str, expected: list[float]) -> None:
    found = rates(build(choices(schedule, warmup=4)), 10)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array(expected, "float32"), rtol=2e-7, atol=1e-8)


def test_the_first_paper_s_rate() -> None:
    # Vaswani et al., 2017, equation 3, with their width of 512 and 4,000 steps of warm-up.
    width, warmup = 512, 4000
    steps = np.arange(1, 20_001)
    theirs = width**-0.5 * np.minimum(steps**-0.5, steps * warmup**-1.5)
    ours = build(TrainingChoices(steps=20_000, warmup=warmup, peak_rate=float((width * warmup) ** -0.5)))
    np.testing.assert_allclose(rates(ours, 20_000), theirs, rtol=1e-6)
    assert peak(ours, 20_000) == (pytest.approx(6.98771e-4, rel=1e-5), 4000)


@given(
    schedule=st.sampled_from(NAMES),
    steps=st.integers(2, 300),
    share=st.floats(0, 0.8),
    peak_rate=st.floats(2**-20, 1.0, width=32),
)
def test_every_schedule_rises_to_its_peak_and_never_again(
    schedule: str, steps: int, share: float, peak_rate: float
) -> None:
    warmup = int(share * (steps - 1))
    schedule = build(TrainingChoices(schedule=schedule, warmup=warmup, steps=steps, peak_rate=peak_rate))
    drawn = rates(schedule, steps)
    assert peak(schedule, steps) == (peak_rate, max(warmup, 1))
    assert (drawn > 0).all()
    assert (np.diff(drawn[: max(warmup, 1)]) > 0).all()
    assert (np.diff(drawn[max(warmup, 1) - 1 :]) <= 0).all()


@pytest.mark.parametrize("schedule", NAMES)
def test_a_schedule_survives_the_config_of_its_optimizer(schedule: str) -> None:
    optimizer = keras.optimizers.AdamW(build(choices(schedule, warmup=3)))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again._learning_rate) is type(optimizer._learning_rate)
    np.testing.assert_array_equal(rates(again._learning_rate, 20), rates(optimizer._learning_rate, 20))


@pytest.mark.parametrize("schedule", NAMES)
def test_past_the_end_no_rate_is_negative(schedule: str) -> None:
    assert (rates(build(choices(schedule, warmup=3)), 30) >= 0).all()


def test_late_updates_are_counted_exactly() -> None:
    schedule = build(TrainingChoices(schedule="linear", warmup=1, steps=2**23, peak_rate=1.0))
    assert [float(schedule(2**23 - left)) for left in (3, 2, 1)] == [3 / 2**23, 2 / 2**23, 1 / 2**23]


def test_a_decay_that_begins_in_the_warm_up_is_refused() -> None:
    with pytest.raises(UserError, match="warm-up of 6 and a decay of 5 updates do not fit into 10"):
        build(choices("warmup_stable_decay", warmup=6, decay_share=0.5))


def test_a_warm_up_that_is_no_shorter_than_the_training_is_refused() -> None:
    with pytest.raises(UserError, match="the warm-up of 10 updates is not shorter than the training of 10") as caught:
        choices("linear", warmup=10)
    assert "less than 10, such as 1" in caught.value.remedy
