"""The graph of an embedder: pairs that are none."""

import pytest

tf = pytest.importorskip("tensorflow")

from tests.tasks.encoders import made
from zoo.export.bundle import Bundle
from zoo.export.embed import build


def test_sides_of_different_sizes_are_refused():
    task = made("embed")
    similarity = build(Bundle(task, task.build_model(3), []), "float32").functions["similarity"]
    sides = ["good", "bad", "a film"], ["good"]
    for a, b in (sides, sides[::-1]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="a text_b for each text_a"):
            similarity(text_a=tf.constant(a), text_b=tf.constant(b))
    alike = similarity(text_a=tf.constant(sides[0]), text_b=tf.constant(sides[0]))
    assert alike["score"].numpy().tolist() == pytest.approx([1.0] * 3, abs=1e-5)
