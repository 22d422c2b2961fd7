"""Score a pair: two texts in, a number out, such as how alike they are; by regression with mean squared error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from zoo.data.plan import Shape
from zoo.errors import UserError
from zoo.recipe import option
from zoo.tasks.task import Signature
from zoo.tasks.text_encoder import Data as TextData
from zoo.tasks.text_encoder import TextEncoder


@dataclass(frozen=True)
class Data(TextData):
    """Pairs of texts with a number each."""

    lowest: float = option(0.0, "the least score that there is")
    highest: float = option(5.0, "the greatest score that there is")

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise UserError(f"the scale from {self.lowest:g} to {self.highest:g} is empty", where="highest")


class ScorePair(TextEncoder):
    """The scorer: encoder, pooler, one output. It learns scores from 0 to 1 and answers on the scale of the data."""

    name = "score_pair"
    exporter = "zoo.export.score_pair:build"
    columns = ("text_a", "text_b", "score")
    head = "classify"
    data = Data

    def sizes(self) -> dict[str, Any]:
        return {"head": self.head, "classes": 1}

    @property
    def meaning(self) -> tuple[Any, ...]:
        return (self.name, self.recipe.data.lowest, self.recipe.data.highest)

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint} {self.meaning}"

    # Scores, from the column to arrays and back.

    def number_in(self, value: Any) -> float:
        """The number that a value of the column "score" stands for.

        Raises: UserError, without a place, where it is none or off the scale.
        """
        data = self.recipe.data
        try:
            found = float(value)
        except (TypeError, ValueError):
            raise UserError(f"a score must be a number, not {value!r:.40}") from None
        if not isfinite(found) or not data.lowest <= found <= data.highest:
            raise UserError(
                f"the score {found:g} is not between {data.lowest:g} and {data.highest:g}",
                remedy="Set data.lowest and data.highest to the scale of the data.",
            )
        return found

    def targets(self, values: Mapping[str, Any]) -> dict[str, Any]:
        data = self.recipe.data
        return {"score": np.float32((self.number_in(values["score"]) - data.lowest) / (data.highest - data.lowest))}

    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """scores float32 [B], from 0 to 1."""
        scores = np.zeros(shape.rows, np.float32)
        scores[: len(rows)] = [row["score"] for row in rows]
        return {"scores": scores}

    # What is minimised.

    def objective(self, model: Any, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        from keras import ops

        from zoo.training.losses import squared_error

        found = model(self.inputs_of(batch), training=training)[:, 0]
        return {
            "loss": squared_error(found, batch["scores"], batch["real"]),
            "count": ops.sum(ops.cast(batch["real"], "float32")),
            "tokens": ops.sum(ops.cast(batch["mask"], "float32")),
        }

    # Answers.

    def predict(self, model: Any, raws: Sequence[tuple[str, str]]) -> list[float]:
        """Scores on the scale of the data, which the model may leave a little at either end."""
        data = self.recipe.data
        found = [float(each[0]) for each in self.outputs(model, self.encode_raws(raws))]
        return [data.lowest + (data.highest - data.lowest) * each for each in found]

    def answer(self, row: Mapping[str, Any]) -> float:
        return float(row["score"])

    def score(self, answers: Sequence[float], references: Sequence[Any]) -> list[Any]:
        """Pearson's correlation (which selects) and Spearman's; the mean squared error, on the scale of the data."""
        from zoo.evaluation.similarity import mean_squared_error, pearson, spearman

        expected = [self.number_in(each) for each in references]
        return [score(answers, expected) for score in (pearson, spearman, mean_squared_error)]

    def signatures(self) -> dict[str, Signature]:
        return {
            "serving_default": Signature(
                {"text_a": "string [B]", "text_b": "string [B]"},
                {"score": "float32 [B]", "truncated": "bool [B]"},
                "the score of the pair",
            )
        }
