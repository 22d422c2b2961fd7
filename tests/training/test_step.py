import keras
import numpy as np
import pytest
from keras import ops

from tests.training import tiny
from zoo.training import devices
from zoo.training.checkpoints import capture
from zoo.training.choices import TrainingChoices
from zoo.training.optimizer import build_optimizer


class Line(keras.Model):
    """weight * x, so that the gradient of everything is plain; "bias" is not decayed."""

    def __init__(self) -> None:
        super().__init__(name="line")
        self.weight = self.add_weight((2,), initializer=keras.initializers.Constant(3.0), name="weight")
        self.bias = self.add_weight((), initializer="ones", name="bias")
        self.built = True

    def call(self, x, training: bool = False):
        return ops.sum(self.weight * x, axis=-1) + self.bias


def objective(model, batch, training):
    return {"loss": ops.sum(model(batch["x"])), "count": ops.sum(batch["n"])}


def build_line(**choices: float):
    """The line and its step; the gradient of an update is (sum of x, rows) / count, whatever the weights are."""
    model = Line()
    settings = TrainingChoices(weight_decay=0.1, beta_2=0.9)
    optimizer = build_optimizer(settings, 0.01, model.trainable_variables)
    return model, devices.make_step(model, optimizer, objective, **choices)


def line_batch(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(5, 2)).astype("float32"), "n": rng.integers(0, 4, 5).astype("float32")}


def reference(updates: int, clip_norm: float, average_decay: float) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """AdamW (Loshchilov and Hutter, 2019, algorithm 2) in float64: values, averages, norms; the bias is last."""
    w, mean, square = np.array([3.0, 3.0, 1.0]), np.zeros(3), np.zeros(3)
    average, norms = w.copy(), []
    for t in range(1, updates + 1):
        batch = line_batch(t)
        gradient = np.array([*batch["x"].sum(0), len(batch["x"])], "float64") / max(batch["n"].sum(), 1.0)
        norms.append(float(np.linalg.norm(gradient)))
        if clip_norm:
            gradient *= min(1.0, clip_norm / norms[-1])
        mean, square = 0.9 * mean + 0.1 * gradient, 0.9 * square + 0.1 * gradient**2
        w = w - 0.01 * 0.1 * w * [1, 1, 0]
        w = w - 0.01 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.9**t)) + 1e-8)
        average += (w - average) * (1 - min(average_decay, (1 + t) / (10 + t)))
    return w, average, norms


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_updates_are_those_of_the_paper(clip_norm: float) -> None:
    model, step = build_line(clip_norm=clip_norm, average_decay=0.5)
    norms = [float(step([line_batch(t)])["gradient_norm"]) for t in range(1, 6)]
    step.sync()
    weights, averages, expected_norms = reference(5, clip_norm, 0.5)
    assert norms == pytest.approx(expected_norms, rel=1e-5)
    assert [*model.weight.numpy(), model.bias.numpy()] == pytest.approx(weights, rel=1e-6)
    assert [*step.averages[0].numpy(), step.averages[1].numpy()] == pytest.approx(averages, rel=1e-6)


def test_the_average_of_exponents_begins_young() -> None:
    _, averages, _ = reference(3, 0.0, 0.999)
    model, step = build_line(average_decay=0.999)
    for t in (1, 2, 3):
        step([line_batch(t)])
    step.sync()
    assert [*step.averages[0].numpy(), step.averages[1].numpy()] == pytest.approx(averages, rel=1e-6)
    assert abs(averages[0] - model.weight.numpy()[0]) < abs(averages[0] - 3.0)


def test_accumulated_micro_batches_are_one_big_batch() -> None:
    four, one = tiny.build(clip_norm=0.5), tiny.build(clip_norm=0.5)
    apart = tiny.losses(four[2], 12, group=4)
    together = tiny.losses(one[2], 12, group=4, join=True)
    assert apart == pytest.approx(together, rel=1e-5)
    a, b = capture(*four), capture(*one)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert a["optimizer/adamw/iteration"] == 12


def test_one_step_takes_every_shape_and_number_of_batches() -> None:
    _, optimizer, step = tiny.build(clip_norm=1.0)
    for number, rows, length in ((1, 4, 6), (3, 4, 6), (1, 2, 9), (3, 1, 1)):
        parts = tiny.batches(number, rows, length)
        sums = step(parts)
        assert float(sums["count"]) == sum(part["mask"].sum() for part in parts)
    step.sync()
    assert int(optimizer.iterations.numpy()) == 4


def test_an_update_of_padding_alone_changes_no_weight_to_nan() -> None:
    model, _, step = tiny.build(clip_norm=1.0)
    (batch,) = tiny.batches(1)
    sums = step([{**batch, "mask": np.zeros_like(batch["mask"])}])
    step.sync()
    assert float(sums["loss"]) == float(sums["gradient_norm"]) == 0.0
    assert all(np.isfinite(v.numpy()).all() for v in model.weights)


def test_dropout_differs_from_micro_batch_to_micro_batch_and_not_in_evaluation() -> None:
    model, _, step = tiny.build(dropout=0.5)
    (batch,) = tiny.batches(1)
    still = [float(step.evaluate(batch)["loss"]) for _ in range(2)]
    assert still[0] == still[1]
    twice = float(step([batch, batch])["loss"])
    step.sync()
    assert model.dropout_seed.state.numpy().tolist() == [5, 4]  # two dropouts in each of two passes
    _, _, other = tiny.build(dropout=0.5)
    assert twice != pytest.approx(2 * float(other([batch])["loss"]), rel=1e-4)
