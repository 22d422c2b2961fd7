"""One .keras file on one backend: its logits and gradients, for comparison with those of another."""

from pathlib import Path

import keras
import numpy as np

from tests.arrays import array


def logits_and_gradients(folder: Path) -> dict[str, np.ndarray]:
    """Of model.keras and inputs.npz in the folder: "logits", and each gradient by the path of its weight.

    Plain gradient descent with a rate of 1 takes the gradient off the weights: so Keras needs nothing special here.
    """
    import zoo.models.seq2seq  # noqa: F401  the file names the class

    model = keras.saving.load_model(folder / "model.keras")
    inputs = dict(np.load(folder / "inputs.npz"))
    found = {"logits": array(model(inputs))}
    before = {v.path: array(v) for v in model.trainable_variables}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=keras.backend.backend() != "jax")
    labels = np.roll(inputs["target_ids"], -1, axis=1)
    model.train_on_batch(inputs, labels, sample_weight=inputs["target_mask"].astype("float32"))
    return found | {v.path: before[v.path] - array(v) for v in model.trainable_variables}


def write(folder: str) -> None:
    """Into BACKEND.npz in the folder."""
    np.savez(Path(folder) / f"{keras.backend.backend()}.npz", **logits_and_gradients(Path(folder)))
