"""From a trained run to a version of a model home."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from zoo.data import registry
from zoo.data.choices import open_part
from zoo.export.bundle import About, Bundle
from zoo.export.home import Loaded, export
from zoo.export.scores import Pairs, score_pairs
from zoo.progress import say
from zoo.run import Run

EXAMPLES = 32  # validation inputs with which a version is tried before it appears


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
    table = open_part(recipe.data, "validation", task.columns)
    examples = [example.values[task.columns[0]] for example in islice(table or (), EXAMPLES)]
    bundle = Bundle(
        task=task.name,
        exporter=task.exporter,
        signatures=task.signatures(),
        recipe=(run.folder / "recipe.toml").read_text(encoding="utf-8"),
        model=run.model(),
        preprocessors=task.preprocessors,
        decoding=recipe.decoding,
        examples=examples,
        save_preprocessors=task.save,
        max_source=recipe.export.max_source,
        curve=curve if (curve := run.folder / "curve.png").is_file() else None,
        about=_about(run),
    )
    pairs = Pairs.of_recipe(recipe)

    def measure(model: Loaded) -> Mapping[str, Any]:
        if pairs is None:
            return {}
        scores = score_pairs(model, pairs)
        for score in scores:
            say(f"{pairs.name}: {score}")
        return {"data": pairs.name, "scores": [score.to_json() for score in scores]}

    return export(bundle, home, storage=recipe.export.storage, version=version, measure=measure)


def _about(run: Run) -> About:
    recipe = run.recipe
    known = registry.about(recipe.data.set) if recipe.data.set else None
    environment = json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
    last = run.checkpoints.latest()
    return About(
        description=recipe.header,
        data=f"{known.description} {known.home}" if known else str(recipe.data.train),
        licence=known.licence if known else "",
        limits=recipe.export.about,
        source_language=recipe.export.source_language,
        target_language=recipe.export.target_language,
        environment=environment,
        minutes=last[1]["seconds"] / 60 if last else None,
    )
