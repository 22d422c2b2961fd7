from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from tests import conformance
from tests.arrays import DTYPES, array, assert_near
from tests.conformance import Family
from zoo.errors import UserError
from zoo.models.seq2seq import PRESETS, Config, Seq2Seq

VARIANTS = {
    "post": {},
    "pre": {"norm": "pre", "positions": "learned", "tied": "none", "activation": "gelu", "target_vocabulary": 30},
}


@pytest.fixture(scope="module", params=VARIANTS)
def family(request: pytest.FixtureRequest) -> Family:
    return Family("seq2seq", **VARIANTS[request.param])


def tensors(**arrays: np.ndarray):
    return {name: ops.convert_to_tensor(value) for name, value in arrays.items()}


def test_rows_are_independent_of_padding_and_of_each_other(family: Family):
    conformance.check_rows_are_independent(family)


def test_hypotheses_go_step_by_step(family: Family):
    conformance.check_steps(family)


def test_a_target_sees_its_past_alone(family: Family):
    inputs = family.inputs()
    inputs["target_mask"][:] = True
    (before,) = conformance.outputs(family.model, inputs)
    inputs["target_ids"][:, 3] += 1
    (after,) = conformance.outputs(family.model, inputs)
    assert_near(after[:, :3], before[:, :3], 1e-6)
    assert np.abs(after[:, 3:] - before[:, 3:]).max(axis=(0, 2)).min() > 1e-3


def test_what_the_masks_hide_is_not_seen_wherever_it_stands(family: Family):
    inputs = family.inputs()
    inputs["source_mask"][:], inputs["target_mask"][:] = True, True
    inputs["source_mask"][:, 2] = inputs["target_mask"][:, 1] = False
    (before,) = conformance.outputs(family.model, inputs)
    inputs["source_ids"][:, 2] += 1
    inputs["target_ids"][:, 1] += 1
    (after,) = conformance.outputs(family.model, inputs)
    others = [0, 2, 3, 4]
    assert_near(after[:, others], before[:, others], 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_without_anything_real_is_finite(dtype: str):
    model = Family("seq2seq").make(dtype=dtype)
    inputs = Family("seq2seq").inputs()
    inputs["source_mask"][1] = inputs["target_mask"][2] = False
    inputs["source_mask"][2] = False
    assert np.isfinite(array(model(inputs, training=True))).all()
    assert np.isfinite(array(model.attention(inputs))).all()
    memory = model.encode(tensors(**inputs))
    tokens, position = ops.full((3, 1), 2, "int32"), ops.zeros((3,), "int32")
    assert np.isfinite(array(model.step(tokens, position, memory, model.start(memory, 3, 4))[0])).all()


def test_prefixes_of_different_lengths_are_read_at_once(family: Family):
    """Row r has r + 1 tokens; all are read three at a time, and what was read beyond them is written over."""
    model, inputs = family.model, family.inputs()
    inputs["target_mask"][:] = True
    expected = array(model(inputs))
    ids, starts = inputs["target_ids"], np.array([1, 2, 3], "int32")
    noise = np.full_like(ids, 7)
    prefixes = np.where(np.arange(3) < starts[:, None], ids[:, :3], noise[:, :3])
    memory = model.encode(tensors(**inputs))
    cache = model.start(memory, 3, 6)
    logits, cache = model.step(ops.convert_to_tensor(prefixes), ops.zeros((3,), "int32"), memory, cache)
    for row, start in enumerate(starts):
        assert_near(logits[row, :start], expected[row, :start])
    following = np.stack([ids[row, start : start + 2] for row, start in enumerate(starts)])
    logits, _ = model.step(*map(ops.convert_to_tensor, (following, starts)), memory, cache)
    assert_near(logits, np.stack([expected[row, start : start + 2] for row, start in enumerate(starts)]))


def test_attention_shows_shares_of_the_real_source(family: Family):
    inputs = family.inputs()
    weights = array(family.model.attention(inputs))
    assert weights.shape == (2, 3, 2, 5, 7)  # layers, B, H, T, S
    assert weights.sum(-1) == pytest.approx(1.0, abs=1e-5)
    hidden = np.broadcast_to(~inputs["source_mask"][None, :, None, None], weights.shape)
    assert hidden.any() and (weights[hidden] == 0).all()


@pytest.mark.parametrize("tied, tables", [("all", 1), ("target", 2), ("none", 3)])
def test_tied_embeddings_are_one_variable(tied: str, tables: int):
    family = Family("seq2seq", tied=tied)
    model, inputs = family.make(), family.inputs()
    names = ("source_embedding", "target_embedding", "output_embedding")
    assert len([v for v in model.trainable_variables if v.path.endswith("embedding/table")]) == tables
    # Doubling the table that projects onto the vocabulary doubles the logits, unless it also embeds.
    before = array(model(inputs))
    getattr(model, names[2]).table.assign(2 * getattr(model, names[2]).table)
    assert np.allclose(array(model(inputs)), 2 * before, rtol=1e-4) == (tied == "none")
    shared = [getattr(model, name).table is model.output_embedding.table for name in names]
    assert shared == [tied == "all", tied != "none", True]


def test_rates_of_the_config_reach_the_blocks():
    rates = {"dropout": 0.1, "attention_dropout": 0.2, "activation_dropout": 0.3, "drop_path": 0.4}
    model = Family("seq2seq", **rates).make()
    assert model.dropout.rate == 0.1
    for stack in (model.encoder, model.decoder):
        block = stack.blocks[-1]
        assert block.around_attention.dropout.rate == block.around_feedforward.dropout.rate == 0.1
        assert block.attention.dropout.rate == 0.2
        assert block.feedforward.dropout.rate == 0.3
        assert [each.around_attention.drop_path.rate for each in stack.blocks] == [0.2, 0.4]
    assert model.decoder.blocks[0].cross.dropout.rate == 0.2


def test_fit_on_a_compiled_graph():
    """On TensorFlow as tf.function, on JAX under XLA; labels weighed by their mask."""
    family = Family("seq2seq", encoder_layers=1, decoder_layers=1)
    model, inputs = family.make(), family.inputs(rows=4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=keras.backend.backend() == "jax")
    weights = inputs["target_mask"].astype("float32")
    data = {"x": inputs, "y": inputs["target_ids"], "sample_weight": weights, "batch_size": 2, "verbose": 0}
    losses = model.fit(**data, epochs=8).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    "changes, place, problem",
    [
        ({"heads": 3}, "heads", "3 heads do not divide the width 512"),
        ({"width": 7, "heads": 7}, "width", "even width"),
        ({"source_vocabulary": 10, "target_vocabulary": 20}, "tied", "one vocabulary, not 10 and 20"),
        ({"norm": "Pre"}, "norm", "none of post, pre"),
        ({"dropout": float("nan")}, "dropout", "out of range"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(changes: dict, place: str, problem: str):
    with pytest.raises(UserError, match=problem) as caught:
        Config(**changes)
    assert caught.value.where == place


def test_a_model_needs_its_vocabularies():
    with pytest.raises(ValueError, match="source_vocabulary and target_vocabulary must be set"):
        Seq2Seq(PRESETS["debug"])


@pytest.mark.parametrize("preset, millions", [("tiny", 2.6), ("base", 63.1), ("big", 214.2)])
def test_presets_have_the_sizes_of_the_papers(preset: str, millions: float):
    """By hand: V D for the tied table, 4 (D^2 + D) an attention, 2 D F + F + D a feed-forward network, 2 D a norm.

    Tiny with the 10,000 pieces of arXiv 2105.14462, table 1 (2.6 M); base and big with 37,000 (Vaswani et al., 2017,
    table 3: 65 M and 213 M, in round numbers).
    """
    vocabulary = 10_000 if preset == "tiny" else 37_000
    config = replace(PRESETS[preset], source_vocabulary=vocabulary, target_vocabulary=vocabulary)
    d, f = config.width, config.feedforward
    attention, feedforward, norm = 4 * (d * d + d), 2 * d * f + f + d, 2 * d
    encoder = config.encoder_layers * (attention + feedforward + 2 * norm)
    decoder = config.decoder_layers * (2 * attention + feedforward + 3 * norm)
    expected = vocabulary * d + encoder + decoder
    assert expected / 1e6 == pytest.approx(millions, abs=0.05)
    if preset == "tiny":
        assert Seq2Seq(config).count_params() == expected
