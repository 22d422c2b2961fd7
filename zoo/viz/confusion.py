"""Pictures of confusion matrices: which class was taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.viz.attention import CELL, FONTS, LARGEST

MARGIN = 1.5  # inches around the cells, for what no row of labels takes
CHARACTER = 0.09  # inches of one of a label
LONGEST = 30  # characters of a label that are shown


def draw_confusion(labels: Sequence[str], counts: np.ndarray, path: str | Path) -> None:
    """Writes a table of right labels (rows) by answers (columns), darker where more of a row's texts went.

    Args:
        labels: names of C classes.
        counts: int [C, C], as `zoo.evaluation.classification.confusion` gives them.
        path: of the picture; its ending says the format: .png, .svg, .pdf.

    Raises: ValueError where the counts are not those of the labels.
    """
    from matplotlib import font_manager
    from matplotlib.figure import Figure  # without pyplot: no window system, nothing kept between pictures

    counts, size = np.asarray(counts), len(labels)
    if not size or counts.shape != (size, size):
        raise ValueError(f"Counts {counts.shape} are not those of {size} labels.")
    cell = min(1.5 * CELL, LARGEST / size)
    names = [label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…" for label in labels]
    around = MARGIN + CHARACTER * max(map(len, names))
    figure = Figure(figsize=(cell * size + around, cell * size + around), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    installed = set(font_manager.get_font_names())
    font: dict[str, Any] = {
        "fontsize": min(11.0, 40 * cell),
        "fontfamily": [each for each in FONTS if each in installed],
    }
    # Names are shown as they are: "$" would begin a formula.
    axes.set_xticks(range(size), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False, **font)
    axes.set_yticks(range(size), names, parse_math=False, **font)
    axes.set(xlabel="answer", ylabel="right label", title=f"{int(np.trace(counts)):,} of {int(counts.sum()):,} right")
    axes.tick_params(length=0)
    if cell > CELL / 2:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.6 else "black"
            if count:
                axes.text(column, row, f"{count}", ha="center", va="center", fontsize=20 * cell, color=color)
    figure.savefig(path, facecolor="white")
