import gc
import weakref
from dataclasses import replace

import keras
import numpy as np
import pytest

from zoo.decoding.choices import Prefix, SearchChoices
from zoo.decoding.generate import generate
from zoo.errors import UserError
from zoo.models.seq2seq import PRESETS, Seq2Seq

SIZES = {"source_vocabulary": 20, "target_vocabulary": 20, "encoder_layers": 1, "max_length": 12, "tied": "none"}
CONFIG = replace(PRESETS["debug"], **SIZES)
LENGTHS = [7, 1, 4]
GREEDY, BEAM = SearchChoices(beam=1), SearchChoices(beam=3, n_best=3)
LENGTH = 8


def make_model(dtype="float32"):
    """Random weights with which what comes next hangs on the source and on what came before."""
    model = Seq2Seq(CONFIG, dtype=dtype)
    rng = np.random.default_rng(10)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(rng.normal(size=variable.shape) * (0.4 if "kernel" in variable.name else 1.0) / 32**0.5)
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


def sources(width=7, rows=slice(None)):
    """The same sentences in any width, with anything behind their ends."""
    ids = np.random.default_rng(1).integers(4, 20, (len(LENGTHS), 16)).astype("int32")[:, :width]
    mask = np.arange(width) < np.array(LENGTHS)[:, None]
    return {"source_ids": ids[rows], "source_mask": mask[rows]}


def full_forward(model, row, tokens):
    """Log-probabilities [len(tokens) + 1, V] of what follows start_id and each of the tokens, without a cache."""
    target = np.full((1, LENGTH + 1), CONFIG.pad_id, "int32")  # one shape, whatever the tokens
    target[0, : len(tokens) + 1] = [CONFIG.start_id, *tokens]
    inputs = {**sources(rows=slice(row, row + 1)), "target_ids": target, "target_mask": target != CONFIG.pad_id}
    log_probs = keras.ops.convert_to_numpy(keras.ops.log_softmax(model(inputs), axis=-1))
    return log_probs[0, : len(tokens) + 1]


def said(found, row, place=0):
    """The tokens of an output, with end_id where it came to it."""
    ids, length = found.ids[row, place], found.lengths[row, place]
    return [int(token) for token in ids[: length + 1] if token != CONFIG.pad_id]


def assert_scores_are_those_of_the_full_forward(model, found):
    for row in range(len(LENGTHS)):
        for place, score in enumerate(found.scores[row]):
            tokens = said(found, row, place)
            log_probs = full_forward(model, row, tokens)
            expected = sum(log_probs[index, token] for index, token in enumerate(tokens)) / len(tokens)
            assert score == pytest.approx(expected, abs=1e-4)


def test_cached_decoding_is_the_argmax_of_the_full_forward_pass(model):
    found = generate(model, sources(), GREEDY, length=LENGTH)
    assert found.ids.shape == (3, 1, LENGTH) and found.ids.dtype == np.int32 and found.scores.dtype == np.float32
    assert len({tuple(said(found, row)) for row in range(3)}) == 3  # the source matters,
    assert all(len(set(said(found, row))) > 2 for row in range(3))  # and what was said
    for row in range(3):
        tokens = said(found, row)
        log_probs = full_forward(model, row, tokens)
        log_probs[:, [CONFIG.pad_id, CONFIG.start_id]] = -np.inf
        assert tokens == log_probs[:-1].argmax(-1).tolist()
        assert len(tokens) == LENGTH or tokens[-1] == CONFIG.end_id


def test_scores_of_a_beam_are_those_of_the_full_forward_pass(model):
    found = generate(model, sources(), BEAM, length=LENGTH)
    assert all(len({tuple(said(found, row, place)) for place in range(3)}) == 3 for row in range(3))
    assert_scores_are_those_of_the_full_forward(model, found)


def test_prefixes_are_said_and_counted(model):
    prefix = [[5, 6, 7], [], [8]]
    found = generate(model, sources(), BEAM, length=LENGTH, prefix=Prefix.of(prefix))
    for row in range(3):
        for place in range(3):
            assert said(found, row, place)[: len(prefix[row])] == prefix[row]
    assert_scores_are_those_of_the_full_forward(model, found)
    free = generate(model, sources(), BEAM, length=LENGTH)
    np.testing.assert_array_equal(found.ids[1], free.ids[1])


def test_padding_and_neighbours_change_nothing(model):
    together = generate(model, sources(), BEAM, length=LENGTH)
    for row in range(3):
        alone = generate(model, sources(width=10, rows=slice(row, row + 1)), BEAM, length=LENGTH)
        np.testing.assert_array_equal(alone.ids[0], together.ids[row])
        np.testing.assert_allclose(alone.scores[0], together.scores[row], atol=1e-4)


def test_limits_cut_each_row(model):
    found = generate(model, sources(), GREEDY, length=LENGTH, limits=[2, 1, 3])
    assert ((found.ids[:, 0] != CONFIG.pad_id).sum(-1) <= [2, 1, 3]).all()


def test_weights_may_change_between_calls_and_the_model_may_go():
    model = make_model()
    before = generate(model, sources(), GREEDY, length=LENGTH)
    table = model.output_embedding.table
    table.assign(keras.ops.flip(table.value, axis=0))
    now = generate(model, sources(), GREEDY, length=LENGTH)
    assert (before.ids != now.ids).any()
    assert said(now, 0)[0] == full_forward(model, 0, [])[0, 3:].argmax() + 3
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None  # what was compiled for it does not hold it


def test_the_same_seed_draws_the_same_outputs(model):
    choices = SearchChoices(beam=1, temperature=1.0, n_best=2)
    first, again, other = (generate(model, sources(), choices, length=LENGTH, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.ids, again.ids)
    assert (first.ids != other.ids).any()
    fewer = generate(model, sources(rows=slice(0, 2)), choices, length=LENGTH, seed=1)
    np.testing.assert_array_equal(fewer.ids, first.ids[:2])


def test_a_bfloat16_model_is_searched_in_float32():
    found = generate(make_model(dtype="mixed_bfloat16"), sources(), GREEDY, length=LENGTH)
    sums = found.scores[:, 0] * [len(said(found, row)) for row in range(3)]
    assert found.scores.dtype == np.float32 and np.isfinite(sums).all()
    assert (sums != np.asarray(keras.ops.cast(keras.ops.cast(sums, "bfloat16"), "float32"))).any()


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"length": 13}, "length"),
        ({"length": 0}, "length"),
        ({"length": 8, "limits": [1, 2]}, "limits"),
        ({"length": 8, "limits": [1, 2, 9]}, "limits"),
        ({"length": 8, "prefix": Prefix.of([[5], [6]])}, "prefix"),
        ({"length": 8, "prefix": Prefix.of([[5], [CONFIG.end_id], []])}, "prefix"),
        ({"length": 8, "prefix": Prefix(np.full((3, 2), 5), np.array([0, 1, 3]))}, "prefix"),
        ({"length": 2, "prefix": Prefix.of([[5, 6, 7], [], []])}, "prefix"),
    ],
)
def test_what_cannot_be_is_refused_by_name(model, arguments, where):
    with pytest.raises(UserError) as error:
        generate(model, sources(), GREEDY, **arguments)
    assert error.value.where == where
