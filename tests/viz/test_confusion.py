from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from zoo.evaluation.classification import confusion
from zoo.viz.confusion import draw_confusion


def pixels(path: Path, color: tuple[int, int, int]) -> int:
    return int((np.abs(imread(path)[..., :3] * 255 - color).max(-1) < 2).sum())


DARKEST, LIGHTEST = (8, 48, 107), (247, 251, 255)  # of a share of 1 and of 0


def test_cells_are_as_dark_as_the_share_of_their_row(tmp_path: Path):
    labels = ["no", "$x^$", "yes"]  # and no formula
    draw_confusion(labels, np.diag([9, 1, 5]), tmp_path / "right.png")
    draw_confusion(labels, np.tile([0, 0, 3], (3, 1)), tmp_path / "one.png")
    draw_confusion(labels, np.zeros((3, 3), int), tmp_path / "none.png")
    right, one, none = (tmp_path / f"{name}.png" for name in ("right", "one", "none"))
    assert pixels(right, DARKEST) == pytest.approx(pixels(one, DARKEST), rel=0.05) and pixels(none, DARKEST) == 0
    assert pixels(right, LIGHTEST) / pixels(none, LIGHTEST) == pytest.approx(2 / 3, abs=0.05)


def test_counts_and_names_stand_in_the_picture(tmp_path: Path):
    found = confusion(["a", "a", "b", "b"], ["a", "b", "b", "b"], ["b", "a"])
    draw_confusion(*found, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    # matplotlib writes each text as a comment before its outlines: columns, rows, title, then the cells row by row.
    shown = [line.split("<!-- ")[1].split(" -->")[0] for line in text.splitlines() if "<!-- " in line]
    assert shown == ["b", "a", "answer", "b", "a", "right label", "2", "1", "1", "3 of 4 right"]


def test_many_classes_give_a_picture_of_bounded_size(tmp_path: Path):
    draw_confusion([f"class {index} " + "x" * 50 for index in range(151)], np.eye(151, dtype=int), tmp_path / "big.png")
    assert max(imread(tmp_path / "big.png").shape) < 4000


def test_counts_of_other_labels_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"\(2, 2\) are not those of 3 labels"):
        draw_confusion(["a", "b", "c"], np.eye(2), tmp_path / "no.png")
