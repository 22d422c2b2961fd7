"""Pictures of attention: which source words each target word looked at (after Bahdanau et al., 2015, figure 3)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WORD_MARK = "\u2581"  # SentencePiece begins each word with it
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Hebrew")
CELL, LARGEST = 0.46, 20.0  # inches: of a cell, of a side of the whole table
SHOWN = 0.095  # smaller weights are left without a number


def merge_pieces(
    source_pieces: Sequence[str], target_pieces: Sequence[str], weights: np.ndarray
) -> tuple[list[str], list[str], np.ndarray]:
    """Words, and how much each attended to each, from SentencePiece pieces.

    The weights on the pieces of a source word add up; those of the pieces of a target word are averaged: the weights
    of a target word have the same sum as those of a piece. Punctuation that ends a word stands for itself.

    Args:
        source_pieces: S pieces, as the model read them.
        target_pieces: T pieces, as it wrote them.
        weights: [..., T, S]; row t was in force when piece t was written.

    Returns:
        S' source words, T' target words and the weights float [..., T', S'].
    """
    weights = np.asarray(weights)
    _check(weights, source_pieces, target_pieces)
    source_words, source_starts = _words(source_pieces)
    target_words, target_starts = _words(target_pieces)
    weights = np.add.reduceat(weights, source_starts, axis=-1)
    lengths = np.diff([*target_starts, len(target_pieces)])
    return source_words, target_words, np.add.reduceat(weights, target_starts, axis=-2) / lengths[:, None]


def _check(weights: np.ndarray, source: Sequence[str], target: Sequence[str]) -> None:
    if weights.shape[-2:] != (len(target), len(source)) or not weights.size:
        raise ValueError(
            f"Weights {weights.shape} are not those of {len(target)} target and {len(source)} source parts."
        )


def _words(pieces: Sequence[str]) -> tuple[list[str], list[int]]:
    """Words and the number of the first piece of each."""
    starts: list[int] = []
    for index, piece in enumerate(pieces):
        before = pieces[index - 1] if index else WORD_MARK
        after = pieces[index + 1] if index + 1 < len(pieces) else WORD_MARK
        ends_a_word = _is_punctuation(piece) and before != WORD_MARK and _begins_a_word(after)
        if not index or _begins_a_word(piece) or _is_control(before) or ends_a_word:
            starts.append(index)
    ends = [*starts[1:], len(pieces)]
    words = ["".join(pieces[start:end]) for start, end in zip(starts, ends, strict=True)]
    return [word.replace(WORD_MARK, " ").strip() or WORD_MARK for word in words], starts


def _begins_a_word(piece: str) -> bool:
    return piece.startswith(WORD_MARK) or _is_control(piece)


def _is_control(piece: str) -> bool:
    return piece in ("<s>", "</s>", "<pad>")


def _is_punctuation(piece: str) -> bool:
    return all(unicodedata.category(character).startswith("P") for character in piece)


def draw_attention(
    source_words: Sequence[str], target_words: Sequence[str], weights: np.ndarray, path: str | Path
) -> None:
    """Writes a table of target words (rows) by source words (columns), darker where more was attended to.

    Args:
        weights: [T, S], each row the shares of one target word; they add up to 1.
        path: of the picture; its ending says the format: .png, .svg, .pdf.
    """
    weights = np.asarray(weights, "float32")
    _check(weights, source_words, target_words)
    cell = min(CELL, LARGEST / max(weights.shape))
    figure = Figure(figsize=(cell * len(source_words) + 1, cell * len(target_words) + 1), dpi=150)
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
    _label(axes, source_words, target_words, size=max(4.0, 24 * cell))
    if cell > CELL / 2:
        _annotate(axes, weights, size=18 * cell)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.15, facecolor="white")


def _label(axes: Axes, source_words: Sequence[str], target_words: Sequence[str], size: float) -> None:
    installed = set(font_manager.get_font_names())
    # Words are shown as they are: "$" would begin a formula.
    text: dict[str, Any] = {
        "fontsize": size,
        "fontfamily": [font for font in FONTS if font in installed],
        "parse_math": False,
    }
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(source_words)), source_words, rotation=45, ha="left", rotation_mode="anchor", **text)
    axes.set_yticks(range(len(target_words)), target_words, **text)
    axes.set_xlabel("percent of each row's attention", fontsize=0.7 * size, color="gray", labelpad=8)
    axes.tick_params(length=0, pad=4)
    axes.spines[:].set_visible(False)
    # White lines between the cells.
    axes.set_xticks(np.arange(len(source_words) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(target_words) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)


def _annotate(axes: Axes, weights: np.ndarray, size: float) -> None:
    """Percents in the cells that matter, light on dark and dark on light."""
    for (row, column), weight in np.ndenumerate(weights):
        if weight >= SHOWN:
            color = "white" if weight > 0.6 else colormaps["Blues"](1.0)
            axes.text(column, row, f"{100 * weight:.0f}", ha="center", va="center", fontsize=size, color=color)
