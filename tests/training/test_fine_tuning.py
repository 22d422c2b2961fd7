"""Freezing, layer-wise rates and gradual unfreezing: the exact rate of each variable, the bytes that a freeze saves."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.conformance import Family
from zoo.errors import UserError
from zoo.training import devices
from zoo.training.fine_tuning import FineTuning, freeze
from zoo.training.optimizer import build_optimizer

NAMES = ("token_embedding", "block_0", "block_1", "block_2", "pooler", "head")


class Part(keras.layers.Layer):
    def build(self, shape=None):
        self.kernel = self.add_weight((3,), initializer="ones", name="kernel")
        self.bias = self.add_weight((3,), initializer="ones", name="bias")
        self.built = True


class Layers(keras.Model):
    """A scale and a shift for each layer of an encoder of three blocks; all gradients are those of a sum."""

    def __init__(self, names=NAMES) -> None:
        super().__init__(name="bert")
        self.parts = [Part(name=name) for name in names]
        self.build()

    def build(self, shape=None):
        for part in self.parts:
            part.build()
        self.built = True

    def call(self, x, training=False):
        return ops.sum(ops.stack([part.kernel * x + part.bias for part in self.parts]))


def objective(model, batch, training):
    return {"loss": model(batch["x"]), "count": ops.sum(batch["n"])}


def build(schedule=0.1, **choices):
    settings = FineTuning(**choices)
    model = Layers()
    freeze(model.weights, settings.freeze)
    optimizer = build_optimizer(settings, schedule, model.trainable_variables)
    return model, optimizer, devices.make_step(model, optimizer, objective)


BATCH = {"x": np.array([1.0, 2.0, -1.0], "float32"), "n": np.ones(1, "float32")}


def part_of(variable) -> str:
    return variable.path.removeprefix("bert/").rpartition("/")[0]


def test_rates_fall_by_a_factor_a_layer():
    model, optimizer, _ = build(layer_decay=0.5)
    rates = dict(zip(map(part_of, model.trainable_variables), optimizer.rates(model.trainable_variables), strict=True))
    expected = {"head": 0.1, "pooler": 0.1, "block_2": 0.05, "block_1": 0.025, "block_0": 0.0125}
    assert rates == pytest.approx({**expected, "token_embedding": 0.00625})


def test_layers_thaw_one_after_the_other():
    model, _, step = build(unfreeze_every=2, weight_decay=0.0)
    seen = []
    for _ in range(9):
        step([BATCH])
        step.sync()
        seen.append(
            [
                name
                for name, part in zip(NAMES, model.parts, strict=True)
                if (ops.convert_to_numpy(part.bias) != 1.0).all()
            ]
        )
    assert [len(each) for each in seen] == [2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert seen[2] == ["block_2", "pooler", "head"]


def test_a_variable_moves_by_its_own_rate_and_decays_by_it():
    """The first update of Adam is the rate in the direction of the gradient's sign, after the decay."""
    model, _, step = build(layer_decay=0.5, weight_decay=0.2, clip_norm=0.0)
    step([BATCH])
    step.sync()
    for variable in model.trainable_variables:
        rate = {"head": 0.1, "pooler": 0.1}.get(part_of(variable)) or 0.1 * 0.5 ** (
            3 - NAMES.index(part_of(variable)) + 1
        )
        kernel = variable.path.endswith("kernel")
        decayed = 1.0 - rate * 0.2 * kernel
        sign = np.sign(BATCH["x"]) if kernel else 1.0
        assert ops.convert_to_numpy(variable) == pytest.approx(decayed - rate * sign * np.ones(3), rel=1e-5), (
            variable.path
        )


def test_paced_with_all_alike_is_plain_adamw():
    """A pace that matters to nobody: unfreezing after 0 updates beside a layer decay of nearly 1."""
    plain, paced = build(weight_decay=0.3), build(weight_decay=0.3, layer_decay=1.0 - 1e-12)
    assert type(plain[1]) is not type(paced[1])
    for _, _, step in (plain, paced):
        for _ in range(3):
            step([BATCH])
        step.sync()
    for a, b in zip(plain[0].weights, paced[0].weights, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), rtol=1e-6)


@pytest.mark.parametrize(
    ("which", "learning"),
    [("none", NAMES), ("embeddings", NAMES[1:]), (2, NAMES[3:]), (3, NAMES[4:]), ("encoder", NAMES[4:])],
)
def test_what_is_frozen_stays_and_has_no_slots(which, learning):
    model, optimizer, step = build(freeze=which)
    assert {part_of(v) for v in model.trainable_variables} == set(learning)
    step([BATCH])
    step.sync()
    moved = {part_of(v) for v in model.weights if (ops.convert_to_numpy(v) != 1.0).any()}
    assert moved == set(learning)
    slots = sum(v.value.nbytes if hasattr(v.value, "nbytes") else np.asarray(v).nbytes for v in optimizer.variables)
    assert (
        slots <= len(learning) * 2 * 2 * 3 * 4 + 16
    )  # layers, kernel and bias, mean and variance, 3 float32; counters


def test_a_freeze_that_cannot_be():
    with pytest.raises(UserError, match="4 blocks are to be frozen, and the model has 3"):
        freeze(Layers().weights, 4)
    with pytest.raises(UserError, match='cannot freeze "head"'):
        FineTuning(freeze="head")


HEADLESS = NAMES[:4]  # the mean of the last block's vectors is the answer


@pytest.mark.parametrize(("which", "learning"), [("embeddings", HEADLESS[1:]), (1, HEADLESS[2:]), (2, HEADLESS[3:])])
def test_blocks_are_counted_where_nothing_stands_above_them(which, learning):
    model = Layers(HEADLESS)
    freeze(model.weights, which)
    assert {part_of(v) for v in model.trainable_variables} == set(learning)


@pytest.mark.parametrize("which", ["encoder", 3])
def test_something_has_to_be_left_to_learn(which):
    with pytest.raises(UserError, match="all blocks are to be frozen, and nothing that learns") as caught:
        freeze(Layers(HEADLESS).weights, which)
    assert "Freeze 2 blocks or fewer" in caught.value.remedy


def test_without_a_head_the_last_block_has_the_full_rate_from_the_first_update():
    paths = [variable.path for variable in Layers(HEADLESS).weights[::2]]
    paces = FineTuning(layer_decay=0.5, unfreeze_every=10).paces(paths)
    assert [tuple(pace) for pace in paces] == [(0.125, 30), (0.25, 20), (0.5, 10), (1.0, 0)]


@pytest.mark.parametrize(("which", "learns"), [("embeddings", True), (1, True), (2, False), ("encoder", False)])
def test_the_norm_that_closes_a_pre_norm_encoder_goes_with_the_last_block(which, learns):
    weights = Family("bert", head="classify", norm="pre").model.weights
    freeze(weights, which)
    (gamma,) = (variable for variable in weights if variable.path == "bert/encoder/norm/gamma")
    assert gamma.trainable == learns
    paths = [variable.path for variable in weights]
    paces = dict(zip(paths, FineTuning(layer_decay=0.5, unfreeze_every=10).paces(paths), strict=True))
    assert paces["bert/encoder/norm/gamma"] == paces["bert/encoder/block_1/attention/query/kernel"] == (0.5, 10)
