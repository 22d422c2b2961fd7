"""log.csv of a run: one row for each pause of the training."""

from __future__ import annotations

import csv
from pathlib import Path

COLUMNS = (
    "step", "epoch", "seconds", "rate", "loss", "gradient_norm", "tokens_per_second", "validation_loss", "score"
)  # fmt: skip


class Log:
    """Rows by step; a row that is written again, after a resume, takes the place of the old one."""

    def __init__(self, path: Path) -> None:
        self.path = path

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
