"""Attention of every layer and head as a page to look around in, after BertViz's head view (Vig, 2019; 1906.05714)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.viz.page_template import Markup, write_page

SCALE = 1000  # weights stand in the page as whole thousandths


def write_attention_page(pieces: Sequence[str], weights: np.ndarray, path: str | Path, title: str) -> None:
    """Writes one HTML file that needs nothing else: layer and head are chosen, pieces pointed at, in any browser.

    Args:
        pieces: T, as the model read them.
        weights: float [layers, H, T, T], queries by keys; each row adds up to 1.
        path: of the page.
        title: its heading.

    Raises: ValueError where the weights are not those of the pieces.
    """
    weights = np.asarray(weights)
    length = len(pieces)
    if weights.ndim != 4 or weights.shape[2:] != (length, length) or not weights.size:
        raise ValueError(f"Weights {weights.shape} are not those of {length} pieces, [layers, H, {length}, {length}].")
    thousandths = np.rint(weights * SCALE).astype(int).tolist()
    data = json.dumps({"pieces": list(pieces), "weights": thousandths}, ensure_ascii=False, separators=(",", ":"))
    # A piece may hold "</script>", which would end the data.
    write_page("attention", path, title=title, data=Markup(data.replace("<", "\\u003c")))
