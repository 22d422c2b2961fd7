"""The graph that fills a mask: bytes that are no text."""

import pytest

tf = pytest.importorskip("tensorflow")

from tests.arrays import scatter
from tests.tasks.encoders import made
from zoo.export.bundle import Bundle
from zoo.export.fill_mask import build


def test_bytes_that_are_no_text_are_replaced():
    task = made("fill_mask", decoding={"n_best": 2})
    graph = build(Bundle(task, scatter(task.build_model(3)), []), "float32")
    found = graph.functions["serving_default"](text=tf.constant([b"\xff [MASK]", b"\xff"]))
    expected = graph.reference(["\ufffd [MASK]", "\ufffd"])
    texts = [[each.decode() for each in row] for row in found["texts"].numpy()]
    assert texts == [expected["texts"][0], ["\ufffd", ""]]
    assert texts[0][0].startswith("\ufffd ")
    assert found["scores"].numpy()[0].tolist() == pytest.approx(expected["scores"][0], abs=1e-5)
    assert found["scores"].numpy()[1].tolist() == [1.0, 0.0]
