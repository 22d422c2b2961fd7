"""The golden Seq2Seq, which writes its input backwards: weights, inputs and what came out must not change.

A change of outputs breaks the models that people have trained. Where it is meant, write the file anew, look at what
the command says has moved, and tell of it in CHANGELOG.md:

    KERAS_BACKEND=tensorflow python -m tests.golden.seq2seq
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
from keras import ops
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tests.arrays import array
from zoo.models.seq2seq import PRESETS, Config, Seq2Seq

FILE = Path(__file__).with_name("seq2seq.safetensors")
LENGTH = 8  # of the greedy answers: six symbols, the end and one token more

Arrays = dict[str, np.ndarray]


def read(file: Path = FILE) -> tuple[Config, Arrays]:
    """The config and every tensor: weights/PATH, inputs/NAME, logits, greedy."""
    with safe_open(file, "numpy") as tensors:
        config = json.loads(tensors.metadata()["config"])
    return Config(**config), load_file(file)


def part(arrays: Arrays, name: str) -> Arrays:
    return {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}


def rebuild(config: Config, weights: Arrays) -> Seq2Seq:
    """A model with exactly these weights."""
    model = Seq2Seq(config)
    variables = {v.path: v for v in model.trainable_variables}
    assert variables.keys() == weights.keys()
    for path, value in weights.items():
        assert variables[path].shape == value.shape, path
        variables[path].assign(value.astype("float32"))
    return model


def answer(model: Seq2Seq, inputs: Arrays) -> tuple[np.ndarray, np.ndarray, float]:
    """Logits of `call`; greedy ids over the cache; and by how much the closest choice among them was won."""
    rows, closest = len(inputs["source_ids"]), np.inf
    memory = model.encode({name: ops.convert_to_tensor(value) for name, value in inputs.items()})
    cache, tokens = model.start(memory, rows, LENGTH), np.full((rows, 1), model.config.start_id, "int32")
    greedy = []
    for t in range(LENGTH):
        logits, cache = model.step(ops.convert_to_tensor(tokens), ops.full((rows,), t, "int32"), memory, cache)
        ranked = np.sort(array(logits)[:, 0], axis=-1)
        closest = min(closest, (ranked[:, -1] - ranked[:, -2]).min())
        tokens = array(logits).argmax(-1).astype("int32")
        greedy.append(tokens)
    return array(model(inputs)), np.concatenate(greedy, axis=1), float(closest)


def sentences(config: Config, rows: int, seed: int) -> tuple[Arrays, np.ndarray]:
    """Inputs of 3 to 6 random symbols, and labels: the same backwards, then the end."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 7, rows)[:, None]
    symbols = rng.integers(config.end_id + 1, config.source_vocabulary, (rows, 6))
    places = np.arange(7)
    source = np.where(places[:6] < lengths, symbols, config.pad_id)
    turned = np.take_along_axis(symbols, np.maximum(lengths - 1 - places, 0), axis=1)
    labels = np.where(places < lengths, turned, np.where(places == lengths, config.end_id, config.pad_id))
    target = np.concatenate([np.full((rows, 1), config.start_id), labels[:, :-1]], axis=1)
    masks = {"source_mask": places[:6] < lengths, "target_mask": places <= lengths}
    return {"source_ids": source.astype("int32"), "target_ids": target.astype("int32"), **masks}, labels


def trained(config: Config) -> Seq2Seq:
    model = Seq2Seq(config, seed=1)
    inputs, labels = sentences(config, 20_000, seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.003, 4_000)), loss, jit_compile=False)
    weights = inputs["target_mask"].astype("float32")
    model.fit(inputs, labels, sample_weight=weights, batch_size=100, epochs=20, verbose=2)
    return model


def write() -> None:
    """Makes the file: weights in float16, for its size; they are exact in float32 too."""
    config = replace(PRESETS["debug"], source_vocabulary=24, target_vocabulary=24, dropout=0.0)
    weights = {v.path: array(v).astype("float16") for v in trained(config).trainable_variables}
    inputs, labels = sentences(config, 4, seed=2)
    logits, greedy, closest = answer(rebuild(config, weights), inputs)
    print(f"labels\n{labels}\ngreedy answers\n{greedy}\nthe closest choice was won by {closest:.2f}")
    if FILE.exists():
        old = read()[1]
        print(
            f"logits moved by {np.abs(old['logits'] - logits).max()}, {(old['greedy'] != greedy).sum()} tokens differ"
        )
    arrays = {f"weights/{path}": value for path, value in weights.items()}
    arrays |= {f"inputs/{name}": value for name, value in inputs.items()}
    save_file({**arrays, "logits": logits, "greedy": greedy}, FILE, {"config": json.dumps(asdict(config))})


if __name__ == "__main__":
    write()
