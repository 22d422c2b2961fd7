"""The classifier of images: rows and batches by hand, what is refused, other sizes, a toy that is learned."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.tasks.images import SMALL, examples, made, picture, pictures
from zoo.data.plan import Shape
from zoo.errors import UserError
from zoo.training import devices
from zoo.training.checkpoints import capture
from zoo.training.optimizer import build_optimizer


def fitted(**tables):
    task = made("classify_images", **tables)
    task.fit(examples(pictures(6)))
    return task


def test_a_row_and_a_batch_by_hand():
    task = fitted()
    rows = [task.encode(each) for each in pictures(2)]
    assert task.labels.names == ("blue", "green", "red")
    assert rows[1]["image"] == pictures(2)[1]["image"] and rows[1]["label"] == 1
    assert task.lengths(rows[0]) == (5,)  # four patches and the class token
    batch = task.make_batch(rows, Shape(3, (5,)))
    assert batch["real"].tolist() == [True, True, False]
    assert batch["targets"].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    pixels, _ = task.image.encode(rows[0]["image"])
    assert batch["images"].shape == (3, 8, 8, 3) and (batch["images"][0] == task.image.normalise(pixels)).all()
    assert not batch["images"][2].any()


def test_the_same_draw_gives_the_same_row():
    task = fitted(augmentation={"flip": 0.5, "crop": "random"})
    row = task.encode(pictures(1)[0])
    drawn = [task.transform(row, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert (drawn[0]["pixels"] == drawn[1]["pixels"]).all() and drawn[0]["draw"] == drawn[1]["draw"]
    assert drawn[0]["draw"] != drawn[2]["draw"] and drawn[0]["pixels"].shape == (8, 8, 3)
    assert task.encode(pictures(1)[0]) == row  # what is prepared is not touched


def test_mixed_images_have_mixed_targets_in_training_alone():
    task = fitted(augmentation={"mixup": 1.0})
    rows = [task.encode(each) for each in pictures(6)]
    plain = task.make_batch(rows, Shape(6, (5,)))
    drawn = [task.transform(row, np.random.default_rng(number)) for number, row in enumerate(rows)]
    mixed, again = (task.make_batch(drawn, Shape(7, (5,))) for _ in range(2))
    assert set(plain["targets"].ravel()) == {0.0, 1.0}
    assert ((0 < mixed["targets"]) & (mixed["targets"] < 1)).any()
    assert mixed["targets"].sum(axis=1) == pytest.approx([1] * 6 + [0])
    assert (mixed["images"] == again["images"]).all() and not mixed["images"][6].any()


def test_what_is_broken_is_refused_or_counted():
    broken = {"image": picture("red")[:60], "label": "red"}
    with pytest.raises(UserError, match="cut off"):
        fitted().encode(broken)
    task = fitted(data={"broken": "skip"})
    assert task.keep(broken, task.encode(broken)) == "an image that cannot be read"
    assert task.keep(pictures(1)[0], task.encode(pictures(1)[0])) is None


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"model": {"preset": "debug", "image_height": 16}}, "it is 16, and the images that are read have 8"),
        ({"preprocessing": {"height": 9, "width": 8}}, "patches of 4 pixels do not divide 9"),
        ({"training": {"freeze": 9}}, "9"),
    ],
)
def test_choices_that_do_not_go_together(tables, problem):
    with pytest.raises(UserError, match=problem):
        fitted(**tables).check()


def test_labels_that_cannot_be():
    task = made("classify_images", data={"labels": ["red", "green"]})
    with pytest.raises(UserError, match="blue") as caught:
        task.fit(examples(pictures(3)))
    assert caught.value.where == "pictures:1"
    with pytest.raises(UserError, match="the label is empty"):
        fitted().encode({"image": picture("red"), "label": " "})


@pytest.mark.parametrize("stem", [{}, {"stem": "conv", "stem_layers": 2, "pooling": "sequence"}], ids=["cut", "conv"])
def test_learns_and_answers(stem):
    task = fitted(training={"steps": 40, "peak_rate": 3e-3, "warmup": 1}, model={**SMALL, **stem})
    rows = [task.encode(each) for each in pictures(12)]
    model = task.build_model(1)
    optimizer = build_optimizer(task.recipe.training, 3e-3, model.trainable_variables)
    step = devices.make_step(model, optimizer, task.objective)
    for _ in range(40):
        sums = step([task.make_batch(rows, Shape(12, (5,)))])
    step.sync()
    assert float(sums["accuracy"]) == float(sums["count"]) == 12
    fresh = [picture(colour, 99) for colour in ("red", "green", "blue")]
    assert task.predict(model, fresh) == ["red", "green", "blue"] and task.predict(model, []) == []
    assert task.probabilities(model, fresh).sum(axis=1) == pytest.approx(1.0)


def test_weights_go_on_at_another_size_and_for_other_labels():
    task = fitted()
    model = task.build_model(1)
    arrays = capture(model, SimpleNamespace(variables=[]), SimpleNamespace(averages=None, sync=lambda: None))
    start = SimpleNamespace(recipe=task.recipe, preprocessors=task.preprocessors, weights=arrays)
    larger = fitted(preprocessing={"height": 16, "width": 8})
    other = larger.build_model(2)
    assert larger.start_from(other, start) == ["the weights come from classify_images (test)"]
    same = {v.path: keras.ops.convert_to_numpy(v) for v in other.weights}
    for variable in model.weights:
        if "positions" in variable.path:
            assert same[variable.path].shape[0] == 2 * variable.shape[0]
        elif "seed" not in variable.path:
            assert (same[variable.path] == keras.ops.convert_to_numpy(variable)).all()
    two = made("classify_images")
    two.fit(examples([each for each in pictures(6) if each["label"] != "red"]))
    assert two.start_from(two.build_model(3), start) == ["the weights come from classify_images (test); head anew"]
    narrow = fitted(model={"preset": "debug", "layers": 2})
    with pytest.raises(UserError, match="model.layers is 1 where the weights come from, 2 here"):
        narrow.start_from(narrow.build_model(3), start)


def test_low_rank_additions_learn_alone_with_the_head():
    task = fitted(training={"lora_rank": 2})
    learning = [variable.path for variable in task.build_model(1).trainable_variables]
    assert any("lora" in path for path in learning)
    assert all("lora" in path or "/head/" in path for path in learning)


def test_signatures_are_frozen():
    assert {name: (list(each.inputs), list(each.outputs)) for name, each in fitted().signatures().items()} == {
        "serving_default": (["image_bytes"], ["label", "score", "ok"]),
        "probabilities": (["image_bytes"], ["labels", "probabilities"]),
    }
