from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from tests import conformance
from tests.arrays import array, assert_near
from tests.conformance import Family
from zoo.errors import UserError
from zoo.layers.positions_2d import resample_positions
from zoo.models.vit import PRESETS, Config, Vit, at_size

VARIANTS = {
    "class": {"head": "classify", "registers": 2, "positions": "sine"},
    "mean": {"head": "classify", "pooling": "mean", "registers": 1, "layer_scale": 0.1, "qk_norm": True},
    "attention": {"head": "classify", "pooling": "attention", "image_width": 12, "channels": 1},
    "compact": {"head": "classify", "pooling": "sequence", "stem": "conv", "patch": 2, "stem_layers": 1},
    "strided": {"pooling": "mean", "stem": "conv", "patch": 4, "stem_layers": 1, "stem_kernel": 5},
}


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Family:
    return Family("vit", **VARIANTS[request.param])


def test_rows_are_independent_of_each_other(variant: Family):
    conformance.check_rows_are_independent(variant)


def test_the_shape_of_the_output_is_known_beforehand(variant: Family):
    conformance.check_symbolic(variant)


def test_variables_have_lasting_names(variant: Family):
    conformance.check_variables(variant)


def test_features_and_attention_stand_in_their_places(variant: Family):
    config, inputs = variant.config, variant.inputs()
    rows, columns = config.image_height // config.patch, config.image_width // config.patch
    leading = (config.pooling == "class") + config.registers
    tokens = leading + rows * columns
    hidden, features = array(variant.model.hidden(inputs)), array(variant.model.features(inputs))
    assert hidden.shape == (3, tokens, 32) and features.shape == (3, rows, columns, 32)
    assert (features[:, 1, 0] == hidden[:, leading + columns]).all()
    weights = array(variant.model.attention(inputs))
    assert weights.shape == (2, 3, 2, tokens, tokens)  # layers, B, H, T, T
    assert weights.sum(-1) == pytest.approx(1.0, abs=1e-5) and weights.std(-1).min() > 0


def test_patches_seen_in_another_order_are_the_same(variant: Family):
    """Places are told by positions alone."""
    model, inputs, config = variant.model, variant.inputs(), variant.config
    kept = np.random.default_rng(0).permuted(np.tile(np.arange(config.patches), (3, 1)), axis=1).astype("int32")
    expected = array(model.hidden(inputs))
    patches = np.take_along_axis(expected[:, config.leading :], kept[:, :, None], axis=1)
    found = array(model.hidden(inputs, kept=ops.convert_to_tensor(kept)))
    assert_near(found, np.concatenate([expected[:, : config.leading], patches], axis=1))


def test_patches_that_are_not_kept_are_not_seen():
    family = Family("vit")
    inputs, kept = family.inputs(), ops.convert_to_tensor(np.array([[0, 3]] * 3, "int32"))
    before = array(family.model.hidden(inputs, kept=kept))
    assert before.shape == (3, 3, 32)
    inputs["images"][:, :4, 4:] = 9.0  # patch 1
    assert (array(family.model.hidden(inputs, kept=kept)) == before).all()
    inputs["images"][:, 4:, 4:] = 9.0  # patch 3
    assert (array(family.model.hidden(inputs, kept=kept)) != before).any()


def test_patch_dropout_shows_a_part_in_training_alone():
    family = Family("vit", patch_dropout=0.5, dropout=0.0)
    model, inputs = family.model, family.inputs()
    assert_near(model(inputs), model.hidden(inputs))
    first, second = (array(model(inputs, training=True)) for _ in range(2))
    assert first.shape == second.shape == (3, 1 + 2, 32)
    assert (first != second).any()
    with pytest.raises(ValueError, match="need all patches"):
        model.features(inputs, training=True)
    assert array(model.features(inputs)).shape == (3, 2, 2, 32)


@pytest.mark.parametrize("share, seen", [(0.0, 4), (0.3, 3), (0.95, 1)])
def test_at_least_one_patch_is_seen(share: float, seen: int):
    assert Family("vit", patch_dropout=share).make().patches_seen == seen


def test_classes_are_told_by_the_class_token():
    family = Family("vit", head="classify", registers=2)
    output = family.model.head.output_projection
    expected = array(family.model.hidden(family.inputs()))[:, 0] @ array(output.kernel) + array(output.bias)
    assert_near(family.model(family.inputs()), expected)


def test_classes_are_told_by_class_and_distillation_token():
    """DeiT's mean of two heads is one head over both tokens."""
    family = Family("vit", head="classify", pooling="distilled", registers=2)
    output, hidden = family.model.head.output_projection, array(family.model.hidden(family.inputs()))
    assert hidden.shape[1] == 3 + 4
    first, second = array(output.kernel)[:32], array(output.kernel)[32:]
    expected = hidden[:, 0] @ first + hidden[:, 1] @ second + array(output.bias)
    assert_near(family.model(family.inputs()), expected)


def test_classes_are_told_by_the_mean_of_the_patches_without_registers():
    family = Family("vit", head="classify", pooling="mean", registers=2)
    output, hidden = family.model.head.output_projection, array(family.model.hidden(family.inputs()))
    assert hidden.shape[1] == 2 + 4
    assert_near(family.model(family.inputs()), hidden[:, 2:].mean(axis=1) @ array(output.kernel) + array(output.bias))


def test_the_mean_of_many_patches_is_exact_in_half_precision():
    family = Family("vit", head="classify", pooling="mean", image_height=256, image_width=256)
    model = family.make(dtype="float16")
    ones = ops.ones((1, 64 * 64, 32), "float16")  # 2048 + 1 is 2048 in float16
    assert (array(model._pooled(ones)) == 1).all()


@pytest.mark.parametrize("pooling", ["attention", "sequence"])
def test_classes_are_told_by_the_pooler_of_the_patches(pooling: str):
    family = Family("vit", head="classify", pooling=pooling, registers=1)
    model, inputs = family.model, family.inputs()
    pooled = model.pooler(model.hidden(inputs)[:, 1:])
    assert_near(model(inputs), model.head(pooled))
    assert {v.path.split("/")[1] for v in model.pooler.trainable_variables} == {"pooler"}


def test_registers_are_seen_by_the_patches():
    family = Family("vit", registers=1)
    model, inputs = family.make(), family.inputs()
    before = array(model.features(inputs))
    table = array(model.leading_tokens.table)
    assert table.shape == (2, 32)
    table[1] += np.arange(32)
    model.leading_tokens.table.assign(table)
    assert np.abs(array(model.features(inputs)) - before).max() > 1e-3


def test_what_is_fixed_is_no_weight():
    paths = [v.path for v in Family("vit", positions="sine", pooling="mean").make().trainable_variables]
    assert not [path for path in paths if "positions" in path or "leading_tokens" in path]
    assert [path for path in paths if not path.startswith("vit/encoder/")] == [
        "vit/stem/projection/kernel",
        "vit/stem/projection/bias",
    ]


def test_names_of_what_is_special_to_a_block():
    model = Family("vit", qk_norm=True, layer_scale=0.01).make()
    special = [v for v in model.trainable_variables if "scale" in v.path or "query_norm" in v.path]
    block = "vit/encoder/block_0/"
    for name in ("around_attention/scale", "around_feedforward/scale", "attention/query_norm/gamma"):
        assert block + name in [v.path for v in special]
    for variable in special:
        if variable.path.endswith("scale"):
            assert (array(variable) == np.float32(0.01)).all() and variable.shape == (32,)


def test_rates_of_the_config_reach_the_layers():
    model = Family("vit", head="classify", dropout=0.2, attention_dropout=0.3, drop_path=0.4).make()
    last = model.encoder.blocks[-1]
    rates = (model.dropout, last.around_attention.dropout, last.around_feedforward.dropout, model.head.dropout)
    assert [layer.rate for layer in rates] == [0.2] * 4
    assert last.attention.dropout.rate == 0.3
    assert [each.around_attention.drop_path.rate for each in model.encoder.blocks] == [0.2, 0.4]


def test_weights_go_over_to_images_of_another_size():
    old = Family("vit", registers=1)
    new = Family("vit", registers=1, image_height=16, image_width=12)
    arrays = {v.path: array(v) for v in old.model.trainable_variables}
    moved = at_size(arrays, old.config, new.config)
    table = "vit/positions/table"
    assert moved.pop(table) == pytest.approx(resample_positions(arrays[table], (2, 2), (4, 3)))
    assert all(value is arrays[path] for path, value in moved.items())
    shapes = {v.path: tuple(v.shape) for v in new.make().trainable_variables}
    assert {path: value.shape for path, value in moved.items()} | {table: (12, 32)} == shapes


@pytest.mark.parametrize(
    "changes, place, problem",
    [
        ({"heads": 5}, "heads", "5 heads do not divide the width 768"),
        ({"image_width": 230}, "image_width", "patches of 16 pixels do not divide 230 pixels"),
        ({"image_height": 8}, "image_height", "patches of 16 pixels do not divide 8 pixels"),
        ({"width": 10, "heads": 2, "positions": "sine"}, "width", "a multiple of 4"),
        ({"classes": 3}, "classes", 'the head "none" has no classes'),
        ({"pooling": "distilled"}, "registers", "reads a register, and there is none"),
        ({"pooling": "max"}, "pooling", "none of class, distilled, mean, attention, sequence"),
        ({"stem_layers": 2}, "stem_layers", 'the stem "patch" has no layers'),
        ({"stem": "conv"}, "stem_layers", "at least 1 layer"),
        ({"stem": "conv", "stem_layers": 3}, "patch", "3 layers of the stem do not make patches of 16 pixels"),
        ({"stem": "conv", "stem_layers": 2, "stem_kernel": 4}, "stem_kernel", "4 pixels has no middle"),
        ({"layer_scale": float("nan")}, "layer_scale", "out of range"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(changes: dict, place: str, problem: str):
    with pytest.raises(UserError, match=problem) as caught:
        Config(**changes)
    assert caught.value.where == place


def test_a_size_that_does_not_fit_is_answered_with_the_nearest():
    with pytest.raises(UserError) as caught:
        Config(image_width=230)
    assert caught.value.remedy == "The nearest that they divide: 224 or 240."


def test_a_model_needs_its_classes():
    with pytest.raises(ValueError, match='classes must be set before a model with the head "classify"'):
        Vit(replace(PRESETS["debug"], head="classify"))


@pytest.mark.parametrize(
    "preset, classes, millions",
    [("ti", 1000, 5.7), ("s", 1000, 22.1), ("b", 1000, 86.6), ("l", 1000, 304.3),
     ("cct_2_3x2", 10, 0.28), ("cct_4_3x2", 10, 0.48), ("cct_6_3x1", 10, 3.24), ("cct_7_3x1", 10, 3.76),
     ("cct_7_3x2", 10, 3.86)],
)  # fmt: skip
def test_presets_have_the_sizes_of_the_papers(preset: str, classes: int, millions: float):
    """By hand: 4 (D^2 + D) an attention, 2 D F + F + D a feed-forward network, 2 D a norm, C D + C of the head.

    Dosovitskiy et al., 2020, table 1 (86, 307 M); Touvron et al., 2020, table 1 (5, 22, 86 M); Hassani et al., 2021,
    table 2 (0.28, 0.48, 3.2, 3.76, 3.85 M).
    """
    config = replace(PRESETS[preset], head="classify", classes=classes)
    d, f = config.width, config.feedforward
    block = 4 * (d * d + d) + 2 * d * f + f + d + 4 * d
    if config.stem == "patch":
        stem = config.patch**2 * 3 * d + d + d  # with the class token
    else:
        stem = 27 * d if config.stem_layers == 1 else 27 * 64 + 9 * 64 * d
        stem += d + 1  # of the pooling
    expected = stem + config.patches * d + config.layers * block + 2 * d + classes * (d + 1)
    assert expected / 1e6 == pytest.approx(millions, abs=0.06 if classes == 1000 else 0.006)
    if preset == "cct_2_3x2":
        assert Vit(config).count_params() == expected
