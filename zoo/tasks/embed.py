"""Embed: a text in, a vector out; texts that mean alike have vectors that point alike.

It learns from pairs with a score, either to give their vectors that cosine (Reimers and Gurevych, 2019, arXiv
1908.10084), or to find the partner among those of the batch (Henderson et al., 2017, arXiv 1705.00652).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.plan import Shape
from zoo.recipe import option
from zoo.tasks.score_pair import ScorePair
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import INPUTS
from zoo.training.fine_tuning import FineTuning

SIDES = ("a", "b")


@dataclass(frozen=True)
class Training(FineTuning):
    """How an encoder learns to embed."""

    objective: str = option(
        "cosine",
        "cosine: the cosine of a pair is its score, on a scale from 0 to 1; negatives: find the partner among those of "
        "the batch and of the other devices, from pairs of high score alone (accumulated batches do not see each "
        "other)",
        choices=("cosine", "negatives"),
    )
    temperature: float = option(0.05, "negatives: the cosines are divided by it", low=0.001, high=10.0)
    alike: float = option(
        0.8, "negatives: pairs from this score on, as a share of the scale, are learned from", low=0.0, high=1.0
    )


class Embed(ScorePair):
    """The embedder: encoder and pooler. Its answer to a pair is the cosine, by which it is scored."""

    name = "embed"
    exporter = "zoo.export.embed:build"
    head = "pool"
    training = Training
    asked = "similarity"

    def sizes(self) -> dict[str, Any]:
        return {"head": self.head, "classes": 0}

    @property
    def meaning(self) -> tuple[Any, ...]:
        return (self.name,)

    @property
    def fingerprint(self) -> str:
        data, choices = self.recipe.data, self.recipe.training
        return f"{super().fingerprint} {(data.lowest, data.highest, choices.objective, choices.alike)}"

    # Data: the two texts of a pair go through the encoder one by one.

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        rows = [self.encode_inputs([text]) for text in self.texts(values)]
        sides = {f"{name}_{side}": row[name] for side, row in zip(SIDES, rows, strict=True) for name in row}
        return {**sides, **self.targets(values)}

    def lengths(self, row: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(len(row[f"ids_{side}"]) for side in SIDES)

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        choices = self.recipe.training
        if choices.objective == "negatives" and row["score"] < choices.alike:
            return "not alike"
        return super().keep(values, row)

    def make_batch(self, rows: Sequence[dict[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """ids, mask and segments of either side, [B, T]; scores float32 and real bool [B]."""
        batch = {**self.pad_targets(rows, shape), "real": np.arange(shape.rows) < len(rows)}
        for side, length in zip(SIDES, shape.lengths, strict=True):
            given = [{name: row[f"{name}_{side}"] for name in ("ids", "segments")} for row in rows]
            padded = self.pad_inputs(given, Shape(shape.rows, (length,)))
            batch |= {f"{name}_{side}": array for name, array in padded.items()}
        return batch

    # What is minimised.

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        from keras import ops

        from zoo.training.losses import in_batch_negatives, squared_error, unit

        choices, real = self.recipe.training, batch["real"]
        a, b = (model({name: batch[f"{name}_{side}"] for name in INPUTS}, training=training) for side in SIDES)
        if choices.objective == "negatives":
            loss = in_batch_negatives(a, b, real, choices.temperature)
        else:
            loss = squared_error(ops.sum(unit(a) * unit(b), axis=-1), batch["scores"], real)
        return {
            "loss": loss,
            "count": ops.sum(ops.cast(real, "float32")),
            "tokens": sum(ops.sum(ops.cast(batch[f"mask_{side}"], "float32")) for side in SIDES),
        }

    # Answers.

    def embed(self, model: Any, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length 1, float32 [N, D]."""
        found = np.stack(self.outputs(model, self.encode_raws(texts)))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    def predict(self, model: Any, raws: Sequence[tuple[str, str]]) -> list[float]:
        """The cosine of each pair."""
        vectors = self.embed(model, [text for pair in raws for text in pair])
        return [float(a @ b) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]

    def signatures(self) -> dict[str, Signature]:
        pair = {"text_a": "string [B]", "text_b": "string [B]"}
        return {
            "serving_default": Signature(
                {"text": "string [B]"},
                {"embedding": "float32 [B, D]"},
                "the vector of a text, of length 1",
            ),
            "similarity": Signature(pair, {"score": "float32 [B]", "truncated": "bool [B]"}, "the cosine of a pair"),
        }
