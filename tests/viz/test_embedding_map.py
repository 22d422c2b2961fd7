"""Maps of embeddings: where texts stand, what is in the page and the picture, and the page in headless Chromium."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from zoo.errors import UserError
from zoo.viz.embedding_map import COLORS, Layout, draw_map, groups_of, lay_out, write_map_page

TEXTS = ["left", "left below", "right", "right <b>above</b></script>"]
LABELS = ["L", "L", "R", "R"]
PLACES = np.float32([[0, 1], [0, 0], [10, 1], [10, 5]])
# The first two are near each other, and so are the others.
VECTORS = np.float32([[1, 0], [0.8, 0.6], [0, 1], [-0.6, 0.8]])


def written(folder: Path, texts: list[str] = TEXTS, labels: list[str] = LABELS) -> Path:
    path = folder / "page.html"
    write_map_page(texts, VECTORS, Layout(PLACES, "By hand."), path, "Map: <i>{{data}}", labels)
    return path


def test_pca_is_the_plane_of_vectors_that_lie_in_one():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(40, 2)) * [3.0, 1.0]
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    layout = lay_out((plane @ turn + 5.0).astype("float32"))
    assert "hold 100% of" in layout.about
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (plane, layout.places)]
    assert distances[1] == pytest.approx(distances[0], abs=1e-4)
    assert np.ptp(layout.places[:, 0]) > np.ptp(layout.places[:, 1])
    assert lay_out(np.ones((3, 4), "float32")).places == pytest.approx(np.zeros((3, 2)))  # nothing differs


@pytest.mark.slow
def test_tsne_keeps_groups_together_and_says_where_it_comes_from(monkeypatch):
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(2, 8) * 10, 12, axis=0)
    places = lay_out((centres + rng.normal(size=(24, 8))).astype("float32"), "tsne").places
    apart = np.linalg.norm(places[:12].mean(0) - places[12:].mean(0))
    assert apart > 2 * max(np.linalg.norm(each - each.mean(0), axis=1).mean() for each in (places[:12], places[12:]))
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(UserError, match="not installed") as caught:
        lay_out(places, "tsne")
    assert "--method pca" in caught.value.remedy


def test_the_most_frequent_labels_have_a_color():
    names, numbers = groups_of(["b", "a", "a"])
    assert names == ["a", "b"] and numbers.tolist() == [1, 0, 0]
    many = [str(number) for number in range(10) for _ in range(20 - number)]
    names, numbers = groups_of(many)
    assert names == [*map(str, range(8)), "other labels"]
    assert [int(number) for number in np.bincount(numbers)] == [*range(20, 12, -1), 12 + 11]
    assert groups_of([]) == ([], pytest.approx([]))


def test_the_file_holds_places_and_neighbours_and_asks_for_no_other(tmp_path: Path):
    text = written(tmp_path).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data["places"] == [[0, 100], [0, 0], [1000, 100], [1000, 500]]
    assert data["texts"] == TEXTS and data["names"] == ["L", "R"] and data["groups"] == [0, 0, 1, 1]
    assert data["near"] == [[1, 2, 3], [0, 2, 3], [3, 1, 0], [2, 1, 0]]
    assert data["cosines"][0] == [0.8, 0.0, -0.6]
    assert re.findall(r"\b(?:src|href)=|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_what_does_not_belong_together_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="3 texts, 4 vectors, 4 places and 4 labels"):
        written(tmp_path, TEXTS[:3])
    assert not list(tmp_path.iterdir())


def test_the_picture_has_the_colors_of_the_labels(tmp_path: Path):
    draw_map(Layout(PLACES, "By hand."), tmp_path / "map.png", "A $x^ map", ["_a", "$b^", "_a", "_a"])
    pixels = imread(tmp_path / "map.png")[..., :3]
    shown = [0.7 * np.array(to_rgb(color)) + 0.3 for color in COLORS[:3]]
    found = [int((np.abs(pixels - color).max(-1) < 0.01).sum()) for color in shown]
    assert found[0] > 1.8 * found[1] > 0 and found[2] == 0  # dots of the map and one in the legend


def told(tab: Any) -> str:
    return tab.get_by_role("status").inner_text()


def point_at(tab: Any, index: int, aside: int = 0) -> None:
    box = tab.locator("#map circle").nth(index).bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2 + aside, box["y"] + box["height"] / 2)


def test_texts_are_pointed_at_and_their_neighbours_told(visit: Any, tmp_path: Path):
    tab = visit(written(tmp_path))
    assert tab.title() == "Map: <i>{{data}}" and told(tab) == "4 texts."
    point_at(tab, 3, aside=10)
    assert told(tab) == "R: right <b>above</b></script>"
    assert tab.get_by_role("listitem").all_inner_texts() == ["0.800 R: right", "0.000 L: left below", "-0.600 L: left"]
    tab.mouse.move(1, 1)
    assert told(tab) == "4 texts."
    tops = [tab.locator("#map circle").nth(index).bounding_box()["y"] for index in range(4)]
    assert tops[3] < tops[0] == tops[2] < tops[1]  # up is up
    point_at(tab, 1)
    tab.mouse.down()
    tab.mouse.up()
    tab.mouse.move(1, 1)
    assert told(tab) == "L: left below"  # what was tapped stays


def test_labels_and_words_sift_the_texts(visit: Any, tmp_path: Path):
    tab = visit(written(tmp_path))
    tab.get_by_role("button", name="L").click()
    assert told(tab) == "2 of 4 texts." and tab.locator("circle.pale").count() == 2
    tab.get_by_text("As a list").click()
    tab.locator("details .scroll > *").wait_for()  # filled once the browser tells of the opening
    assert tab.get_by_label("All texts").inner_text().split("\n") == ["R: right", "R: right <b>above</b></script>"]
    tab.get_by_label("Find").fill("ABOVE")
    assert told(tab) == "1 of 4 texts."
    tab.get_by_role("button", name="L").click()
    tab.get_by_label("Find").fill("")
    assert told(tab) == "4 texts."
    point_at(tab, 0)
    tab.get_by_label("Find").fill("no such")
    assert told(tab) == "L: left"  # the pointer has not moved


def test_keys_suffice_on_a_phone_and_without_labels(visit: Any, tmp_path: Path):
    tab = visit(written(tmp_path, labels=[]), viewport={"width": 320, "height": 640})
    assert tab.evaluate("document.documentElement.scrollWidth") == 320
    tab.get_by_label("Find").focus()
    found = []
    for key in ("Tab", "ArrowDown", "ArrowDown", "ArrowUp", "ArrowRight", "ArrowUp", "Shift+Tab", "Tab"):
        tab.keyboard.press(key)
        found.append(told(tab))
    at = ["left", "left below", "left below", "left", "right", TEXTS[3], "4 texts.", TEXTS[3]]
    assert found == at
    assert tab.locator("circle.chosen").evaluate("e => e.getBoundingClientRect().width") > 8  # pixels, however small


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(visit: Any, tmp_path: Path, scheme: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe()
    tab = visit(written(tmp_path), color_scheme=scheme)
    point_at(tab, 2)
    tab.get_by_role("button", name="L").click()
    tab.get_by_text("As a list").click()
    tab.locator("details .scroll > *").wait_for()  # filled once the browser tells of the opening
    assert axe.run(tab).response["violations"] == []
