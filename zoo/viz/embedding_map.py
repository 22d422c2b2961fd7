"""Maps of embeddings: texts that mean alike stand near each other; a page to look around in, and a picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.data.vectors import BLOCK, nearest
from zoo.errors import UserError
from zoo.viz.page_template import Markup, write_page

# Of the labels, most frequent first; at least 3 : 1 on white. The page has its own for the dark.
COLORS = ("#0072b2", "#d55e00", "#00805c", "#a83fa0", "#8a6100", "#d1245f", "#1f8391", "#5b5bd6")
REST, REST_COLOR = "other labels", "#52605b"
SIDE = 1000  # the longer side of the map: places stand in the page as whole numbers
NEAR = 5  # neighbours that are told of a text
LONGEST = 500  # characters of a text that are shown
PERPLEXITY = 30.0  # scikit-learn's own


class Layout(NamedTuple):
    """Where texts stand: float32 [N, 2], the second upwards, and how much of the vectors that shows, in words."""

    places: np.ndarray
    about: str


def lay_out(vectors: np.ndarray, method: str = "pca", seed: int = 0) -> Layout:
    """Brings vectors into two dimensions.

    Args:
        vectors: float32 [N, D], of length 1; N is at least 3.
        method: "pca", the two directions in which they differ most (Pearson, 1901), always the same; or "tsne", which
            keeps neighbours together (van der Maaten and Hinton, 2008), by scikit-learn.
        seed: of t-SNE.

    Raises: UserError for t-SNE where scikit-learn is not installed.
    """
    centred = vectors - vectors.mean(axis=0)
    if method == "tsne":
        return _neighbours(centred, seed)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2]
    # An axis may point either way: to where its largest part is positive, so that equal vectors make equal maps.
    largest = np.argmax(np.abs(directions), axis=1, keepdims=True)
    directions = directions * np.sign(np.take_along_axis(directions, largest, 1))
    share = float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-12))
    about = f"The two directions in which the vectors differ most, which hold {share:.0%} of their differences."
    return Layout((centred @ directions.T).astype(np.float32), about)


def _neighbours(vectors: np.ndarray, seed: int) -> Layout:
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError:
        remedy = "pip install scikit-learn, or take --method pca."
        raise UserError("t-SNE needs scikit-learn, which is not installed", remedy=remedy) from None
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    about = "t-SNE: neighbours stand together; how far groups are from each other says little."
    return Layout(found.astype(np.float32), about)


def groups_of(labels: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Names of groups that have a colour each, the most frequent labels first, and the number of each text's group.

    Where there are more labels than colours, the last group is all the others.
    """
    counted = [name for name, _ in Counter(labels).most_common()]
    own = counted if len(counted) <= len(COLORS) else counted[: len(COLORS)]
    names = own if len(own) == len(counted) else [*own, REST]
    numbers = {name: number for number, name in enumerate(own)}
    return names, np.array([numbers.get(label, len(own)) for label in labels], np.int64)


def write_map_page(
    texts: Sequence[str], vectors: np.ndarray, layout: Layout, path: str | Path, title: str, labels: Sequence[str] = ()
) -> None:
    """Writes one HTML file that needs nothing else: texts are pointed at, found and told apart by label.

    Args:
        texts: N.
        vectors: float32 [N, D], of length 1: neighbours are told by their cosine, not by their place in the map.
        layout: of these vectors.
        path: of the page.
        title: its heading.
        labels: of the texts; may be empty.

    Raises: ValueError where vectors, places or labels are not those of the texts.
    """
    counts = {len(texts), len(vectors), len(layout.places), len(labels) or len(texts)}
    if len(counts) > 1:
        raise ValueError(
            f"{len(texts)} texts, {len(vectors)} vectors, {len(layout.places)} places and {len(labels)} labels."
        )
    names, numbers = groups_of(labels)
    places = layout.places - layout.places.min(axis=0)
    places = np.rint(places * SIDE / max(float(places.max()), 1e-12)).astype(int)
    cosines, near = _near(vectors)
    data = {
        "texts": [text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" for text in texts],
        "places": places.tolist(),
        "names": names,
        "groups": numbers.tolist(),
        "labels": list(labels),
        "near": near,
        "cosines": cosines,
    }
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # A text may hold "</script>", which would end the data.
    write_page("map", path, title=title, about=layout.about, data=Markup(written.replace("<", "\\u003c")))


def _near(vectors: np.ndarray) -> tuple[list[list[float]], list[list[int]]]:
    """Cosines and numbers of the nearest other texts of each."""
    blocks = [vectors[start : start + BLOCK] for start in range(0, len(vectors), BLOCK)]
    scores, rows = nearest(vectors, blocks, NEAR + 1)
    kept = [[k for k in range(rows.shape[1]) if rows[i, k] != i][:NEAR] for i in range(len(rows))]
    cosines = [[round(float(scores[i, k]), 3) for k in chosen] for i, chosen in enumerate(kept)]
    return cosines, [[int(rows[i, k]) for k in chosen] for i, chosen in enumerate(kept)]


def draw_map(layout: Layout, path: str | Path, title: str, labels: Sequence[str] = ()) -> None:
    """Writes the map as a picture; its ending says the format: .png, .svg, .pdf."""
    from matplotlib.figure import Figure  # without pyplot: no window system, nothing kept between pictures

    figure = Figure(figsize=(9, 7), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    names, numbers = groups_of(labels)
    chosen = [(name, layout.places[numbers == number]) for number, name in enumerate(names)] or [("", layout.places)]
    for (name, places), color in zip(chosen, (*COLORS, REST_COLOR), strict=False):
        # Names are shown as they are: "$" would begin a formula, "_" hide the name.
        axes.scatter(places[:, 0], places[:, 1], s=14, c=color, alpha=0.7, linewidths=0, label=f" {name}")
    axes.set_title(title, parse_math=False)
    axes.set_xlabel(layout.about, fontsize=8, color="gray")
    axes.set(xticks=[], yticks=[], aspect="equal")
    if names:
        legend = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    figure.savefig(path, facecolor="white")
