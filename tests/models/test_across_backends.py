from pathlib import Path

import keras
import numpy as np
import pytest

from tests.arrays import assert_near
from tests.conformance import Family
from tests.conftest import run_python
from tests.models.across import logits_and_gradients

BACKENDS = {"tensorflow", "jax", "torch"}
OWN = keras.backend.backend()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without dropout, so that training is the same everywhere, and inputs for it."""
    folder = tmp_path_factory.mktemp("across")
    family = Family("seq2seq", encoder_layers=1, decoder_layers=1, dropout=0.0)
    family.model.save(folder / "model.keras")
    np.savez(folder / "inputs.npz", **family.inputs())
    return folder


@pytest.fixture(scope="module")
def own(folder: Path) -> dict[str, np.ndarray]:
    return logits_and_gradients(folder)


@pytest.mark.parametrize(
    "other",
    [pytest.param(name, marks=pytest.mark.slow if name == "torch" else ()) for name in sorted(BACKENDS - {OWN})],
)
def test_a_keras_file_means_the_same_everywhere(folder: Path, own: dict[str, np.ndarray], other: str):
    """Logits and gradients; on JAX and PyTorch in a process where TensorFlow is not to be had."""
    pytest.importorskip(other)
    blocked = () if other == "tensorflow" else ("tensorflow",)
    code = "import sys; from tests.models.across import write; write(sys.argv[1])"
    run_python(code, str(folder), backend=other, blocked=blocked, timeout=600)
    found = np.load(folder / f"{other}.npz")
    assert set(found) == set(own)
    for name, expected in own.items():
        if name.endswith("key/bias"):  # adds the same to all scores of a query: its gradient is zero but for rounding
            assert np.abs(found[name]).max() < 1e-7 > np.abs(expected).max()
        else:
            assert_near(found[name], expected, 1e-4)
