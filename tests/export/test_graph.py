"""The exported graph against the model and the search that it stands for."""

from dataclasses import replace

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.arrays import assert_near, scatter
from zoo.decoding.choices import SearchChoices
from zoo.decoding.generate import generate
from zoo.export.loop_graph import while_loop
from zoo.export.search_graph import Search, best_continuations
from zoo.export.seq2seq_graph import Seq2SeqGraph
from zoo.export.seq2seq_weights import layout
from zoo.models.seq2seq import PRESETS, Config, Seq2Seq

pytestmark = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="an export runs on TensorFlow")

LENGTH = 12
SMALL = replace(PRESETS["debug"], encoder_layers=1, max_length=LENGTH, source_vocabulary=40, target_vocabulary=40)
POST = replace(SMALL, source_vocabulary=1100, target_vocabulary=1100)  # large enough for the search among blocks
PRE = replace(SMALL, norm="pre", positions="learned", tied="none", activation="gelu", target_vocabulary=50)


def make(config: Config, seed: int = 1) -> tuple[Seq2Seq, Seq2SeqGraph]:
    """A model that is sure of itself, so that rounding decides nothing, and its graph."""
    model = scatter(Seq2Seq(config, seed=seed), size=0.3)
    weights = {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}
    return model, Seq2SeqGraph(layout(weights, config), config)


def sources(config: Config, rows: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = np.arange(7) < rng.integers(1, 8, (rows, 1))
    ids = rng.integers(4, config.source_vocabulary, mask.shape)
    return {"source_ids": np.where(mask, ids, 0).astype("int32"), "source_mask": mask}


@pytest.mark.parametrize(
    ("config", "choices"),
    [
        (POST, SearchChoices(beam=1)),
        (POST, SearchChoices(beam=4, n_best=3)),
        (PRE, SearchChoices(beam=4, n_best=4, length_penalty=0.0)),
        (PRE, SearchChoices(beam=3, no_repeat_ngram=2, repetition_penalty=1.3)),
        (PRE, SearchChoices(beam=1, n_best=2, temperature=0.7, top_k=20, top_p=0.9)),
    ],
    ids=["greedy", "beam", "no length penalty", "filters", "drawn"],
)
def test_the_search_finds_what_decoding_finds(config, choices):
    model, graph = make(config)
    inputs = sources(config)
    limits = np.array([LENGTH, 3, 7, 1, LENGTH], "int32")
    draws = np.random.default_rng(0).random((5, choices.width, LENGTH), "float32") if choices.temperature else None

    @tf.function(autograph=False)
    def search(ids, mask):
        memory = graph.encode(graph.read("encoder"), ids, mask)
        return Search(graph, choices, LENGTH)(graph.read("decoder"), memory, tf.constant(limits), draws)

    found = search(inputs["source_ids"], inputs["source_mask"])
    expected = generate(model, inputs, choices, length=LENGTH, limits=limits, seed=0)
    width = found.ids.shape[-1]
    np.testing.assert_array_equal(found.ids, expected.ids[..., :width])
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-5)
    assert (expected.ids[..., width:] == config.pad_id).all()


def test_neighbours_change_nothing():
    _, graph = make(POST)
    inputs = sources(POST)

    @tf.function(autograph=False, reduce_retracing=True)
    def search(ids, mask, limits):
        memory = graph.encode(graph.read("encoder"), ids, mask)
        return Search(graph, SearchChoices(beam=3), LENGTH)(graph.read("decoder"), memory, limits)

    limits = np.array([4, LENGTH, 2, 9, 5], "int32")
    together = search(*map(tf.constant, (inputs["source_ids"], inputs["source_mask"], limits)))
    for row in range(5):
        size = inputs["source_mask"][row].sum()
        one = (inputs["source_ids"][row : row + 1, :size], inputs["source_mask"][row : row + 1, :size])
        alone = search(*map(tf.constant, (*one, limits[row : row + 1])))
        width = alone.ids.shape[-1]
        np.testing.assert_array_equal(alone.ids[0], together.ids[row][:, :width])
        np.testing.assert_allclose(alone.scores[0], together.scores[row], rtol=1e-5)


@pytest.mark.parametrize("config", [POST, PRE], ids=["post", "pre"])
def test_attention_is_the_models(config):
    model, graph = make(config)
    inputs = sources(config)
    targets = np.random.default_rng(1).integers(4, 40, (5, 6)).astype("int32")
    memory = graph.encode(graph.read("encoder"), *map(tf.constant, inputs.values()))
    found = graph.attention(graph.read("decoder"), tf.constant(targets), memory)
    expected = model.attention({**inputs, "target_ids": targets, "target_mask": np.ones_like(targets, bool)})
    assert_near(found, keras.ops.mean(expected, axis=(0, 2)))


def test_a_step_after_a_step_is_the_models_forward_pass():
    model, graph = make(PRE)
    inputs = sources(PRE)
    targets = np.random.default_rng(2).integers(4, 50, (5, 4)).astype("int32")
    targets[:, 0] = PRE.start_id
    memory, weights = graph.encode(graph.read("encoder"), *map(tf.constant, inputs.values())), graph.read("decoder")
    cache, logits = graph.start(tf.constant(5)), []
    for position in range(4):
        each, cache = graph.step(weights, tf.constant(targets[:, position]), tf.constant(position), memory, cache, 1)
        logits.append(each)
    expected = model({**inputs, "target_ids": targets, "target_mask": np.ones_like(targets, bool)})
    assert_near(tf.stack(logits, axis=1), expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.sampled_from([9, 1024, 1031, 2000]), st.integers(0, 1000))
def test_the_best_continuations_are_those_of_one_large_top_k(rows, many, vocabulary, seed):
    rng = np.random.default_rng(seed)
    log_probs = (rng.normal(size=(rows * many, vocabulary)) * rng.choice([0.01, 1.0, 10.0])).astype("float32")
    sums = rng.normal(size=(rows, many)).astype("float32")
    first = tf.range(rows)[:, None] * many
    best, parents, tokens = best_continuations(tf.constant(log_probs), tf.constant(sums), first)
    totals = (sums.reshape(-1, 1) + log_probs).reshape(rows, -1)
    expected = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * many]
    np.testing.assert_array_equal(best, np.take_along_axis(totals, expected, axis=1))
    np.testing.assert_array_equal(parents * vocabulary + tokens, expected)


def test_a_loop_may_not_use_tensors_around_it():
    @tf.function
    def wrong(x):
        specs = {"n": tf.TensorSpec([], tf.int32)}
        return while_loop(lambda s, _: s["n"] < 3, lambda s, _: {"n": s["n"] + x}, {"n": tf.constant(0)}, (), specs)

    with pytest.raises(ValueError, match="only as its state or constants"):
        wrong(tf.constant(1))


def test_a_missing_weight_and_one_too_many_are_told():
    model, _ = make(PRE)
    weights = {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}
    with pytest.raises(ValueError, match="without a place"):
        layout({**weights, "seq2seq/extra/kernel": np.zeros(1)}, PRE)
    del weights["seq2seq/decoder/block_1/cross/value/bias"]
    with pytest.raises(ValueError, match="no weight decoder/block_1/cross/value/bias"):
        layout(weights, PRE)
