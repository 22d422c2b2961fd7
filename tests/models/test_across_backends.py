from pathlib import Path

import keras
import numpy as np
import pytest

from tests.arrays import array, assert_near, normal
from tests.conformance import Family
from tests.conftest import run_python
from tests.models.across import outputs_and_gradients

BACKENDS = {"tensorflow", "jax", "torch"}
OWN = keras.backend.backend()
# Without dropout, so that training is the same everywhere.
CHANGES = {
    "seq2seq": {"encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0},
    "bert": {"head": "masked_words", "layers": 1, "dropout": 0.0},
    "vit": {
        "head": "classify",
        "layers": 1,
        "dropout": 0.0,
        "pooling": "attention",
        "layer_scale": 0.5,
        "stem": "conv",
        "stem_layers": 2,
        "registers": 1,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each family, with inputs and targets for it."""
    folder = tmp_path_factory.mktemp("across")
    for name, changes in CHANGES.items():
        family = Family(name, **changes)
        family.model.save(folder / f"{name}.keras")
        inputs = family.inputs()
        np.savez(folder / f"{name}.npz", **inputs, targets=normal(*array(family.model(inputs)).shape))
    return folder


@pytest.fixture(scope="module")
def own(folder: Path) -> dict[str, np.ndarray]:
    return outputs_and_gradients(folder)


@pytest.mark.parametrize(
    "other",
    [pytest.param(name, marks=pytest.mark.slow if name == "torch" else ()) for name in sorted(BACKENDS - {OWN})],
)
def test_a_keras_file_means_the_same_everywhere(folder: Path, own: dict[str, np.ndarray], other: str):
    """Outputs and gradients; on JAX and PyTorch in a process where TensorFlow is not to be had."""
    pytest.importorskip(other)
    blocked = () if other == "tensorflow" else ("tensorflow",)
    code = "import sys; from tests.models.across import write; write(sys.argv[1])"
    run_python(code, str(folder), backend=other, blocked=blocked, timeout=600)
    found = np.load(folder / "found" / f"{other}.npz")
    assert set(found) == set(own)
    greatest = max(np.abs(value).max() for name, value in own.items() if "/gradients/" in name)
    for name, expected in own.items():
        if name.endswith("key/bias"):  # adds the same to all scores of a query: its gradient is zero but for rounding
            assert max(np.abs(found[name]).max(), np.abs(expected).max()) < 1e-6 * greatest
        else:
            assert_near(found[name], expected, 1e-4)
