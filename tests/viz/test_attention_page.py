"""The attention page: what is in the file, and in headless Chromium what is seen and how it is used."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.viz.attention_page import write_attention_page

PIECES = ["[CLS]", "a", "film", "[SEP]"]


def weights() -> np.ndarray:
    """Two layers of two heads that differ: identity, to the first, to the next, and even."""
    one = np.eye(4)
    first = np.tile(one[0], (4, 1))
    return np.stack([[one, first], [np.roll(one, 1, axis=1), np.full((4, 4), 0.25)]]).astype("float32")


def written(folder: Path, pieces: list[str] = PIECES, title: str = "Attention: a film") -> Path:
    path = folder / "page.html"
    write_attention_page(pieces, weights(), path, title)
    return path


def test_the_file_holds_the_weights_in_thousandths_and_asks_for_no_other(tmp_path: Path):
    path = tmp_path / "page.html"
    third = np.full((1, 1, 3, 3), 1 / 3)
    write_attention_page(["a", "b", "c"], third, path, "t")
    text = path.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data == {"pieces": ["a", "b", "c"], "weights": [[[[333] * 3] * 3]]}
    assert re.findall(r"\b(?:src|href)=|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_weights_of_other_pieces_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"\(2, 2, 4, 4\) are not those of 3 pieces"):
        write_attention_page(PIECES[:3], weights(), tmp_path / "page.html", "")
    assert not list(tmp_path.iterdir())


def looked_at(tab: Any) -> list[str]:
    """The weights that the right side is coloured with."""
    pieces = tab.get_by_role("group", name="at").get_by_role("button")
    return [pieces.nth(i).evaluate("e => e.style.getPropertyValue('--weight')") for i in range(len(PIECES))]


def opacities(tab: Any) -> list[str]:
    return tab.locator("#lines path").evaluate_all("all => all.map((e) => e.getAttribute('stroke-opacity'))")


def test_a_layer_and_a_head_are_chosen_and_a_piece_pointed_at(visit: Any, tmp_path: Path):
    tab = visit(written(tmp_path))
    assert tab.title() == "Attention: a film"
    assert tab.get_by_label("Layer").locator("option").all_inner_texts() == ["1", "2"]
    assert tab.get_by_label("Head").locator("option").all_inner_texts() == ["all, averaged", "1", "2"]
    assert sorted(opacities(tab)) == ["0.500"] * 6 + ["1.000"]  # the mean of itself and the first
    piece = tab.get_by_role("group", name="looks").get_by_role("button").nth(2)
    piece.hover()
    assert looked_at(tab) == ["0.500", "0.000", "0.500", "0.000"]
    assert "film looks at [CLS] 50 %, film 50 %" in tab.get_by_role("status").inner_text()
    for layer, head, weights in (
        ("1", "1", ["0.000", "0.000", "1.000", "0.000"]),
        ("1", "2", ["1.000", "0.000", "0.000", "0.000"]),
        ("2", "1", ["0.000", "0.000", "0.000", "1.000"]),
        ("2", "2", ["0.250", "0.250", "0.250", "0.250"]),
    ):
        tab.get_by_label("Layer").select_option(layer)
        tab.get_by_label("Head").select_option(head)
        piece.hover()
        assert looked_at(tab) == weights
        assert opacities(tab) == [each for each in weights if float(each)]
    tab.get_by_text("As a table").click()
    tab.locator("details .scroll > *").wait_for()  # filled once the browser tells of the opening
    assert tab.get_by_role("row").last.inner_text().split() == ["[SEP]", "25", "25", "25", "25"]


def test_lines_end_at_the_pieces_on_a_phone_too_and_keys_suffice(visit: Any, tmp_path: Path):
    tab = visit(written(tmp_path), viewport={"width": 320, "height": 640})
    assert tab.evaluate("document.documentElement.scrollWidth") == 320
    tab.get_by_label("Layer").select_option("2")
    tab.get_by_label("Head").focus()
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")
    tab.get_by_label("Head").select_option("1")
    tab.get_by_label("Head").focus()
    tab.keyboard.press("Tab")  # back to where it was
    assert tab.evaluate("document.activeElement.textContent") == "a"
    assert looked_at(tab) == ["0.000", "0.000", "1.000", "0.000"]
    ends = """() => {
        const path = document.querySelector("#lines path"), length = path.getTotalLength();
        return [0, length].map((at) => {
            const { x, y } = path.getPointAtLength(at).matrixTransform(path.getScreenCTM());
            const near = (side, i) => document.querySelectorAll(`#${side} button`)[i].getBoundingClientRect();
            const [place, edge] = at ? [near("to", 2), "left"] : [near("from", 1), "right"];
            return Math.hypot(x - place[edge], y - place.top - place.height / 2);
        });
    }"""
    assert tab.locator("#lines path").count() == 1
    assert max(tab.evaluate(ends)) < 1.5  # pixels


def test_markup_in_a_piece_stays_text(visit: Any, tmp_path: Path):
    evil = "</script><script>document.title='owned'</script>"
    tab = visit(written(tmp_path, [evil, "{{style}}", "<b>", "&amp;"], title="<i>{{data}}"))
    assert tab.title() == "<i>{{data}}"
    shown = tab.get_by_role("group", name="looks").get_by_role("button").all_inner_texts()
    assert shown == [evil, "{{style}}", "<b>", "&amp;"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(visit: Any, tmp_path: Path, scheme: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe()
    tab = visit(written(tmp_path), color_scheme=scheme)
    tab.get_by_role("group", name="looks").get_by_role("button").nth(2).focus()
    tab.get_by_text("As a table").click()
    tab.locator("details .scroll > *").wait_for()  # filled once the browser tells of the opening
    assert axe.run(tab).response["violations"] == []
