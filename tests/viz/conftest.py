"""Headless Chromium for the tests of pages."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        own = Path(driver.chromium.executable_path)
        if not (CHROMIUM or own.exists()):
            pytest.skip("no Chromium: install one, or run `playwright install chromium`")
        launched = driver.chromium.launch(executable_path=CHROMIUM or str(own), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Opens a file; at the end it has logged no error and asked for nothing else."""
    mistakes: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_page(path: Path, **choices: Any) -> Any:
        context = browser.new_context(**choices)
        contexts.append(context)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.on("pageerror", lambda error: mistakes.append(str(error)))
        tab.on("console", lambda line: mistakes.append(line.text) if line.type == "error" else None)
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(path.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert mistakes == []
    assert all(url.startswith("file:") for url in asked)
