"""What every family must do. A test of a family is a call of a function here; a new family is tested by being listed.

For that its module has a preset "debug", small enough for all this to take seconds, and
`example_inputs(config, rows, seed)`: random inputs of `call`, by name, with rows of different lengths. Its `call`
documents every input as "name dtype [letters]" and, in its first line, the letters of the output.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from tests.arrays import array, assert_near, scatter
from zoo.errors import UserError
from zoo.models.registry import FAMILIES
from zoo.training.checkpoints import AUTOMATIC

VOCABULARY, CLASSES = 40, 5  # for the sizes that a preset leaves to the preprocessor
SMALL = 100_000  # parameters of "debug" at most

Inputs = dict[str, np.ndarray]


class Family:
    """A family at its smallest.

    Args:
        name: in FAMILIES.
        changes: fields of the Config that differ from the preset "debug".
    """

    def __init__(self, name: str, **changes: Any) -> None:
        path, _, kind = FAMILIES[name].partition(":")
        self.module = import_module(path)
        self.kind = getattr(self.module, kind)
        self.presets = self.module.PRESETS
        debug = self.presets["debug"]
        open_sizes = [field.name for field in fields(debug) if getattr(debug, field.name) == 0]
        vocabularies = {name: VOCABULARY for name in open_sizes if name.endswith("vocabulary")}
        self.config = replace(debug, **{**vocabularies, **changes})
        if getattr(self.config, "classes", CLASSES) == 0:
            with suppress(UserError):  # a head without classes refuses them
                self.config = replace(self.config, classes=CLASSES)

    def make(self, seed: int = 1, **choices: Any) -> keras.Model:
        """A new model as it begins."""
        return self.kind(self.config, seed=seed, **choices)

    @cached_property
    def model(self) -> keras.Model:
        """One whose weights are nothing special, shared by the tests that leave it as it is."""
        return scatter(self.make())

    def inputs(self, rows: int = 3, seed: int = 0) -> Inputs:
        return self.module.example_inputs(self.config, rows, seed)


def outputs(model: keras.Model, inputs: Inputs, training: bool = False) -> list[np.ndarray]:
    return [array(each) for each in keras.tree.flatten(model(inputs, training=training))]


def masks(inputs: Inputs) -> dict[str, np.ndarray]:
    """The masks by what the names of the inputs that they speak of begin with: "source_mask" -> "source_"."""
    return {name.removesuffix("mask"): value for name, value in inputs.items() if name.endswith("mask")}


def row_alone(inputs: Inputs, row: int) -> Inputs:
    """One row without its padding."""
    alone = {name: value[row : row + 1] for name, value in inputs.items()}
    for prefix, mask in masks(inputs).items():
        length = mask[row].sum()
        alone |= {name: value[:, :length] for name, value in alone.items() if name.startswith(prefix)}
    return alone


def with_noise_in_padding(inputs: Inputs) -> Inputs:
    noisy = {name: value.copy() for name, value in inputs.items()}
    for prefix, mask in masks(inputs).items():
        for name, value in noisy.items():
            if name.startswith(prefix) and not name.endswith("mask"):
                value[~mask] = value[mask][-1]
    return noisy


def check_presets(family: Family) -> None:
    for name, config in family.presets.items():
        assert type(config)(**json.loads(json.dumps(asdict(config)))) == config, name
    assert family.model.count_params() <= SMALL


def check_config_refuses(family: Family) -> None:
    """A value beyond what its field says of itself is refused by the name of the field."""
    for field in fields(family.config):
        wrong = []
        if field.metadata["choices"]:
            wrong.append("none of them")
        if field.metadata["low"] is not None:
            wrong.append(field.metadata["low"] - 1)
        if field.metadata["high"] is not None:
            wrong.append(field.metadata["high"] + 1)
        for value in wrong:
            with pytest.raises(UserError) as caught:
                replace(family.config, **{field.name: value})
            assert caught.value.where == field.name


def check_documented(family: Family) -> None:
    """Inputs and output have the names, dtypes and shapes that the docstring of `call` gives."""
    document, inputs = family.kind.call.__doc__, family.inputs()
    told = {
        name: (dtype, dims) for name, dtype, dims in re.findall(r"(\w+) (bool|u?int\d+|float32) \[(.+?)\]", document)
    }
    assert told.keys() == inputs.keys()
    sizes: dict[str, int] = {}
    for name, value in inputs.items():
        dtype, letters = told[name][0], told[name][1].split(", ")
        assert value.dtype == dtype, name
        for letter, size in zip(letters, value.shape, strict=True):
            assert sizes.setdefault(letter, size) == size, f"{letter} of {name}"
    (found,) = outputs(family.model, inputs)
    letters = re.search(r"\[(.+?)\]", document.partition("\n")[0])[1].split(", ")
    for letter, size in zip(letters, found.shape, strict=True):
        assert sizes.get(letter, size) == size, f"{letter} of the output"


def check_symbolic(family: Family) -> None:
    """With shapes left open the output's spec is that of the real output."""
    inputs = family.inputs()
    spec = {
        name: keras.Input((None,) if value.ndim == 2 else value.shape[1:], dtype=str(value.dtype))
        for name, value in inputs.items()
    }
    symbolic, real = (keras.tree.flatten(family.model(each)) for each in (spec, inputs))
    for told, found in zip(symbolic, real, strict=True):
        assert told.dtype == keras.backend.standardize_dtype(found.dtype)
        for size, expected in zip(told.shape, found.shape, strict=True):
            assert size in (None, expected)


def check_rows_are_independent(family: Family) -> None:
    """A row answers alike alone and among others, padded or not, whatever stands in the padding."""
    inputs = family.inputs()
    row = min(range(3), key=lambda row: sum(mask[row].sum() for mask in masks(inputs).values()))  # the shortest
    together = outputs(family.model, with_noise_in_padding(inputs))
    for alone, all_rows in zip(outputs(family.model, row_alone(inputs, row)), together, strict=True):
        assert_near(all_rows[row][tuple(slice(size) for size in alone.shape[1:])], alone[0])


def check_learns(family: Family) -> None:
    """`compile` and `fit` work, and the loss falls."""
    model, inputs = family.make(), family.inputs()
    targets = np.random.default_rng(1).normal(size=outputs(model, inputs)[0].shape)
    # Tracing this for TensorFlow takes longer than the five updates.
    eager = keras.backend.backend() == "tensorflow"
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=eager, jit_compile=keras.backend.backend() == "jax")
    losses = model.fit(inputs, targets, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def check_saves(family: Family, folder: Path) -> None:
    """A .keras file is whole: another model with the same outputs comes out of it."""
    model, path = family.model, folder / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert [v.path for v in loaded.variables] == [v.path for v in model.variables]
    for found, expected in zip(*(outputs(each, family.inputs()) for each in (loaded, model)), strict=True):
        assert_near(found, expected, 1e-6)
    config = model.get_config()
    for _ in range(2):  # the dict is left as it is
        assert family.kind.from_config(config).get_config() == model.get_config()


def check_variables(family: Family) -> None:
    """Each variable has a name of its own, the same in every model, whichever was made before."""
    paths = [v.path for v in family.model.variables]
    assert len(set(paths)) == len(paths)
    assert [path for path in paths if path.startswith("dropout_seed/")]
    assert not [path for path in paths if AUTOMATIC.search(path)]
    assert [v.path for v in family.make().variables] == paths


def check_seeds(family: Family) -> None:
    """The seed decides initial weights and the sequence of dropout, and nothing else does."""
    inputs = family.inputs()

    def draw(seed: int) -> list[np.ndarray]:
        model = family.make(seed)
        assert array(model.dropout_seed.state)[0] == seed
        return [array(w) for w in model.weights] + outputs(model, inputs, True) + outputs(model, inputs, True)

    first, again, other = draw(1), draw(1), draw(2)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert all((a != b).any() for a, b in zip(first, other, strict=True) if a.ndim > 1)
    assert (first[-1] != first[-2]).any()


def check_precision(family: Family, dtype: str) -> None:
    """Computed in half precision, weights stay float32 and outputs near those of float32."""
    model = family.make(dtype=f"mixed_{dtype}")
    model.set_weights([array(w) for w in family.model.weights])
    assert {w.dtype for w in model.trainable_variables} == {"float32"}
    inputs = family.inputs()
    for each in keras.tree.flatten(model(inputs)):
        assert keras.backend.standardize_dtype(each.dtype) == dtype
    for found, expected in zip(*(outputs(each, inputs) for each in (model, family.model)), strict=True):
        assert_near(found, expected, 0.05 if dtype == "bfloat16" else 0.01)


def check_steps(family: Family) -> None:
    """Token by token over the cache, two hypotheses to a sentence, the logits are those of `call`.

    Half-way the hypotheses of each sentence change places, cache and all, as a search would have it.
    """
    model, inputs = family.model, family.inputs()
    tokens = np.stack([inputs["target_ids"], np.roll(inputs["target_ids"], 1, axis=1)], axis=1)  # [B, N, T]
    rows, hypotheses, length = tokens.shape
    unpadded = {**inputs, "target_mask": np.ones_like(inputs["target_mask"])}
    expected = np.stack([array(model({**unpadded, "target_ids": tokens[:, n]})) for n in range(hypotheses)], axis=1)

    memory = model.encode({name: ops.convert_to_tensor(value) for name, value in inputs.items()})
    assert {len(leaf) for leaf in keras.tree.flatten(memory)} == {rows}
    cache = model.start(memory, rows * hypotheses, length)
    for t in range(length):
        if t == 2:
            order = np.arange(rows * hypotheses).reshape(rows, hypotheses)[:, ::-1].flatten()
            cache = keras.tree.map_structure(partial(ops.take, indices=order, axis=0), cache)
            tokens, expected = tokens[:, ::-1], expected[:, ::-1]
        column = ops.convert_to_tensor(tokens[:, :, t].reshape(-1, 1))
        logits, cache = model.step(column, ops.full((rows * hypotheses,), t, "int32"), memory, cache)
        assert {len(leaf) for leaf in keras.tree.flatten(cache)} == {rows * hypotheses}
        assert_near(logits, expected[:, :, t].reshape(rows * hypotheses, 1, -1))
