"""The weights of a home, back in a model: it computes the same, and training goes on from it."""

from dataclasses import replace

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.arrays import scatter
from zoo.export.seq2seq_weights import layout, undo_layout
from zoo.models.seq2seq import PRESETS, Config, Seq2Seq, example_inputs
from zoo.train import starting_point
from zoo.training.checkpoints import restore_weights


def logits(model: Seq2Seq, config: Config) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(example_inputs(config, rows=3, seed=5)))


@pytest.mark.parametrize("tied", ["all", "target", "none"])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_the_layout_of_the_graph_can_be_undone(tied, norm, positions):
    sizes = {"source_vocabulary": 20, "target_vocabulary": 20}
    config = replace(PRESETS["debug"], **sizes, tied=tied, norm=norm, positions=positions)
    model = scatter(Seq2Seq(config, seed=3), size=0.3)
    weights = {v.path: np.asarray(v) for v in model.weights if "seed" not in v.path}
    undone = undo_layout(layout(weights, config), config)
    assert undone.keys() == {path.partition("/")[2] for path in weights}
    again = Seq2Seq(config, seed=4)
    restore_weights(again, {f"model/{again.name}/{path}": value for path, value in undone.items()})
    np.testing.assert_allclose(logits(again, config), logits(model, config), rtol=1e-4, atol=1e-4)
    if norm == "post":  # nothing is folded: not only the same function, the same numbers
        for path, value in weights.items():
            np.testing.assert_allclose(undone[path.partition("/")[2]], value, rtol=1e-6)


def test_a_home_is_a_starting_point(run, home):
    start, model = starting_point(str(home)), run.task.build_model(9)
    restore_weights(model, start.weights)
    expected = logits(run.model(), model.config)
    np.testing.assert_allclose(logits(model, model.config), expected, rtol=1e-4, atol=1e-4)
    assert start.preprocessors["source"].fingerprint == run.task.preprocessors["source"].fingerprint
