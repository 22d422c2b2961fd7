"""The scores of an exported model, measured through its SavedModel from raw input to final answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.data import registry
from zoo.data.choices import DataChoices, open_part
from zoo.data.readers import Table
from zoo.data.textfiles import read_lines
from zoo.errors import UserError
from zoo.evaluation.text import Score, tokenized_bleu
from zoo.export.loaded import Loaded
from zoo.tasks.task import Task


@dataclass(frozen=True)
class TestSet:
    """Raw inputs and the right answer to each.

    Attributes:
        name: for people.
        raws: as the task's `predict` takes them.
        references: as its `score` takes them.
        tokenized: the references as the makers of a known set prepared them for scoring, where they did.
        language: of those.
    """

    name: str
    raws: list[Any]
    references: list[Any]
    tokenized: tuple[str, ...] = ()
    language: str = ""

    @classmethod
    def of_recipe(cls, task: Task) -> TestSet | None:
        """The test part of the task's own recipe; None where it names none."""
        data = task.recipe.data
        if data.set and data.test:
            return cls.of_data(data.set, data.test, task)
        table = open_part(data, "test", task.columns)
        return cls._of(table, "test", task) if table else None

    @classmethod
    def of_data(cls, name: str, split: str, task: Task) -> TestSet:
        """A split of a known data set, with the columns that the recipe names.

        Raises: UserError for an unknown name, split or column.
        """
        data, export = task.recipe.data, task.recipe.export
        # Names in the user's files say nothing of a set. There a column of text may be called by its language.
        named = data.columns if data.set == name else {}
        columns = {each: named.get(each) or getattr(export, f"{each}_language", "") or each for each in task.columns}
        found = cls._of(registry.load(name, split, columns), f"{name} {split}", task)
        answer = columns[task.columns[-1]]
        prepared = registry.reference_file(name, split, answer)
        return replace(found, tokenized=tuple(read_lines(prepared)), language=answer) if prepared else found

    @classmethod
    def of_files(cls, files: str | Mapping[str, str], task: Task) -> TestSet:
        """The user's table, or a file for each of the task's columns."""
        paths = [files] if isinstance(files, str) else list(files.values())
        columns = {} if isinstance(files, Mapping) else task.recipe.data.columns
        choices = DataChoices(test=files if isinstance(files, str) else dict(files), columns=columns)
        return cls._of(open_part(choices, "test", task.columns), ", ".join(Path(path).name for path in paths), task)

    @classmethod
    def _of(cls, table: Table, name: str, task: Task) -> TestSet:
        rows = [example.values for example in table]
        if not rows:
            raise UserError("the test set has no rows", where=name)
        return cls(name, [task.raw(row) for row in rows], [task.reference(row) for row in rows])


def measure(model: Loaded, test: TestSet, by_label: bool = False) -> list[Score]:
    """The task's scores of the model's answers; with tokenized references, first the BLEU that papers report.

    Args:
        by_label: those of each label are added.
    """
    task, rows = model.task, list(model.rows(model.task.asked, test.raws))
    answers = [task.answer(row) for row in rows]
    scores = [*task.score(answers, test.references), *task.more_scores(rows, test.references)]
    if by_label:
        scores += task.scores_by_label(answers, test.references)
    if test.tokenized:
        scores.insert(0, tokenized_bleu(answers, test.tokenized, test.language))
    return scores
