"""The second objective of pre-training, beside the masked words: two segments of text, and whether they belong so.

"next_sentence" (Devlin et al., 2018, arXiv 1810.04805): does the second follow the first, or is it of another document?
"sentence_order" (Lan et al., 2019, arXiv 1909.11942): are the two in their order, or exchanged? Half of the rows are
so, half so, drawn anew each time a row is drawn. The pooled vector tells it: 0 as they stood, 1 not, as in BERT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.segments import Segments
from zoo.data.tables import Table

OBJECTIVES = ("none", "next_sentence", "sentence_order")
UNTOLD = -1  # a row without a pair


def room(subwords: Any, most: int) -> int:
    """Pieces of a segment, where a row has `most`: what special pieces leave of half of it."""
    return (most - 2 - subwords.pair_ends) // 2


def paired(table: Table, subwords: Any, most: int, objective: str) -> Table:
    """Texts, a document to each empty one, as the pairs of segments that `encode` takes."""
    return Segments(table, subwords.encode, room(subwords, most), objective == "next_sentence")


def encode(values: Mapping[str, np.ndarray], subwords: Any, most: int) -> dict[str, Any]:
    """A pair of segments in its order as a row.

    Returns: ids, segments int32 [T]; border int32, the pieces of the first segment, 0 where nothing is to be told; and
        stranger int32 [T], what may take the place of the second, empty where the two are exchanged instead.
    """
    first, second, stranger = values["first"], values["second"], values.get("stranger")
    packed = subwords.pack(first, second if len(second) else None, most=most)
    told = len(second) and (stranger is None or len(stranger))
    stranger = np.zeros(0, np.int32) if stranger is None else stranger
    border = np.int32(len(first) if told else 0)
    return {"ids": packed.ids, "segments": packed.segments, "border": border, "stranger": stranger}


def length(row: Mapping[str, Any], subwords: Any) -> int:
    """Upper bound of a row's length, whatever is drawn."""
    other = int(row["border"]) + len(row["stranger"]) + 2 + subwords.pair_ends
    return max(len(row["ids"]), other if row["border"] else 0)


def draw(row: Mapping[str, Any], rng: np.random.Generator, subwords: Any) -> dict[str, Any]:
    """The row as it stood or not, with `order`: 0 or 1, or `UNTOLD`."""
    border = int(row["border"])
    if not border:
        return {**row, "order": UNTOLD}
    if rng.random() < 0.5:
        return {**row, "order": 0}
    first, second = row["ids"][1 : 1 + border], row["ids"][1 + border + subwords.pair_ends : -1]
    first, second = (first, row["stranger"]) if len(row["stranger"]) else (second, first)
    packed = subwords.pack(first, second, most=len(first) + len(second) + 2 + subwords.pair_ends)
    return {**row, "ids": packed.ids, "segments": packed.segments, "order": 1}


def pad(rows: Sequence[Mapping[str, Any]], most: int) -> dict[str, np.ndarray]:
    """order int32 [B]; ordered bool [B]: where there is one to be told."""
    order = np.full(most, UNTOLD, np.int32)
    order[: len(rows)] = [row["order"] for row in rows]
    return {"order": np.maximum(order, 0), "ordered": order != UNTOLD}


def sums(model: Any, hidden: Any, batch: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """What is added to the objective of the masked words.

    Args:
        model: with `order_logits`.
        hidden: [B, T, D], of the batch.
        weight: of a row, in masked words.
    """
    from keras import ops

    from zoo.training.losses import smoothed_cross_entropy

    logits, order, ordered = model.order_logits(hidden, batch["mask"]), batch["order"], batch["ordered"]
    right = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), order)
    return {
        "loss": weight * smoothed_cross_entropy(logits, order, ordered),
        "order_accuracy": ops.sum(ops.cast(ops.logical_and(right, ordered), "float32")),
        "order_accuracy_count": ops.sum(ops.cast(ordered, "float32")),
    }
