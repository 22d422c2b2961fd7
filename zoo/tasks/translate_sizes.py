"""A sensible recipe for the user's own sentence pairs, from a look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.data.readers import Table
from zoo.errors import UserError
from zoo.progress import track

KNOWN_WORDS = 1_000_000  # types counted; beyond that the vocabulary is at its largest anyway
FIXED_PIECES = 260  # special pieces and bytes

# From this many pairs on: preset, largest vocabulary, dropout, epochs, batch budget. The first row is the recipe
# of Multi30k (29,000 pairs); more data wants a larger model, less dropout and fewer epochs.
SIZES = (
    (0, "tiny", 4_000, 0.3, 80, 4_096),
    (10_000, "tiny", 6_000, 0.3, 60, 8_192),
    (100_000, "small", 16_000, 0.2, 30, 16_384),
    (1_000_000, "base", 32_000, 0.1, 12, 32_768),
)


@dataclass(frozen=True)
class Survey:
    """What the training pairs look like."""

    pairs: int
    words: int
    types: int
    characters: int


def survey(table: Table) -> Survey:
    """Counts pairs, words, different words and different characters of all columns in one pass.

    Raises: UserError where there is no pair that has text on every side.
    """
    pairs, words = 0, 0
    types: set[str] = set()
    characters: set[str] = set()
    with track("looking at the data", total=table.rows) as progress:
        for example in table:
            progress.advance()
            sides = [str(text).split() for text in example.values.values()]
            if not all(sides):
                continue
            pairs += 1
            for side in sides:
                words += len(side)
                if len(types) < KNOWN_WORDS:
                    types.update(side)
                characters.update(*side)
    if not pairs:
        raise UserError("no pair has text on both sides", where=", ".join(map(str, table.files)))
    return Survey(pairs, words, len(types), len(characters))


def propose(found: Survey) -> dict[str, dict[str, Any]]:
    """The fields of a recipe that depend on the data, by section.

    The vocabulary is a third of the different words, within what the corpus can fill and the row of `SIZES` allows.
    """
    _, preset, largest, dropout, epochs, budget = next(row for row in reversed(SIZES) if found.pairs >= row[0])
    smallest = FIXED_PIECES + found.characters + 40
    vocabulary = max(smallest, min(largest, found.types // 3 + smallest))
    tokens = found.words * 1.4  # pieces: a word is cut in about that many
    # A small set is not worth a full batch: twenty updates an epoch at least.
    budget = max(512, min(budget, int(tokens / 20) // 8 * 8))
    steps = max(1000, round(epochs * tokens * 1.08 / budget))  # 1.08: padding
    warmup = min(4000, max(100, steps // 10))
    peak_rate = {"tiny": 4e-3, "small": 2e-3, "base": 7e-4}[preset]
    if steps < 3000:
        peak_rate = min(peak_rate, 2e-3)  # a short training has no time to recover from a high rate
    return {
        "preprocessing": {"vocabulary": vocabulary},
        # Post-norm at such a rate may collapse: all positions of the encoder alike. Nobody is there to see it.
        "model": {"preset": preset, "dropout": dropout, "norm": "pre"},
        "training": {
            "steps": steps,
            "budget": budget,
            "schedule": "cosine",
            "warmup": warmup,
            "peak_rate": peak_rate,
            "evaluate_every": max(50, steps // 40),
            "keep": 10,
            "average_checkpoints": 10,
            "patience": 15,
        },
    }
