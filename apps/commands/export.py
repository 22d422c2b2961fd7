"""From a trained run to a version of a model home."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from zoo.data import registry
from zoo.data.choices import open_part
from zoo.export import scores as scoring
from zoo.export.bundle import About, Bundle
from zoo.export.home import Loaded, export
from zoo.export.scores import TestSet
from zoo.progress import say
from zoo.run import Run
from zoo.tasks.task import Task

EXAMPLES = 32  # validation inputs with which a version is tried before it appears
SENTENCES = (
    "A dog runs over the grass.",
    "An animal is running outside.",
    "She plays the violin in an orchestra from Leipzig.",
    "Prices rose by 3.5 % in May, more than was expected.",
    "Nobody knew who had left the door open, and nobody asked.",
)


def export_run(run: Run, home: Path, version: int | None = None) -> Path:
    """Exports the final weights of a run, scored on the recipe's test part through the SavedModel itself.

    Args:
        run: opened, and trained at least to its first checkpoint.
        home: the model home; made where it is not.
        version: its number; the next free one where None.

    Returns: the version's folder.

    Raises: UserError as `zoo.export.home.export`, and where the run has no checkpoint.
    """
    recipe, task = run.recipe, run.task
    bundle = Bundle(
        task=task,
        model=run.model(),
        examples=_examples(task),
        curve=curve if (curve := run.folder / "curve.png").is_file() else None,
        about=_about(run),
    )
    test = TestSet.of_recipe(task)

    def measure(model: Loaded) -> Mapping[str, Any]:
        if test is None:
            return {}
        scores = scoring.measure(model, test)
        for each in scores:
            say(f"{test.name}: {each}")
        return {"data": test.name, "scores": [each.to_json() for each in scores]}

    return export(bundle, home, storage=recipe.export.storage, version=version, measure=measure)


def _examples(task: Task) -> list[Any]:
    """Raws of the validation part, of train where nothing was kept back; plain sentences for what was imported."""
    if not task.recipe.data.train:
        several = len(task.signatures()[task.asked].inputs)
        return [SENTENCES[first] if several == 1 else SENTENCES[first : first + several] for first in range(4)]
    tables = (open_part(task.recipe.data, part, task.columns) for part in ("validation", "train"))
    examples = chain.from_iterable(table for table in tables if table)
    return [task.raw(example.values) for example in islice(examples, EXAMPLES)]


def _about(run: Run) -> About:
    recipe = run.recipe
    known = registry.about(recipe.data.set) if recipe.data.set else None
    environment = json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
    last = run.checkpoints.latest()
    languages = (getattr(recipe.export, f"{side}_language", "") for side in ("source", "target"))
    return About(
        description=recipe.header,
        data=f"{known.description} {known.home}" if known else str(recipe.data.train),
        licence=known.licence if known else "",
        limits=recipe.export.about,
        languages=" to ".join(filter(None, languages)),
        environment=environment,
        minutes=last[1]["seconds"] / 60 if last else None,
    )
