"""What a search is asked for and what it answers. Loads neither Keras nor a backend, so that --help stays quick."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from zoo.errors import UserError
from zoo.recipe import option


@dataclass(frozen=True)
class SearchChoices:
    """How the output is looked for: the [decoding] section of a recipe.

    temperature = 0 looks for the most probable output, by greedy search (beam = 1) or beam search; temperature > 0
    draws n_best outputs at random, each on its own.
    """

    beam: int = option(5, "hypotheses kept at each step; 1 is greedy search", low=1, high=1000)
    n_best: int = option(1, "outputs returned for each input, best first", low=1, high=1000)
    length_penalty: float = option(
        1.0, "alpha in score = sum of log-probabilities / length**alpha; 0 prefers short outputs", low=0.0, high=10.0
    )
    length_factor: float = option(2.0, "longest output in tokens: length_factor * input + length_extra", low=0.0)
    length_extra: int = option(10, "longest output in tokens: length_factor * input + length_extra", low=1)
    repetition_penalty: float = option(
        1.0, "multiplies the log-probabilities of tokens that the output has already; 1 is none", low=1.0, high=100.0
    )
    no_repeat_ngram: int = option(0, "no sequence of so many tokens appears twice in an output; 0 allows all", low=0)
    temperature: float = option(
        0.0, "0 searches; above 0, tokens are drawn from softmax(log-probabilities / it)", low=0.0
    )
    top_k: int = option(0, "draw among so many most probable tokens only; 0 is all", low=0)
    top_p: float = option(1.0, "draw among the fewest tokens that have this probability together", low=1e-6, high=1.0)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, low, high = getattr(self, field.name), field.metadata["low"], field.metadata["high"]
            if value < low or (high is not None and value > high):
                allowed = f"at least {low}" if high is None else f"from {low} to {high}"
                raise UserError(f"must be {allowed}, is {value}.", where=field.name)
        if self.temperature == 0:
            if self.n_best > self.beam:
                raise UserError(
                    f"n_best is {self.n_best}, beam only {self.beam}.", where="n_best", remedy="Widen beam."
                )
            for name, none in (("top_k", 0), ("top_p", 1.0)):
                if getattr(self, name) != none:
                    remedy = "Set temperature above 0 to draw at random, or leave it out."
                    raise UserError("is for drawing at random, and temperature is 0.", where=name, remedy=remedy)
        elif self.beam > 1:
            remedy = "Set beam = 1, or temperature = 0."
            raise UserError("drawing at random uses no beam.", where="beam", remedy=remedy)

    @property
    def width(self) -> int:
        """N: hypotheses that are followed for each input."""
        return self.n_best if self.temperature > 0 else self.beam


class Prefix(NamedTuple):
    """Tokens with which the outputs must begin.

    ids: int32 [B, P], without start_id; what stands behind a row's length is not read.
    lengths: int32 [B], 0 to P.
    """

    ids: Any
    lengths: Any

    @staticmethod
    def of(sequences: Sequence[Sequence[int]]) -> "Prefix":
        """Packs one sequence of ids for each row, as wide as the longest of them."""
        lengths = np.array([len(sequence) for sequence in sequences], "int32")
        ids = np.zeros((len(sequences), max(lengths, default=0)), "int32")
        for row, sequence in zip(ids, sequences):
            row[: len(sequence)] = sequence
        return Prefix(ids, lengths)


class Hypotheses(NamedTuple):
    """Outputs of a search, best first.

    ids: int32 [B, N, T]: the tokens, prefix included; end_id where the output came to its end; pad_id behind.
    lengths: int32 [B, N]: tokens, end_id not counted.
    scores: float32 [B, N]: sum of log-probabilities / length**length_penalty, where length counts end_id and the sum
        goes over the prefix too.

    Outputs that reached end_id come first; where there are fewer than N of them, the best of those that were cut off
    at their longest length follow. Where there was nothing possible left to say, length is 0 and score -1e9.
    """

    ids: Any
    lengths: Any
    scores: Any
