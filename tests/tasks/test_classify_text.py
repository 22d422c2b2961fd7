"""The classifier: rows and batches by hand, losses by hand, labels and weights, a toy that is learned."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.tasks.encoders import BAD, CLS, FILM, GOOD, PAD, SEP, SMALL, VOCABULARY, A, looks_for, made, sums
from zoo.data.encoding import Encoder
from zoo.data.plan import Shape
from zoo.data.readers import Example
from zoo.errors import UserError

LABELS = ("bad", "good")
PAIRS = {"data": {"columns": {"text_a": "text_a", "text_b": "text_b"}}}


def example(text, label, line=1):
    return Example({"text": text, "label": label}, f"train.tsv:{line}")


def logits_model(logits):
    """A model whose logits are given."""
    return lambda inputs, training=False: np.array(logits, "float32")


def test_a_row_and_a_batch_by_hand():
    task = made("classify_text", LABELS)
    rows = [task.encode({"text": text, "label": label}) for text, label in (("a good film", "good"), ("bad", "bad"))]
    assert rows[0]["ids"].tolist() == [CLS, A, GOOD, FILM, SEP]
    assert [task.lengths(row) for row in rows] == [(5,), (3,)]
    batch = task.make_batch(rows, Shape(3, (6,)))
    assert batch["ids"].tolist() == [
        [CLS, A, GOOD, FILM, SEP, PAD],
        [CLS, BAD, SEP, PAD, PAD, PAD],
        [PAD] * 6,
    ]
    assert batch["mask"].sum(axis=1).tolist() == [5, 3, 0]
    assert batch["segments"].tolist() == [[0] * 6] * 3
    assert batch["targets"].tolist() == [[0, 1], [1, 0], [0, 0]]
    assert batch["real"].tolist() == [True, True, False]


def test_a_pair_has_two_segments_and_is_cut():
    task = made("classify_text", LABELS, data={**PAIRS["data"], "max_length": 8})
    assert task.inputs() == ("text_a", "text_b")
    row = task.encode({"text_a": "a good film", "text_b": "bad", "label": "bad"})
    assert row["ids"].tolist() == [CLS, A, GOOD, FILM, SEP, BAD, SEP]
    assert row["segments"].tolist() == [0, 0, 0, 0, 0, 1, 1]
    row = task.encode({"text_a": "a good film a good film", "text_b": "bad bad", "label": "bad"})
    assert row["ids"].tolist() == [CLS, A, GOOD, FILM, SEP, BAD, BAD, SEP]


def test_loss_by_hand():
    task = made("classify_text", LABELS, training={"label_smoothing": 0.2})
    rows = [task.encode({"text": "a", "label": label}) for label in ("bad", "good")]
    batch = task.make_batch(rows, Shape(3, (3,)))
    model = logits_model([[np.log(3.0), 0.0], [np.log(3.0), 0.0], [5.0, -5.0]])
    found = sums(task, model, batch, False)
    assert found["loss"] == pytest.approx(-np.log(0.75) - np.log(0.25), rel=1e-5)
    assert found["count"] == 2.0 and found["tokens"] == 6.0
    smoothed = -0.9 * np.log(0.75) - 0.1 * np.log(0.25) - 0.9 * np.log(0.25) - 0.1 * np.log(0.75)
    assert sums(task, model, batch, True)["loss"] == pytest.approx(smoothed, rel=1e-5)


@pytest.mark.parametrize("choice", ["balanced", {"bad": 2.0, "good": 2 / 3}])
def test_class_weights_by_hand(choice):
    task = made("classify_text", LABELS, counts=(1, 3), training={"class_weights": choice})
    assert task.class_weights.tolist() == pytest.approx([2.0, 2 / 3])
    rows = [task.encode({"text": "a", "label": label}) for label in ("bad", "good")]
    found = sums(task, logits_model([[0.0, 0.0]] * 2), task.make_batch(rows, Shape(2, (3,))), True)
    assert found["loss"] == pytest.approx((2.0 + 2 / 3) * np.log(2.0), rel=1e-5)
    assert found["count"] == pytest.approx(2.0 + 2 / 3)


def test_class_weights_that_cannot_be():
    with pytest.raises(UserError, match='no label "goood". Did you mean "good"'):
        made("classify_text", LABELS, training={"class_weights": {"goood": 2.0}}).class_weights.tolist()
    with pytest.raises(UserError, match="not known"):
        made("classify_text", LABELS, training={"class_weights": "balanced"}).class_weights.tolist()
    with pytest.raises(UserError, match='"good" cannot count -1 times'):
        made("classify_text", LABELS, training={"class_weights": {"good": -1.0}})
    with pytest.raises(UserError, match="one label a text"):
        made("classify_text", data={"multi_label": True}, training={"class_weights": "balanced"})


def test_class_weights_balance_the_shares_that_a_teacher_told():
    task = made("classify_text", training={"class_weights": "balanced"})
    told = [{"good": 0.75, "bad": 0.25}, {"good": 3, "bad": 1}, "good", {"good": 0.5, "bad": 0.5}]
    task.adopt({"text": task.subwords}, [example("a film", label) for label in told])
    assert task.labels.names == LABELS and task.labels.counts == (1.0, 3.0)
    assert task.class_weights.tolist() == pytest.approx([2.0, 2 / 3])
    with pytest.raises(UserError, match='no example of the label "bad"'):
        task.adopt({"text": task.subwords}, [example("a film", {"good": 1.0, "bad": 0.0})])


@pytest.mark.parametrize(
    ("several", "section", "name", "value"),
    [
        (True, "data", "positive", "good"),
        (True, "training", "label_smoothing", 0.1),
        (True, "decoding", "reject_label", "other"),
        (False, "decoding", "threshold", 0.4),
        (False, "data", "separator", ";"),
    ],
)
def test_a_field_that_nothing_would_read_is_refused(several, section, name, value):
    tables = {"data": {"multi_label": several}}
    tables.setdefault(section, {})[name] = value
    with pytest.raises(UserError, match="one label a text" if several else "several labels a text") as caught:
        made("classify_text", **tables)
    assert caught.value.where == f"[{section}] {name}"
    tables["data"]["multi_label"] = not several
    made("classify_text", **tables)


@pytest.mark.parametrize(
    ("tables", "where"),
    [
        ({"training": {"class_weights": {"goood": 2.0}}}, "[training] class_weights"),
        ({"training": {"class_weights": {"good": 0.0, "bad": 0.0}}}, "[training] class_weights"),
        ({"data": {"positive": "goood"}}, "[data] positive"),
        ({"data": {"max_length": 5000}}, "[data] max_length"),
        ({"training": {"freeze": 2}}, "[training] freeze"),
    ],
)
def test_what_the_labels_show_to_be_wrong_is_told_before_the_training(tables, where):
    with pytest.raises(UserError) as caught:
        made("classify_text", LABELS, **tables).check()
    assert caught.value.where == where


def test_a_recipe_without_fault_passes():
    training = {"freeze": 1, "class_weights": {"bad": 0.0}}
    made("classify_text", LABELS, data={"positive": "good"}, training=training).check()
    made("classify_text", LABELS, data={"positive": "so"}, decoding={"reject_label": "so"}).check()


def test_several_labels():
    task = made("classify_text", ("x", "y", "z"), data={"multi_label": True}, training={"class_weights": {"x": 3.0}})
    rows = [task.encode({"text": "a", "label": label}) for label in ("z, x", ["y"], "")]
    batch = task.make_batch(rows, Shape(4, (3,)))
    assert batch["targets"].tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    found = sums(task, logits_model(np.zeros((4, 3))), batch, True)
    assert found["count"] == 9.0
    assert found["loss"] == pytest.approx((9 + 2) * np.log(2.0), rel=1e-5)  # a yes for x counts three times
    assert task.decide(np.array([0.6, 0.4, 0.9])) == ["z", "x"]
    row = {"labels": np.array(["z", "x", ""]), "scores": np.array([0.9, 0.6, 0.0]), "count": 2}
    assert task.answer(row) == ["z", "x"]


def test_what_a_teacher_told():
    task = made("classify_text", LABELS)
    rows = [task.encode({"text": "a", "label": {"good": 3, "bad": 1}}), task.encode({"text": "a", "label": "bad"})]
    batch = task.make_batch(rows, Shape(2, (3,)))
    assert batch["targets"].tolist() == [[0.25, 0.75], [1.0, 0.0]]
    found = sums(task, logits_model([[0.0, np.log(3.0)], [0.0, 0.0]]), batch, True)
    expected = -0.25 * np.log(0.25) - 0.75 * np.log(0.75) + np.log(2.0)
    assert found["loss"] == pytest.approx(expected, rel=1e-5) and found["count"] == 2.0
    assert task.labels_in({"good": 0.4, "bad": 0.6}) == "bad"
    several = made("classify_text", LABELS, data={"multi_label": True})
    assert several.shares({"good": 0.4, "bad": 0.9}) == {"good": 0.4, "bad": 0.9}
    assert several.labels_in({"good": 0.4, "bad": 0.9}) == ["bad"]
    with pytest.raises(UserError, match="a probability for each"):
        several.shares({"good": 1.4})


def test_what_is_none_of_the_classes():
    decoding = {"reject_below": 0.7, "reject_label": "other"}
    task = made("classify_text", LABELS, decoding=decoding)
    assert [task.decide(np.array(p)) for p in ([0.8, 0.2], [0.4, 0.6])] == ["bad", "other"]
    values = {"text": "a film", "label": "other"}
    assert task.keep(values, task.encode(values)) == 'labelled "other"'
    task.fit([example("a film", label) for label in ("bad", "other", "good")])
    assert task.labels.names == LABELS
    with pytest.raises(UserError, match="reject_label"):
        made("classify_text", decoding={"reject_below": 0.7})


def test_labels_come_from_the_data_or_are_listed():
    task = made("classify_text")
    task.adopt({"text": task.subwords}, [example("a film", label) for label in ("good", "bad", "good")])
    assert task.labels.names == LABELS and task.labels.counts == (1, 2)
    task = made("classify_text", data={"labels": ["good", "bad", "so"]})
    with pytest.raises(UserError, match='no example of the label "so"'):
        task.adopt({"text": task.subwords}, [example("a film", label) for label in LABELS])
    with pytest.raises(UserError, match='unknown label "ugly"') as caught:
        task.adopt({"text": task.subwords}, [example("a film", "good"), example("a film", "ugly", 2)])
    assert caught.value.where == "train.tsv:2"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"text": "a", "label": "ugly"}, 'unknown label "ugly"'),
        ({"text": "a", "label": " "}, "one label is expected"),
        ({"text": "a", "label": ["good"]}, "multi_label = true"),
        ({"text": "a", "label": {"good": "x"}}, "a probability for each"),
        ({"text": "a", "label": {"good": -1, "bad": 2}}, "a probability for each"),
        ({"text": "a", "label": {}}, "a probability for each"),
        ({"text": 3, "label": "good"}, '"text" must be a text, not 3'),
    ],
)
def test_bad_rows_are_told_by_file_and_line(values, problem):
    task = made("classify_text", LABELS)
    with pytest.raises(UserError, match=problem) as caught:
        Encoder(task.encode, task.lengths, task.keep)([example("a", "good"), Example(values, "train.tsv:7")])
    assert caught.value.where == "train.tsv:7"


def test_rows_without_text_are_left_out():
    task = made("classify_text", LABELS)
    values = {"text": " \t", "label": "good"}
    assert task.keep(values, task.encode(values)) == "an empty text"


def test_saved_and_loaded(tmp_path):
    task = made("classify_text", LABELS, counts=(4, 5))
    task.save(tmp_path)
    other = made("classify_text")
    other.load(tmp_path)
    assert other.fingerprint == task.fingerprint and other.labels.counts == (4, 5)
    values = {"text": "unlikely", "label": "good"}
    assert other.encode(values)["ids"].tolist() == task.encode(values)["ids"].tolist()


@pytest.fixture(scope="module")
def learned():
    """A classifier that has learned to look for the words good and bad."""
    return looks_for(LABELS)


def test_learns_and_answers(learned):
    task, model = learned
    texts = ["the film was good", "bad", "so bad a play", "good good good film was so good a good play", "was bad"]
    assert task.predict(model, texts) == ["good", "bad", "bad", "good", "bad"]
    assert task.predict(model, []) == []
    found = task.probabilities(model, texts * 9)
    assert found.shape == (45, 2) and found.sum(axis=1) == pytest.approx(np.ones(45), rel=1e-5)
    # Batches of other neighbours, padded to other widths.
    alone = np.concatenate([task.probabilities(model, [text]) for text in texts])
    np.testing.assert_allclose(found[:5], alone, rtol=1e-4, atol=1e-6)


def start(task, model):
    from zoo.training.checkpoints import capture

    step = SimpleNamespace(averages=None, sync=lambda: None)
    arrays = capture(model, SimpleNamespace(variables=[]), step)
    return SimpleNamespace(recipe=task.recipe, preprocessors=task.preprocessors, weights=arrays)


def test_begins_from_another_classifier(learned):
    task, model = learned
    same = made("classify_text", LABELS)
    fresh = same.build_model(7)
    lines = same.start_from(fresh, start(task, model))
    assert "anew" not in lines[0]
    assert same.predict(fresh, ["good", "bad"]) == ["good", "bad"]
    turned = made("classify_text", LABELS[::-1])
    fresh = turned.build_model(7)
    before = {v.path: np.array(v) for v in fresh.weights}
    (line,) = turned.start_from(fresh, start(task, model))
    assert line.endswith("head anew")
    theirs = {v.path: np.array(v) for v in model.weights}
    for variable in fresh.weights:
        expected = before if "/head/" in variable.path else theirs
        assert (np.array(variable) == expected[variable.path]).all(), variable.path


def test_a_head_with_another_hidden_layer_is_begun_anew_as_a_whole(learned):
    task, model = learned
    deeper = made("classify_text", LABELS, model={**SMALL, "head_hidden": "tanh"})
    fresh = deeper.build_model(7)
    before = {v.path: np.array(v) for v in fresh.weights if "/head/" in v.path}
    assert len(before) == 4
    (line,) = deeper.start_from(fresh, start(task, model))
    assert line.endswith("; head anew")
    for variable in fresh.weights:
        if "/head/" in variable.path:
            assert (np.array(variable) == before[variable.path]).all(), variable.path


def test_another_encoder_is_refused(learned):
    task, model = learned
    other = made("classify_text", LABELS, model={**SMALL, "activation": "relu"})
    with pytest.raises(UserError, match="model.activation is"):
        other.start_from(other.build_model(1), start(task, model))
    other = made("classify_text", LABELS)
    other.preprocessors["text"] = type(other.subwords).from_vocabulary([*VOCABULARY, "more"], lowercase=True)
    with pytest.raises(UserError, match="another vocabulary"):
        other.start_from(other.build_model(1), start(task, model))


def test_a_text_longer_than_the_model_is_said_before_training():
    task = made("classify_text", LABELS, data={"max_length": 5000})
    with pytest.raises(UserError, match="5000 pieces are to be read"):
        task.build_model(1)


def test_a_frozen_classifier_keeps_its_encoder_and_few_slots(learned):
    from zoo.training.optimizer import build_optimizer

    def slots(**training):
        task = made("classify_text", LABELS, training=training)
        model = task.build_model(1)
        optimizer = build_optimizer(task.recipe.training, 0.1, model.trainable_variables)
        return sum(np.array(v).nbytes for v in optimizer.variables)

    assert slots(freeze="encoder") < 0.5 * slots()
    assert slots(lora_rank=2) < 0.5 * slots()


def test_low_rank_additions_begin_from_the_other_weights_and_go_on_merged(learned):
    task, model = learned
    texts = ["good", "so bad a play"]
    low = made("classify_text", LABELS, training={"lora_rank": 2})
    adapted = low.build_model(3)
    (line,) = low.start_from(adapted, start(task, model))
    assert line.endswith("low-rank additions anew")
    np.testing.assert_allclose(low.probabilities(adapted, texts), task.probabilities(model, texts), atol=1e-6)
    for variable in adapted.trainable_variables:
        if "lora_kernel_b" in variable.path:
            variable.assign(np.random.default_rng(0).normal(scale=5.0, size=variable.shape).astype("float32"))
    plain = task.build_model(4)
    assert "anew" not in task.start_from(plain, start(low, adapted))[0]
    np.testing.assert_allclose(task.probabilities(plain, texts), low.probabilities(adapted, texts), atol=1e-4)
    before, added, after = ({v.path: np.array(v.numpy()) for v in each.weights} for each in (model, adapted, plain))
    value = "bert/encoder/block_0/attention/value"
    both = added[f"{value}/lora_kernel_a"] @ added[f"{value}/lora_kernel_b"]
    assert np.abs(both).max() > 1.0
    np.testing.assert_allclose(after[f"{value}/kernel"], before[f"{value}/kernel"] + both, rtol=1e-4, atol=1e-5)


def test_signatures_are_frozen():
    one = made("classify_text").signatures()
    assert list(one) == ["serving_default", "probabilities"]
    assert list(one["serving_default"].inputs) == ["text"]
    assert list(one["serving_default"].outputs) == ["label", "score", "truncated"]
    assert list(one["probabilities"].outputs) == ["labels", "probabilities"]
    assert list(made("classify_text", **PAIRS).signatures()["serving_default"].inputs) == ["text_a", "text_b"]
    several = made("classify_text", data={"multi_label": True}).signatures()["serving_default"]
    assert list(several.outputs) == ["labels", "scores", "count", "truncated"]


def test_scores_of_known_answers():
    task = made("classify_text", LABELS, data={"positive": "good"})
    found = {s.name: s.value for s in task.score(["good", "good", "bad", "bad"], ["good", " bad", "bad", "bad"])}
    assert found["accuracy"] == 75.0 and found["F1 of good"] == pytest.approx(200 / 3)
    assert next(iter(found)) == "accuracy" and {"macro F1", "Matthews correlation"} < set(found)
    task = made("classify_text", LABELS, decoding={"reject_label": "other"})
    found = {s.name: s.value for s in task.score(["good", "bad", "other", "good"], ["good", "good", "other", "other"])}
    assert (found["in-scope accuracy"], found["out-of-scope recall"]) == (50.0, 50.0)
    task = made("classify_text", ("x", "y"), data={"multi_label": True})
    assert task.score([["x"], ["x", "y"]], ["x", ["y"]])[0].value == pytest.approx(80.0)


def test_scores_of_probabilities_and_by_label():
    def more(task, labels, probabilities, references):
        rows = [{"label": label, "score": score} for label, score in zip(labels, probabilities, strict=True)]
        return {s.name: s.value for s in task.more_scores(rows, references)}

    task = made("classify_text", LABELS)
    answers, references = ["good", "good", "bad", "bad"], ["good", " bad", "bad", "bad"]
    assert more(task, answers, [0.75] * 4, references) == {"calibration error": pytest.approx(0.0)}
    assert more(task, answers, [1.0] * 4, references) == {"calibration error": pytest.approx(25.0)}
    by_label = {s.name: s.value for s in task.scores_by_label(answers, references)}
    assert by_label == {"F1 of bad": pytest.approx(80.0), "F1 of good": pytest.approx(200 / 3)}
    decoding = {"reject_label": "other", "reject_below": 0.5}
    task = made("classify_text", LABELS, decoding=decoding)
    found = more(task, ["good", "other", "bad"], [0.9, 0.4, 0.6], ["good", "other", "other"])
    assert found == {"out-of-scope AUROC": 100.0}
    shares = [[0.1, 0.9], [0.6, 0.4], [0.35, 0.65]]
    (line,) = task.advice(lambda signature: [{"probabilities": each} for each in shares], ["good", "other", "other"])
    assert line.startswith("decoding.reject_below 0.6501 is best on these rows: in-scope accuracy 100.00 ")
    assert task.advice(lambda signature: [], ["good"]) == []
    task = made("classify_text", ("x", "y"), data={"multi_label": True})
    assert task.more_scores([], []) == []
    found = {s.name: s.value for s in task.scores_by_label([["x"], ["x", "y"]], ["x", ["y"]])}
    assert found == {"F1 of x": pytest.approx(200 / 3), "F1 of y": 100.0}
