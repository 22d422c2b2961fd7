"""Bert as a graph computes what the model computes, whatever the options and the padding."""

from dataclasses import replace

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.arrays import assert_near, scatter
from zoo.export.encoder_graph import EncoderGraph, Tokens
from zoo.export.encoder_weights import layout, undo_layout
from zoo.models.bert import PRESETS, Bert, Config, example_inputs

DEBUG = replace(PRESETS["debug"], vocabulary=40)
OPTIONS = {
    "bert": replace(DEBUG, head="classify", classes=3),
    "roberta": replace(
        DEBUG, head="classify", classes=3, segments=1, position_offset=2, pooler="cls", head_hidden="tanh", epsilon=1e-5
    ),
    "distilbert": replace(DEBUG, head="classify", classes=3, segments=0, pooler="cls", head_hidden="relu"),
    "mean": replace(DEBUG, head="pool", pooler="mean", activation="gelu_tanh"),
    "pre-norm": replace(DEBUG, head="tokens", classes=4, norm="pre"),
    "span": replace(DEBUG, head="span", embedding_norm=False, activation="relu"),
    "words": replace(DEBUG, head="masked_words"),
    "words-and-order": replace(DEBUG, head="masked_words", order=True),
}


def made(config: Config) -> tuple[Bert, EncoderGraph]:
    model = scatter(Bert(config, seed=1), size=0.3)
    weights = {variable.path: np.asarray(variable.value) for variable in model.weights}
    return model, EncoderGraph(layout(weights, config), config)


def answer(graph: EncoderGraph, inputs: dict[str, np.ndarray]) -> tf.Tensor:
    given = tuple(tf.constant(inputs[name]) for name in ("ids", "mask", "segments"))
    if graph.config.head == "pool":
        return graph.pooled(*given)[0]
    if graph.config.head == "masked_words":
        return graph.words(*given, places=tf.constant([1, 0, 1, 0]))
    return graph.logits(*given)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_graph_answers_as_the_model(name):
    model, graph = made(OPTIONS[name])
    inputs = example_inputs(model.config, rows=4, seed=3)
    expected, found = keras.ops.convert_to_numpy(model(inputs)), answer(graph, inputs).numpy()
    if model.config.head == "masked_words":
        expected = expected[np.arange(4), [1, 0, 1, 0]]
    if expected.ndim == 3:  # what stands in the padding means nothing
        expected, found = expected[inputs["mask"]], found[inputs["mask"]]
    assert_near(found, expected)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_layout_can_be_undone(name):
    model, graph = made(OPTIONS[name])
    config, inputs = model.config, example_inputs(model.config, rows=4, seed=3)
    undone = undo_layout({name: each.numpy() for name, each in graph.stored.items()}, config)
    again = Bert(config, seed=9)
    for variable in again.weights:
        if "seed" not in variable.path:
            variable.assign(undone.pop(variable.path.partition("/")[2]))
    assert not undone
    assert_near(keras.ops.convert_to_numpy(again(inputs)), keras.ops.convert_to_numpy(model(inputs)))


def test_only_real_tokens_are_computed():
    mask = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0]], bool)
    tokens = Tokens.of(tf.constant(mask))
    assert tokens.places.numpy().tolist() == [0, 1, 3, 4, 5, 6]
    x = np.arange(9.0)[:, None]
    real = tokens.gather(tf.constant(x))
    assert real.numpy()[:, 0].tolist() == [0, 1, 3, 4, 5, 6]
    assert tokens.spread(real).numpy()[mask.reshape(-1)].tolist() == x[mask.reshape(-1)].tolist()


def test_a_batch_of_no_rows_is_answered():
    _, graph = made(OPTIONS["bert"])
    empty = {"ids": np.zeros((0, 1), "int32"), "mask": np.zeros((0, 1), bool), "segments": np.zeros((0, 1), "int32")}
    assert answer(graph, empty).shape == (0, 3)


def test_half_storage_keeps_the_large_matrices_small():
    config = OPTIONS["bert"]
    weights = {variable.path: np.asarray(variable.value) for variable in Bert(config, seed=1).weights}
    graph = EncoderGraph(layout(weights, config), config, "float16")
    kinds = {name: each.dtype.name for name, each in graph.stored.items()}
    assert kinds["token_table"] == kinds["encoder_0_qkv_kernel"] == kinds["head_output_kernel"] == "float16"
    assert kinds["positions"] == kinds["encoder_0_mix_gamma"] == "float32"
    assert np.isfinite(answer(graph, example_inputs(config, rows=2, seed=0)).numpy()).all()
