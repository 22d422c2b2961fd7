from dataclasses import replace
from math import erf, sqrt

import keras
import numpy as np
import pytest
from keras import ops

from tests import conformance
from tests.arrays import DTYPES, array, assert_near, normal
from tests.conformance import Family
from tests.models import transformers_encoders as theirs
from zoo.errors import UserError
from zoo.layers.activations import activation
from zoo.layers.heads import OutputHead, Pooler
from zoo.models.bert import PRESETS, Bert, Config

VARIANTS = {
    "classify": {"head": "classify"},
    "roberta": {"head": "classify", "pooler": "cls", "head_hidden": "tanh", "segments": 1, "position_offset": 2},
    "distilbert": {"head": "masked_words", "segments": 0, "activation": "gelu_tanh"},
    "tokens": {"head": "tokens", "embedding_norm": False},
    "span": {"head": "span", "norm": "pre"},
    "mean": {"head": "pool", "pooler": "mean"},
}


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Family:
    return Family("bert", **VARIANTS[request.param])


@pytest.fixture(scope="module")
def words() -> Family:
    return Family("bert", head="masked_words")


def test_rows_are_independent_of_padding_and_of_each_other(variant: Family):
    conformance.check_rows_are_independent(variant)


def test_the_shape_of_the_output_is_known_beforehand(variant: Family):
    conformance.check_symbolic(variant)


def test_variables_have_lasting_names(variant: Family):
    conformance.check_variables(variant)


@pytest.mark.parity
@pytest.mark.parametrize("kind, head", theirs.PAIRS)
def test_equals_transformers(kind: str, head: str):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model, reference, inputs = Bert(theirs.config(kind, head)), theirs.reference(kind, head), theirs.inputs(kind)
    paths = [v.path for v in model.trainable_variables]
    for path, value in theirs.weights(kind, head, reference, paths).items():
        next(v for v in model.trainable_variables if v.path == path).assign(value)
    expected, expected_attention = theirs.outputs(kind, head, reference, inputs)
    found, attention = array(model(inputs)), array(model.attention(inputs))
    mask = inputs["mask"]  # what they make of padding depends on how they number it
    assert_near(*((each[mask] if each.ndim == 3 else each) for each in (found, expected)))
    assert_near(*(each.transpose(1, 3, 0, 2, 4)[mask] for each in (attention, expected_attention)))


def test_each_word_sees_both_sides(words: Family):
    inputs = words.inputs()
    inputs["mask"][:] = True
    (before,) = conformance.outputs(words.model, inputs)
    inputs["ids"][:, 3] = inputs["ids"][:, 3] % 30 + 1
    (after,) = conformance.outputs(words.model, inputs)
    assert np.abs(after - before).max(axis=(0, 2)).min() > 1e-3


def test_what_the_mask_hides_is_not_seen_wherever_it_stands(words: Family):
    inputs = words.inputs()
    inputs["mask"][:] = True
    inputs["mask"][:, 2] = False
    (before,) = conformance.outputs(words.model, inputs)
    inputs["ids"][:, 2] += 1
    inputs["segments"][:, 2] = 1 - inputs["segments"][:, 2]
    (after,) = conformance.outputs(words.model, inputs)
    others = [0, 1, 3, 4, 5, 6]
    assert_near(after[:, others], before[:, others], 1e-6)


@pytest.mark.parametrize("segments, told_apart", [(2, True), (1, False), (0, False)])
def test_segments_are_told_apart_where_there_are_two(segments: int, told_apart: bool):
    family = Family("bert", segments=segments)
    inputs = family.inputs()
    (before,) = conformance.outputs(family.model, inputs)
    inputs["segments"] = np.where(inputs["mask"], 1 - inputs["segments"], 0).astype("int32")
    (after,) = conformance.outputs(family.model, inputs)
    assert (np.abs(after - before).max() > 1e-3) == told_apart


def test_positions_begin_behind_the_offset():
    family = Family("bert", position_offset=2, max_length=8)
    model, inputs = family.make(), family.inputs()
    table = array(model.positions.table)
    assert table.shape == (10, 32)
    before = array(model(inputs))
    for row, seen in ((1, False), (2, True), (8, True), (9, False)):  # T = 7
        changed = table.copy()
        changed[row] += np.arange(32)
        model.positions.table.assign(changed)
        assert (np.abs(array(model(inputs)) - before).max() > 1e-3) == seen


def test_a_few_masked_words_are_told_as_all_would_be(words: Family):
    inputs, positions = words.inputs(), np.array([[5, 0], [1, 1], [0, 1]], "int32")
    expected = np.take_along_axis(array(words.model(inputs)), positions[:, :, None], axis=1)
    hidden = words.model.hidden(inputs)
    assert_near(words.model.masked_logits(hidden, ops.convert_to_tensor(positions)), expected)


def test_the_order_of_segments_is_told_by_the_pooled_vector():
    family = Family("bert", head="masked_words", order=True)
    model, inputs = family.model, family.inputs()
    hidden = model.hidden(inputs)
    pooled = np.tanh(array(hidden)[:, 0] @ array(model.pooler.dense.kernel) + array(model.pooler.dense.bias))
    expected = pooled @ array(model.head.order.kernel) + array(model.head.order.bias)
    assert_near(model.order_logits(hidden, inputs["mask"]), expected)
    with pytest.raises(UserError, match="no order of segments"):
        Config(head="pool", order=True)


def test_words_are_told_by_the_table_that_embeds_them(words: Family):
    model, inputs = words.make(), words.inputs()
    assert len([v for v in model.trainable_variables if v.path.startswith("bert/head/")]) == 5
    before = array(model(inputs))
    model.head.bias.assign(np.arange(conformance.VOCABULARY))
    assert_near(model(inputs), before + np.arange(conformance.VOCABULARY))
    model.token_embedding.table.assign(0 * array(model.token_embedding.table))
    assert_near(model(inputs), np.broadcast_to(np.arange(conformance.VOCABULARY), before.shape))


def test_poolers_by_hand():
    x, mask = normal(3, 4, 8), np.arange(4) < np.array([[4], [1], [0]])
    mean = array(Pooler("mean", 8)(x, mask))
    assert_near(mean, np.stack([x[0].mean(axis=0), x[1, 0], np.zeros(8)]))
    assert (array(Pooler("cls", 8)(x, mask)) == x[:, 0]).all()
    dense = Pooler("cls_dense", 8)
    dense.build()
    assert_near(dense(x, mask), np.tanh(x[:, 0] @ array(dense.dense.kernel) + array(dense.dense.bias)))
    with pytest.raises(ValueError, match='cls_dense, cls, mean, not "max"'):
        Pooler("max", 8)


def test_the_mean_of_a_long_row_is_exact_in_half_precision():
    ones = np.ones((1, 3000, 2), "float16")  # 2048 + 1 is 2048 in float16
    assert (array(Pooler("mean", 2, dtype="float16")(ones, np.ones((1, 3000), bool))) == 1).all()


def test_a_head_drops_its_inputs_in_training_alone():
    head = OutputHead(3, 200, "relu", 0.5, keras.random.SeedGenerator(1))
    head.build()
    x = normal(4, 200)
    inner = np.maximum(x @ array(head.hidden.kernel), 0)
    assert_near(head(x), inner @ array(head.output_projection.kernel))
    assert np.abs(array(head(x, training=True)) - array(head(x))).max() > 1e-2


def test_gelu_is_exact_and_its_approximation_has_another_name():
    x = np.linspace(-4, 4, 81, dtype="float32")
    exact = np.array([each * (1 + erf(each / sqrt(2))) / 2 for each in x])
    approximate = x * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2
    assert np.abs(exact - approximate).max() == pytest.approx(4.7e-4, rel=0.02)
    for name, expected in (("gelu", exact), ("gelu_tanh", approximate)):
        assert array(activation(name)(ops.convert_to_tensor(x))) == pytest.approx(expected, abs=1e-6)


def test_matrices_begin_small_and_cut_at_two_deviations():
    model = Family("bert", head="classify", width=64, feedforward=256).make()
    matrices = [v for v in model.trainable_variables if len(v.shape) == 2 and "positions" not in v.path]
    assert len(matrices) == 2 + 2 * 6 + 2
    for variable in matrices:
        values = array(variable)
        assert np.abs(values).max() <= 0.04
        if values.size > 1000:
            assert values.std() == pytest.approx(0.02 * 0.88, rel=0.06), variable.path


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_without_anything_real_is_finite(dtype: str):
    family = Family("bert", head="pool", pooler="mean")
    model, inputs = family.make(dtype=dtype), family.inputs()
    inputs["mask"][1] = False
    assert np.isfinite(array(model(inputs, training=True))).all()
    assert np.isfinite(array(model.hidden(inputs))).all()
    assert np.isfinite(array(model.attention(inputs))).all()


def test_attention_shows_shares_of_what_is_real(words: Family):
    inputs = words.inputs()
    weights = array(words.model.attention(inputs))
    assert weights.shape == (2, 3, 2, 7, 7)  # layers, B, H, T, T
    assert weights.sum(-1) == pytest.approx(1.0, abs=1e-5)
    hidden = np.broadcast_to(~inputs["mask"][None, :, None, None], weights.shape)
    assert hidden.any() and (weights[hidden] == 0).all()


def test_rates_of_the_config_reach_the_layers():
    model = Family("bert", head="classify", dropout=0.2, attention_dropout=0.3).make()
    block = model.encoder.blocks[-1]
    rates = (model.dropout, block.around_attention.dropout, block.around_feedforward.dropout, model.head.dropout)
    assert [layer.rate for layer in rates] == [0.2] * 4
    assert block.attention.dropout.rate == 0.3


@pytest.mark.parametrize(
    "changes, place, problem",
    [
        ({"heads": 5}, "heads", "5 heads do not divide the width 768"),
        ({"head": "span", "classes": 3}, "classes", 'the head "span" has no classes'),
        ({"head": "fill"}, "head", "none of none, classify"),
        ({"activation": "gelu_new"}, "activation", "none of gelu, gelu_tanh, relu"),
        ({"epsilon": float("nan")}, "epsilon", "out of range"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(changes: dict, place: str, problem: str):
    with pytest.raises(UserError, match=problem) as caught:
        Config(**changes)
    assert caught.value.where == place


def test_a_model_needs_its_sizes():
    with pytest.raises(ValueError, match="vocabulary must be set"):
        Bert(PRESETS["debug"])
    with pytest.raises(ValueError, match='classes must be set before a model with the head "tokens"'):
        Bert(replace(PRESETS["debug"], vocabulary=10, head="tokens"))


@pytest.mark.parametrize(
    "preset, millions",
    [("tiny", 4.4), ("mini", 11.2), ("small", 28.8), ("medium", 41.4), ("base", 109.5), ("large", 335.1),
     ("minilm_l6", 22.6)],
)  # fmt: skip
def test_presets_have_the_sizes_of_the_papers(preset: str, millions: float):
    """By hand: V D + 512 D + 2 D of tables, 4 (D^2 + D) an attention, 2 D F + F + D a feed-forward network, 2 D a norm,
    and D^2 + D of the pooler where it has a matrix; V = 30,522.

    Turc et al., 2019, table 1 (4.4, 11.3, 29.1, 41.7, 110.1 M, with what is for pre-training alone); Devlin et al.,
    2018 (340 M); sentence-transformers (22.7 M, with a pooler that it does not use).
    """
    config = replace(PRESETS[preset], vocabulary=30_522, head="pool")
    d, f = config.width, config.feedforward
    block = 4 * (d * d + d) + 2 * d * f + f + d + 4 * d
    expected = (30_522 + 512 + 2) * d + 2 * d + config.layers * block + (d * d + d) * (config.pooler == "cls_dense")
    assert expected / 1e6 == pytest.approx(millions, abs=0.06)
    if preset == "tiny":
        assert Bert(config).count_params() == expected
