"""Curves of a training: losses and scores over the updates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw_run(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Draws the learning curve of a run; the picture appears whole.

    Args:
        rows: of log.csv: step, loss, validation_loss, rate and, where it selects, score.
        path: a .png file.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, nothing kept between pictures

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for column, label in (("loss", "training loss"), ("validation_loss", "validation loss")):
        _line(axes, rows, column, label)
    axes.set(xlabel="updates", ylabel="loss, nats a token")
    axes.grid(alpha=0.3)
    if any("score" in row for row in rows):
        right = axes.twinx()
        _line(right, rows, "score", "score", color="tab:green")
        right.set_ylabel("score")
        right.legend(loc="lower right")
    axes.legend(loc="upper right")
    draft = path.with_suffix(".partial.png")
    figure.savefig(draft, dpi=120)
    draft.replace(path)


def _line(axes: Any, rows: Sequence[dict[str, float]], column: str, label: str, **style: Any) -> None:
    points = [(row["step"], row[column]) for row in rows if column in row]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, marker=".", **style)
