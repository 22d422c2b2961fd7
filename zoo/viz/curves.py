"""Curves of a training: losses, scores and learning rates over the updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


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
    _save(figure, path)


def draw_lines(
    lines: Mapping[str, Sequence[float]], path: Path, *, what: str, title: str = "", window: int = 1
) -> None:
    """Draws values of each update, one line a name; the picture appears whole.

    Args:
        lines: float [updates] by name, from update 1.
        path: a .png file.
        what: the values are, with their unit.
        title: of the picture.
        window: a line is the mean of so many updates; above 1 the values themselves stand behind it, pale.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, given in lines.items():
        values = np.asarray(given, "float64")
        mean = np.convolve(values, np.ones(window) / window, "valid")
        (line,) = axes.plot(np.arange(window, len(values) + 1), mean, label=name)
        if window > 1:
            axes.plot(np.arange(1, len(values) + 1), values, color=line.get_color(), alpha=0.2, linewidth=0.8)
    axes.set(xlabel="updates", ylabel=what, title=title)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    draft = path.with_suffix(".partial.png")
    figure.savefig(draft, dpi=120)
    draft.replace(path)


def _line(axes: Any, rows: Sequence[dict[str, float]], column: str, label: str, **style: Any) -> None:
    points = [(row["step"], row[column]) for row in rows if column in row]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, marker=".", **style)
