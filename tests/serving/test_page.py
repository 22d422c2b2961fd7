import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.page_models import save_translator
from zoo.serving.page import page
from zoo.serving.server import RunningServer, start


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("page") / "small"
    save_translator(home)
    with start(home) as running:
        yield running


def test_the_page_and_its_parts_come_with_their_types(server: RunningServer) -> None:
    answer = page(server.models)
    status, body, kind = answer("/")
    assert (status, kind) == (200, b"text/html; charset=utf-8")
    assert body.startswith(b"<!doctype html>") and answer("/playground/index.html") == (status, body, kind)
    kinds = {path: answer(f"/playground/{path}")[2] for path in ("main.js", "style.css", "icon.svg", "models.json")}
    assert kinds == {
        "main.js": b"text/javascript; charset=utf-8",
        "style.css": b"text/css; charset=utf-8",
        "icon.svg": b"image/svg+xml",
        "models.json": b"application/json",
    }


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/playground",
        "/playground/",
        "/index.html",
        "/main.js",
        "/playground/none.js",
        "/playground/../page.py",
        "/playground/..%2fpage.py",
        "/playground//main.js",
        "/playground/./main.js",
        "/playground/main.js/",
        "/playground/%2e%2e/page.py",
        "/playground/MAIN.JS",
        "//etc/passwd",
    ],
)
def test_any_other_path_is_not_the_pages(server: RunningServer, path: str) -> None:
    assert page(server.models)(path) is None


def test_nothing_comes_from_elsewhere_and_no_script_stands_in_the_page(server: RunningServer) -> None:
    answer = page(server.models)
    html = answer("/")[1].decode()
    assert "script-src 'self';" in html and "default-src 'none';" in html
    folder = Path(__file__).parents[2] / "zoo" / "serving" / "page"
    for file in folder.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//www" not in text and 'src="http' not in text and "@import" not in text, file.name
        for way_in in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert way_in not in text, file.name
        assert text.count("\n") <= 400, file.name


def test_the_list_tells_versions_cards_and_what_signatures_answer(translator: RunningServer) -> None:
    listed = json.loads(page(translator.models)("/playground/models.json")[1])
    assert listed == {
        "models": [
            {
                "name": "small",
                "versions": [{"version": "1", "state": "AVAILABLE", "error": ""}],
                "card": "# small\n\nWord by **word**.\n\n| score | value |\n|---|---|\n| BLEU | 12.5 |\n",
                "about": {"serving_default": "the best translation"},
                "examples": {"serving_default": {"text": "a dog runs"}},
            }
        ]
    }


def test_a_model_without_a_card_or_with_a_broken_one_is_listed_too(translator: RunningServer, tmp_path: Path) -> None:
    with translator.models.use("small") as servable:
        extra = servable.path / "assets.extra"
    kept = {file: file.read_bytes() for file in extra.iterdir()}
    try:
        (extra / "README.md").write_bytes(b"\xff\xfe card")
        (extra / "signatures.json").write_text("[1]")
        model = json.loads(page(translator.models)("/playground/models.json")[1])["models"][0]
        assert (model["card"], model["about"]) == ("\ufffd\ufffd card", {})
        (extra / "README.md").unlink()
        model = json.loads(page(translator.models)("/playground/models.json")[1])["models"][0]
        assert model["card"] == ""
    finally:
        for file, content in kept.items():
            file.write_bytes(content)
