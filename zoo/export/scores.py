"""The scores of an exported translator, measured through its SavedModel from raw text to raw text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data import registry
from zoo.data.choices import open_part
from zoo.data.readers import Table, open_table
from zoo.data.textfiles import read_lines
from zoo.errors import UserError
from zoo.evaluation.text import Score, bleu, chrf, tokenized_bleu
from zoo.recipe import Recipe


@dataclass(frozen=True)
class Pairs:
    """A test set: raw sources, their references and, where the data set has prepared them, tokenized references."""

    name: str
    sources: list[str]
    references: list[str]
    tokenized: list[str]
    language: str

    @classmethod
    def of_data(cls, name: str, split: str, recipe: Recipe) -> Pairs:
        """A split of a known data set, in the recipe's languages.

        Raises: UserError for an unknown name, split or language.
        """
        export, named = recipe.export, recipe.data.columns
        columns = {
            "source": export.source_language or named.get("source", "source"),
            "target": export.target_language or named.get("target", "target"),
        }
        reference = registry.reference_file(name, split, columns["target"])
        tokenized = list(read_lines(reference)) if reference else []
        table = registry.load(name, split, columns)
        return cls(f"{name} {split}", *_columns(table), tokenized, columns["target"])

    @classmethod
    def of_files(cls, source: str, reference: str) -> Pairs:
        """The user's line-aligned files."""
        table = open_table({"source": source, "target": reference}, {"source": "source", "target": "target"})
        return cls(f"{Path(source).name}, {Path(reference).name}", *_columns(table), [], "")

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Pairs | None:
        """The recipe's own test part; None where it names none."""
        data = recipe.data
        if not data.test:
            return None
        if data.set and isinstance(data.test, str):
            return cls.of_data(data.set, data.test, recipe)
        table = open_part(data, "test", ("source", "target"))
        return cls("test", *_columns(table), [], "") if table else None


def _columns(table: Table) -> tuple[list[str], list[str]]:
    rows = [example.values for example in table]
    return [row["source"] for row in rows], [row["target"] for row in rows]


def score_pairs(translate: Callable[[Sequence[str]], Any], pairs: Pairs) -> list[Score]:
    """BLEU and chrF of the answers; with tokenized references, also the BLEU that papers report on that set.

    Raises: UserError for an empty test set.
    """
    if not pairs.sources:
        raise UserError("the test set has no rows", where=pairs.name)
    answers = list(translate(pairs.sources))
    scores = [bleu(answers, pairs.references), chrf(answers, pairs.references)]
    if pairs.tokenized:
        scores.insert(0, tokenized_bleu(answers, pairs.tokenized, pairs.language))
    return scores
