"""The generated English and German of `zoo.data.toy_language`, as a set."""

from collections.abc import Mapping
from pathlib import Path

from zoo.data.readers import Table
from zoo.data.registry import About
from zoo.data.toy_language import table


class ToyLanguage:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="Apache-2.0, as this project",
        home="zoo/data/toy_language.py",
        description="English sentences with their German translations, made by a small synchronous grammar.",
    )
    splits = ("train", "validation", "test")
    columns = ("en", "de")

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split, made as they are read."""
        return table(split, columns)

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the sentences themselves."""
        return None


SET = ToyLanguage()
