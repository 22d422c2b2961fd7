"""The playground: a page to try the models with, and the list of models that it asks for.

The files in `page/` are read once, when the server starts, and found by their names in a table: no path of a request
ever reaches the disk. The page asks everything else by TensorFlow Serving's own REST API.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from zoo.serving.models import Models, State
from zoo.serving.status import RequestError
from zoo.serving.tensor_proto import to_array
from zoo.serving.warmup import FILE

Answer = tuple[int, bytes, bytes]  # HTTP status, body, content type

LIST = "/playground/models.json"
_KINDS = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_LARGEST_CARD = 200_000  # characters; a card is a page or two
_RECORDS = 64  # of a warm-up file, looked through for examples
_LARGEST_EXAMPLE = 1000  # characters of JSON


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
    the `card` (Markdown, empty where it has none), `about` (signature -> what it answers) and `examples` (signature ->
    input -> a row to begin with).
    """
    found = []
    for name in models.names():
        try:
            versions = models.status(name)
            with models.use(name) as servable:
                path = servable.path
        except RequestError:  # it was unloaded while we looked
            continue
        listed = [
            {"version": str(each.version), "state": each.state.value, "error": each.message}
            for each in versions
            if each.state is not State.END or each.message  # what was served once is no news, what failed is
        ]
        extra = {"card": _card(path), "about": _about(path), "examples": _examples(path / FILE)}
        found.append({"name": name, "versions": listed, **extra})
    return found


def _files() -> dict[str, tuple[bytes, bytes]]:
    """Path of a request -> content and its type."""
    found = {
        f"/playground/{each.name}": (each.read_bytes(), _KINDS[Path(each.name).suffix])
        for each in files("zoo.serving").joinpath("page").iterdir()
    }
    return {"/": found["/playground/index.html"], **found}


def _card(version: Path) -> str:
    try:
        with (version / "assets.extra" / "README.md").open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_CARD)
    except OSError:
        return ""


def _about(version: Path) -> dict[str, str]:
    """What the signatures answer, as `signatures.json` of our exports says; models of others have no such file."""
    try:
        signatures = json.loads((version / "assets.extra" / "signatures.json").read_bytes())["signatures"]
        return {name: str(each["about"]) for name, each in signatures.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


@lru_cache(maxsize=256)  # a version that is served does not change, and reading this takes TensorFlow
def _examples(warmup: Path) -> dict[str, dict[str, Any]]:
    """The first row of the first warm-up request of each signature; pictures and sounds are left out."""
    if not warmup.exists():
        return {}
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    found: dict[str, dict[str, Any]] = {}
    try:
        for record in tf.data.TFRecordDataset(str(warmup)).take(_RECORDS).as_numpy_iterator():
            request = PredictionLog.FromString(record).predict_log.request
            rows = {
                name: _row(to_array(value)) for name, value in request.inputs.items() if not name.endswith("_bytes")
            }
            small = {name: row for name, row in rows.items() if len(json.dumps(row)) <= _LARGEST_EXAMPLE}
            found.setdefault(request.model_spec.signature_name or "serving_default", small)
    except (ValueError, tf.errors.OpError):  # the version is leaving, or takes values that JSON has not
        pass
    return found


def _row(array: np.ndarray) -> Any:
    """The first row of a batch (a scalar is its own) as JSON has it."""
    if array.ndim and not len(array):
        return None
    return _plain(array[0] if array.ndim else array[()])


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value.item()
