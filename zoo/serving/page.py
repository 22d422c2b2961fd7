"""The playground: a page to try the models with, and the list of models that it asks for.

The files in `page/` are read once, when the server starts, and found by their names in a table: no path of a request
ever reaches the disk. The page asks everything else by TensorFlow Serving's own REST API.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from zoo.serving.models import Models, State
from zoo.serving.status import RequestError

Answer = tuple[int, bytes, bytes]  # HTTP status, body, content type

LIST = "/playground/models.json"
_KINDS = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_LARGEST_CARD = 200_000  # characters; a card is a page or two


def page(models: Models) -> Callable[[str], Answer | None]:
    """The page and what belongs to it.

    Args:
        models: what is served.
    Returns: a function from the path of a GET request, without its query, to (HTTP status, body, content type), or None
        where the path is not the playground's.
    """
    table = _files()

    def answer(path: str) -> Answer | None:
        if path == LIST:
            return 200, json.dumps({"models": list_models(models)}).encode(), b"application/json"
        found = table.get(path)
        return (200, *found) if found else None

    return answer


def list_models(models: Models) -> list[dict[str, Any]]:
    """What is served, a dict a model.

    Each has `name`; `versions`, newest first, each with `version`, `state` and `error`; and of the newest that answers
    the `card` (Markdown, empty where it has none) and `about` (signature -> what it answers).
    """
    found = []
    for name in models.names():
        try:
            versions = models.status(name)
            with models.use(name) as servable:
                folder = servable.path / "assets.extra"
        except RequestError:  # it was unloaded while we looked
            continue
        listed = [
            {"version": str(each.version), "state": each.state.value, "error": each.message}
            for each in versions
            if each.state is not State.END or each.message  # what was served once is no news, what failed is
        ]
        found.append({"name": name, "versions": listed, "card": _card(folder), "about": _about(folder)})
    return found


def _files() -> dict[str, tuple[bytes, bytes]]:
    """Path of a request -> content and its type."""
    found = {
        f"/playground/{each.name}": (each.read_bytes(), _KINDS[Path(each.name).suffix])
        for each in files("zoo.serving").joinpath("page").iterdir()
    }
    return {"/": found["/playground/index.html"], **found}


def _card(folder: Path) -> str:
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_CARD)
    except OSError:
        return ""


def _about(folder: Path) -> dict[str, str]:
    """What the signatures answer, as `signatures.json` of our exports says; models of others have no such file."""
    try:
        signatures = json.loads((folder / "signatures.json").read_bytes())["signatures"]
        return {name: str(each["about"]) for name, each in signatures.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
