"""Phrases cut out of texts: more texts of the same kind, for a teacher to label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoo.data.tables import Example, Table


class Phrases(Table):
    """Stretches of words of each text, drawn at random, the same each time; a text of one word has none.

    The n-gram sampling of Tang et al., 2019 (arXiv 1903.12136), but for phrases of any length below the text's own.

    Args:
        table: of texts; words are what stands between blanks.
        column: the one of the texts, and the only one here.
        count: phrases of each text.
    """

    def __init__(self, table: Table, column: str, count: int) -> None:
        self.table, self.column, self.count = table, column, count
        self.columns, self.files = (column,), table.files

    def __iter__(self) -> Iterator[Example]:
        for number, (values, place) in enumerate(self.table):
            words, rng = values[self.column].split(), np.random.default_rng((self.count, number))
            for _ in range(self.count if len(words) > 1 else 0):
                length = int(rng.integers(1, len(words)))
                first = int(rng.integers(0, len(words) - length + 1))
                yield Example({self.column: " ".join(words[first : first + length])}, place)
