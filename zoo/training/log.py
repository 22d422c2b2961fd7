"""log.csv of a run, one row for each pause of the training; the same numbers for TensorBoard where it is installed."""

from __future__ import annotations

import csv
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

COLUMNS = (
    "step", "epoch", "seconds", "rate", "loss", "gradient_norm", "tokens_per_second", "validation_loss", "score",
    "accuracy", "order_accuracy",
)  # fmt: skip


class Log:
    """Rows by step; a row that is written again, after a resume, takes the place of the old one.

    Args:
        path: the .csv file; TensorBoard's events go into the folder `tensorboard` beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._events: Any = None

    def rows(self) -> list[dict[str, float]]:
        """What stands in the file: numbers by column, empty cells left out."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]

    def write(self, row: dict[str, float]) -> None:
        """Adds a row; rows of the same step or later ones, from before a resume, go."""
        rows = [*(old for old in self.rows() if old["step"] < row["step"]), row]
        draft = self.path.with_suffix(".partial")
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" for k, v in each.items()} for each in rows)
        draft.replace(self.path)
        self._tell_tensorboard(row)

    def _tell_tensorboard(self, row: dict[str, float]) -> None:
        if find_spec("tensorboard") is None:
            return
        if self._events is None:
            if "tensorflow" not in sys.modules:
                # TensorBoard imports TensorFlow where it finds it, unless it was built without; a training on another
                # backend shall not wait for that, nor share its GPU.
                sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
            from tensorboard.summary import Writer

            self._events = Writer(str(self.path.with_name("tensorboard")))
        for name in COLUMNS[3:]:
            if name in row:
                self._events.add_scalar(name, row[name], int(row["step"]))
        self._events.flush()
