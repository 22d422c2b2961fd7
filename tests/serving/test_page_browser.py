"""The playground in headless Chromium, on a real server with small models."""

import ast
import json
import re
import shutil
import subprocess
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import run_python
from tests.serving.page_models import save_senses, save_translator
from zoo.serving.options import Options
from zoo.serving.server import start

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PICTURE_SIZE = 40, 20

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the small models with the page."""
    folder = tmp_path_factory.mktemp("playground")
    save_translator(folder / "small")
    save_senses(folder / "senses")
    with start(folder, options=Options(metrics=True)) as running:
        yield running.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        own = Path(driver.chromium.executable_path)
        if not (CHROMIUM or own.exists()):
            pytest.skip("no Chromium: install one, or run `playwright install chromium`")
        launched = driver.chromium.launch(executable_path=CHROMIUM or str(own), args=OPTIONS)
        yield launched
        launched.close()


@pytest.fixture
def visit(served: str, browser: Any) -> Iterator[Open]:
    """Opens the page at a model and a signature; at the end it has logged no error."""
    mistakes: list[str] = []
    contexts = []

    def open_page(address: str = "small", **choices: Any) -> Any:
        context = browser.new_context(reduced_motion="reduce", **choices)
        contexts.append(context)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.on("pageerror", lambda error: mistakes.append(str(error)))
        tab.on("console", lambda line: mistakes.append(line.text) if line.type == "error" else None)
        tab.goto(f"{served}/#/{address}")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    refused = "Failed to load resource"  # which a browser says of every answer that is not 200
    assert [each for each in mistakes if not each.startswith(refused)] == []


def ask(tab: Any, text: str) -> Any:
    """Sends a text and returns the answer's element."""
    tab.get_by_role("textbox", name="text").fill(text)
    tab.get_by_role("button", name="Ask").click()
    answer = tab.locator(".result .answer")
    answer.wait_for()
    return answer


def copied(tab: Any, title: str) -> str:
    return tab.get_by_role("region", name=f"{title} request").inner_text()


def run_shell(lines: str, folder: Path | None = None) -> str:
    if not shutil.which("curl"):
        pytest.skip("no curl")
    return subprocess.run(["sh", "-c", lines], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_sentence_is_translated(visit: Open) -> None:
    tab = visit()
    assert ask(tab, "a dog runs").inner_text() == "ein Hund rennt"
    assert tab.get_by_role("region", name="Answer", exact=True).locator("dl").inner_text().split() == [
        "score",
        "−0.2500",
    ]
    assert re.search(r"\d+\.\d ms there and back", tab.locator("form").inner_text())
    assert tab.get_by_text("the best translation").is_visible()
    assert tab.get_by_role("row", name="BLEU 12.5").is_visible()  # of the card
    assert tab.get_by_role("link", name="small").get_attribute("aria-current") == "page"


def test_the_form_begins_with_an_example_and_keeps_what_stands_in_it(visit: Open) -> None:
    tab = visit()
    box = tab.get_by_role("textbox", name="text")
    playwright.expect(box).to_have_value("a dog runs")  # of the warm-up requests
    box.fill("a dog sleeps")
    tab.get_by_text("attention", exact=True).click()
    playwright.expect(box).to_have_value("a dog sleeps")
    assert tab.url.endswith("#/small/attention")
    tab.get_by_role("button", name="Ask").click()
    playwright.expect(tab.get_by_role("group", name="Answer pieces")).to_have_text("einHundschläft")


def test_metrics_are_shown_where_the_server_has_them(visit: Open) -> None:
    tab = visit()
    ask(tab, "a dog runs")
    tab.get_by_text("requests OK").wait_for()
    assert re.search(r"mean time in the server\s+\d+\.\d ms", tab.locator("main").inner_text())


def test_a_piece_that_is_pointed_at_shows_what_it_looked_at(visit: Open) -> None:
    tab = visit(viewport={"width": 1000, "height": 800})
    ask(tab, "a dog runs")
    lines, answer = tab.locator(".lines path"), tab.get_by_role("group", name="Answer pieces")
    answer.wait_for()
    playwright.expect(lines).to_have_count(3)
    piece = answer.get_by_role("button", name="Hund: dog 100 %")
    piece.hover()
    playwright.expect(lines).to_have_count(1)
    source = tab.get_by_role("group", name="Source pieces").get_by_role("button")
    weights = [source.nth(i).evaluate("e => e.style.getPropertyValue('--weight')") for i in range(3)]
    assert weights == ["0.000", "1.000", "0.000"]


def test_it_works_by_the_keyboard_alone(visit: Open) -> None:
    tab = visit()
    box = tab.get_by_role("textbox", name="text")
    box.wait_for()
    for _ in range(10):
        tab.keyboard.press("Tab")
        if box.evaluate("e => e === document.activeElement"):
            break
    tab.keyboard.press("Control+A")
    tab.keyboard.type("dog sleeps")
    tab.keyboard.press("Control+Enter")
    tab.get_by_role("group", name="Source pieces").wait_for()
    tab.keyboard.press("Tab")  # to the button
    tab.keyboard.press("Tab")  # to the first piece
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.textContent") == "sleeps"
    playwright.expect(tab.locator(".lines path")).to_have_count(1)


def test_markup_in_an_answer_stays_text(visit: Open) -> None:
    tab = visit()
    evil = "<img src=x onerror=document.title='owned'> <script>document.title='owned'</script>"
    assert ask(tab, evil).inner_text() == evil
    tab.get_by_role("group", name="Answer pieces").wait_for()
    assert tab.locator("main img, main script").count() == 0
    assert tab.title() == "small · Playground"


def test_the_lines_to_copy_ask_the_same(visit: Open) -> None:
    tab = visit()
    ask(tab, "a dog's “runs” \\ $HOME `x` ä")
    seen = tab.locator(".answer").inner_text()
    assert ast.literal_eval(run_python(f"{copied(tab, 'Python')}\nprint(answer)"))["text"] == [seen]
    assert json.loads(run_shell(copied(tab, "curl")))["outputs"]["text"] == [seen]


def test_mistakes_are_told_and_the_form_goes_on(visit: Open) -> None:
    tab = visit("senses/add")
    x, many = tab.get_by_label("x float"), tab.get_by_label("many a list of int32")
    many.fill("[1.5]")
    tab.get_by_role("button", name="Ask").click()
    told = "400: JSON Value: 1.5 Type: Number is not of expected type: int32"
    playwright.expect(tab.get_by_role("alert")).to_have_text(told)
    x.fill("0")
    many.fill("[1, 2")
    tab.get_by_role("button", name="Ask").click()
    playwright.expect(tab.get_by_role("alert")).to_have_text("many: this takes a list as JSON, such as [0].")
    assert many.evaluate("e => e === document.activeElement")
    many.fill("[1, 2]")
    tab.get_by_label("negative").check()
    tab.get_by_role("button", name="Ask").click()
    playwright.expect(tab.locator(".result dd")).to_have_text(["-Infinity", "−3"])


def test_a_server_that_wants_a_token_gets_it(visit: Open) -> None:
    tab = visit()
    tab.route("**/playground/models.json", refuse_without_token)
    tab.reload()
    tab.get_by_label("This server wants a bearer token").fill("secret")
    tab.keyboard.press("Enter")
    ask(tab, "a dog runs")
    assert "-H 'Authorization: Bearer secret'" in copied(tab, "curl")
    assert 'token="secret"' in copied(tab, "Python")


def refuse_without_token(route: Any) -> None:
    if route.request.headers.get("authorization") == "Bearer secret":
        route.continue_()
    else:
        route.fulfill(status=401, body='{"error": "a token, please"}')


def test_boxes_are_drawn_on_a_picture(visit: Open, tmp_path: Path) -> None:
    from matplotlib.image import imsave

    file = tmp_path / "it's a cat.png"
    imsave(file, np.zeros((PICTURE_SIZE[1], PICTURE_SIZE[0], 3), np.uint8))
    tab = visit("senses/serving_default")
    tab.get_by_label("image_bytes").set_input_files(file)
    tab.get_by_role("img", name="The chosen picture").wait_for()
    tab.get_by_role("button", name="Ask").click()
    drawn = tab.get_by_role("img", name="The picture with 2 boxes: cat 90.0 %, dog 50.0 %")
    drawn.wait_for()
    assert drawn.evaluate("e => [e.width, e.height]") == list(PICTURE_SIZE)
    assert drawn.evaluate("e => Math.max(...e.getContext('2d').getImageData(3, 6, 1, 1).data.slice(0, 3))") > 50
    python = f"import os, zoo\nos.chdir({str(tmp_path)!r})\n{copied(tab, 'Python')}\nprint(answer)"
    assert ast.literal_eval(run_python(python))["labels"] == [["cat", "dog", ""]]
    assert json.loads(run_shell(copied(tab, "curl"), tmp_path))["outputs"]["ok"] == [True]


def test_a_picture_is_taken_by_the_camera(visit: Open) -> None:
    tab = visit("senses/serving_default")
    tab.get_by_role("button", name="Camera").click()
    tab.get_by_role("button", name="Take the picture").click()
    tab.get_by_role("link", name="Save camera.jpg").wait_for()
    tab.get_by_role("button", name="Ask").click()
    tab.get_by_role("img", name="The picture with 2 boxes").wait_for()


def test_words_stand_over_the_sound(visit: Open, tmp_path: Path) -> None:
    file = tmp_path / "tone.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes((9000 * np.sin(np.arange(8000))).astype("<i2").tobytes())
    tab = visit("senses/words")
    tab.get_by_label("audio_bytes").set_input_files(file)
    tab.get_by_role("button", name="Ask").click()
    word = tab.get_by_role("button", name="Play from world, 0.50 to 0.90 s")
    word.wait_for()
    assert word.evaluate("e => [e.style.left, e.style.width]") == ["50%", "40%"]
    assert tab.get_by_role("button", name="Play from").count() == 2  # the third row is padding


def test_the_microphone_gives_a_sound_file(visit: Open) -> None:
    tab = visit("senses/words")
    tab.get_by_role("button", name="Microphone").click()
    stop = tab.get_by_role("button", name="Stop recording")
    stop.wait_for()
    tab.wait_for_timeout(500)
    stop.click()
    tab.get_by_role("link", name="Save microphone.wav").wait_for()


def test_a_phone_needs_no_scrolling_sideways(visit: Open) -> None:
    tab = visit(viewport={"width": 320, "height": 640})
    ask(tab, "a dog runs and a dog sleeps and a dog runs")
    assert tab.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(visit: Open, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe()
    tab = visit(color_scheme=scheme)
    ask(tab, "a dog runs")
    tab.get_by_role("group", name="Answer pieces").wait_for()
    tab.get_by_text("As a table").click()
    assert axe.run(tab).response["violations"] == []
    tab.goto(tab.url.split("#")[0] + "#/senses/words")
    tab.get_by_label("audio_bytes").wait_for()
    assert axe.run(tab).response["violations"] == []
