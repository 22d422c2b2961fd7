"""The generated scenes of `zoo.data.toy_scenes`, as a set."""

from collections.abc import Mapping
from pathlib import Path

from zoo.data.readers import Table
from zoo.data.registry import About
from zoo.data.toy_scenes import COLUMNS, SPLITS, ToyScenesTable


class ToyScenes:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="Apache-2.0, as this project",
        home="zoo/data/toy_scenes.py",
        description="Circles, squares, triangles and stars on noise, 48 x 48, with labels, boxes, masks and captions.",
    )
    splits = SPLITS
    columns = tuple(COLUMNS)

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split, made as they are read."""
        return ToyScenesTable(split, columns)

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the values themselves."""
        return None


SET = ToyScenes()
