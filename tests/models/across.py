"""Every .keras file of a folder on one backend: outputs and gradients, for comparison with those of another."""

from importlib import import_module
from pathlib import Path

import keras
import numpy as np

from tests.arrays import array
from zoo.models.registry import FAMILIES


def outputs_and_gradients(folder: Path) -> dict[str, np.ndarray]:
    """Of FAMILY.keras, with the inputs and the targets in FAMILY.npz: FAMILY/outputs, and each gradient by
    FAMILY/gradients/ and the path of its weight.

    Plain gradient descent with a rate of 1 takes the gradient off the weights: so Keras needs nothing special here.
    """
    found = {}
    for path in sorted(folder.glob("*.keras")):
        import_module(FAMILIES[path.stem].partition(":")[0])  # the file names the class
        model = keras.saving.load_model(path)
        inputs = dict(np.load(path.with_suffix(".npz")))
        targets = inputs.pop("targets")
        found[f"{path.stem}/outputs"] = array(model(inputs))
        before = {v.path: array(v) for v in model.trainable_variables}
        loss = keras.losses.MeanSquaredError(reduction="sum")
        model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=keras.backend.backend() != "jax")
        model.train_on_batch(inputs, targets)
        found |= {f"{path.stem}/gradients/{v.path}": before[v.path] - array(v) for v in model.trainable_variables}
    return found


def write(folder: str) -> None:
    """Into found/BACKEND.npz in the folder."""
    found = Path(folder) / "found"
    found.mkdir(exist_ok=True)
    np.savez(found / f"{keras.backend.backend()}.npz", **outputs_and_gradients(Path(folder)))
