from pathlib import Path

import keras
import numpy as np
import pytest

from tests.arrays import array, assert_near, scatter
from tests.conformance import Family
from zoo.layers.adapters import adapt, merge

BLOCKS = [f"bert/encoder/block_{index}/attention" for index in range(2)]
ADAPTERS = [
    f"{block}/{name}/lora_kernel_{letter}" for block in BLOCKS for name in ("query", "value") for letter in "ab"
]


@pytest.fixture
def family() -> Family:
    return Family("bert", head="classify", dropout=0.0)


def adapted(family: Family, rank: int = 3, **choices) -> keras.Model:
    """The family's model with adapters: the weights below them are the same."""
    model = family.make()
    model.set_weights([array(w) for w in family.model.weights])
    adapt(model, rank, **choices)
    return model


def test_adapters_pooler_and_head_learn_and_nothing_else(family: Family):
    model = adapted(family)
    learning = {v.path: tuple(v.shape) for v in model.trainable_variables}
    above = [v.path for v in family.model.weights if "/head/" in v.path or "/pooler/" in v.path]
    assert sorted(learning) == sorted(ADAPTERS + above)
    assert [learning[f"{BLOCKS[0]}/query/lora_kernel_{letter}"] for letter in "ab"] == [(32, 3), (3, 32)]
    before = {v.path: array(v) for v in model.weights}
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    for _ in range(2):  # in the first update A stays, since B is zero
        model.train_on_batch(family.inputs(), np.ones((3, 5)))
    assert {v.path for v in model.weights if (array(v) != before[v.path]).any()} == set(learning)


def test_paths_are_unique_and_the_same_in_every_model(family: Family):
    first, second = adapted(family), adapted(family)
    paths = [v.path for v in first.variables]
    assert len(set(paths)) == len(paths)
    assert [v.path for v in second.variables] == paths
    for ours, theirs in zip(first.weights, second.weights, strict=True):
        assert (array(ours) == array(theirs)).all(), ours.path


def test_new_adapters_change_nothing(family: Family):
    assert_near(adapted(family)(family.inputs()), family.model(family.inputs()), 1e-6)


def test_merged_weights_in_a_plain_model_answer_as_the_adapted_one(family: Family, tmp_path: Path):
    model = scatter(adapted(family, targets=("query", "output", "outer")))
    plain, inputs = family.make(), family.inputs()
    weights = merge({f"model/{v.path}": array(v) for v in model.weights})
    assert weights.keys() == {f"model/{v.path}" for v in plain.weights}
    for variable in plain.weights:
        variable.assign(weights[f"model/{variable.path}"])
    assert np.abs(array(model(inputs)) - array(family.model(inputs))).max() > 1e-3
    assert_near(plain(inputs), model(inputs))
    model.save(tmp_path / "model.keras")  # Keras merges too
    assert_near(keras.saving.load_model(tmp_path / "model.keras")(inputs), model(inputs))


def test_merging_is_kernel_plus_a_times_b():
    arrays = {"x/kernel": np.eye(2, dtype="float32"), "x/bias": np.ones(2), "y/kernel": np.ones((1, 1))}
    adapters = {"x/lora_kernel_a": np.array([[1.0], [2.0]]), "x/lora_kernel_b": np.array([[3.0, 4.0]])}
    found = merge({**adapters, **arrays})
    assert found.keys() == arrays.keys()
    assert found["x/kernel"].tolist() == [[4, 4], [6, 9]]
    assert found["x/kernel"].dtype == np.float32
    assert merge(arrays) == arrays


@pytest.mark.parametrize(
    "choices, problem",
    [
        ({"targets": ("query", "table")}, "not on table"),
        ({"targets": ()}, "not on none"),
        ({"rank": 0}, "at least 1, not 0"),
    ],
)
def test_adapters_that_cannot_be_are_refused(family: Family, choices: dict, problem: str):
    with pytest.raises(ValueError, match=problem):
        adapt(family.make(), **{"rank": 2, **choices})
