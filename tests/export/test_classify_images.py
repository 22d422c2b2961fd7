"""The graph of a classifier of images: the answers of its model, for what is an image; ok false for what is none."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.arrays import scatter
from tests.tasks.images import examples, made, picture, pictures
from zoo.export import savedmodel
from zoo.export.bundle import Bundle
from zoo.export.classify_images import build, weights_of


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    task = made("classify_images")
    task.fit(examples(pictures(6)))
    return Bundle(task, scatter(task.build_model(3), size=0.1), [each["image"] for each in pictures(5)])


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_it_answers_as_its_model(bundle, storage):
    exported = build(bundle, storage)
    savedmodel.check_names(bundle.task.signatures(), exported)
    found = exported.functions["serving_default"](image_bytes=tf.constant(bundle.examples))
    expected = exported.reference(bundle.examples)
    assert [each.decode() for each in found["label"].numpy()] == expected["label"]
    assert found["score"].numpy() == pytest.approx(expected["score"], rel=1e-5)
    every = exported.functions["probabilities"](image_bytes=tf.constant(bundle.examples))
    assert every["probabilities"].numpy().max(axis=1) == pytest.approx(found["score"].numpy())
    assert every["labels"].numpy()[0].tolist() == [b"blue", b"green", b"red"]
    kept = {variable.dtype.name for variable in exported.module.model.stored.values() if len(variable.shape) > 1}
    assert kept == {storage}


def test_what_is_no_image_is_said_for_its_row_alone(bundle):
    exported = build(bundle, "float32")
    images = [picture("red"), b"", b"no image", picture("blue")[:60], picture("blue")]
    found = exported.functions["serving_default"](image_bytes=tf.constant(images))
    assert found["ok"].numpy().tolist() == [True, False, False, False, True]
    assert found["label"].numpy()[1:4].tolist() == [b"", b"", b""] and found["score"].numpy()[1:4].tolist() == [0, 0, 0]
    for row in (0, 4):
        alone = exported.functions["serving_default"](image_bytes=tf.constant(images[row : row + 1]))
        assert alone["label"].numpy()[0] == found["label"].numpy()[row]
        assert alone["score"].numpy()[0] == pytest.approx(found["score"].numpy()[row], rel=1e-6)


def test_it_is_saved_with_its_stored_weights_alone(bundle, tmp_path):
    exported = build(bundle, "float32")
    savedmodel.save(exported, tmp_path / "1")
    served = tf.saved_model.load(str(tmp_path / "1"))
    assert len(tf.train.list_variables(str(tmp_path / "1" / "variables" / "variables"))) - 1 == len(
        exported.module.model.stored
    )
    weights = weights_of(served, bundle.task)
    for variable in bundle.model.weights:
        if variable.path in weights:
            assert (weights[variable.path] == np.asarray(variable)).all()
    assert weights.keys() == {v.path for v in bundle.model.weights if "seed" not in v.path}
    answer = served.signatures["serving_default"](image_bytes=tf.constant(bundle.examples))
    expected = exported.functions["serving_default"](image_bytes=tf.constant(bundle.examples))
    assert (answer["label"].numpy() == expected["label"].numpy()).all()


def test_low_rank_additions_are_merged():
    task = made("classify_images", training={"lora_rank": 2})
    task.fit(examples(pictures(6)))
    raws = [each["image"] for each in pictures(3)]
    adapted = Bundle(task, scatter(task.build_model(3), size=0.1), raws)
    found = build(adapted, "float32").functions["probabilities"](image_bytes=tf.constant(raws))
    assert found["probabilities"].numpy() == pytest.approx(task.probabilities(adapted.model, raws), abs=1e-5)
