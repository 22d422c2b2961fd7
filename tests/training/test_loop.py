"""What the loop reports: means over the things that the objective counted."""

import pytest

from zoo.training import log
from zoo.training.loop import Meter, means


def test_means_are_over_the_count_or_over_one_of_their_own():
    sums = {"loss": 6.0, "count": 4.0, "tokens": 30.0, "accuracy": 1.0, "order": 1.0, "order_count": 2.0}
    assert means(sums) == {"loss": 1.5, "accuracy": 0.25, "order": 0.5}
    assert means({"loss": 0.0, "count": 0.0, "a": 0.0, "a_count": 0.0}) == {"loss": 0.0, "a": 0.0}


def test_a_meter_adds_up_updates():
    meter = Meter()
    assert meter.read() == {}
    for loss, norm, right in ((6.0, 1.0, 0.0), (2.0, 3.0, 1.0)):
        meter.add({"loss": loss, "count": 2.0, "gradient_norm": norm, "order": right, "order_count": 1.0})
    found = meter.read()
    assert found.pop("count_per_second") > 0
    assert found == pytest.approx({"loss": 2.0, "gradient_norm": 2.0, "order": 0.5})


def test_the_log_has_them_beside_the_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "find_spec", lambda name: None)  # no TensorBoard
    kept = log.Log(tmp_path / "log.csv")
    row = {"step": 4.0, "epoch": 1.0, "loss": 2.5, "accuracy": 0.25, "order_accuracy": 0.5}
    kept.write({**row, "tokens": 7.0})
    assert kept.rows() == [row]
