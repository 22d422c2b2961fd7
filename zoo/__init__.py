"""A transformer zoo for Keras 3: train on your own data, export to TensorFlow Serving.

    import zoo
    translate = zoo.load("saved_models/multi30k-en-de")
    translate(["A dog runs."])

Everything here is loaded when it is first asked for, so that `import zoo` loads neither Keras nor TensorFlow.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "families", "load", "tasks"]

_LAZY = {
    "load": "zoo.export.loaded:load",
    "Client": "zoo.serving.client:Client",
    "AsyncClient": "zoo.serving.client:AsyncClient",
}


def families() -> list[str]:
    """Names of all model families, sorted."""
    return sorted(import_module("zoo.models.registry").FAMILIES)


def __getattr__(name: str) -> Any:
    if name == "tasks":
        return import_module("zoo.tasks")
    if name not in _LAZY:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    module, attribute = _LAZY[name].split(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
