"""An imported checkpoint as an ordinary run folder, which is exported, asked and trained further like any other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.interop.huggingface import Imported
from zoo.models.bert_config import PRESETS
from zoo.preprocessing.labels import Labels
from zoo.recipe import Recipe
from zoo.tasks.task import TASKS, find, make


def write_run(
    imported: Imported, folder: Path | str, environment: Mapping[str, Any], overrides: Sequence[str] = ()
) -> Recipe:
    """Writes recipe.toml, preprocessor/, checkpoints/ with one checkpoint, and environment.json with the origin.

    Args:
        imported: the checkpoint.
        folder: made here; it appears whole or not at all.
        environment: what stands in environment.json beside the origin.
        overrides: of the recipe, "section.field=value".

    Raises: UserError where the folder is there, or zoo has no such task.
    """
    from zoo.training.checkpoints import Checkpoints

    folder = Path(folder)
    if folder.exists():
        raise UserError("this folder is there already", where=str(folder), remedy="Name a new one.")
    recipe = made_recipe(imported, folder.name, overrides)
    task = make(recipe)
    task.preprocessors = {"text": imported.subwords}
    if imported.labels and imported.task != "score_pair":
        task.preprocessors["labels"] = Labels(imported.labels)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        task.save(draft / "preprocessor")
        arrays = {f"model/{path}": array for path, array in imported.weights.items()}
        # Nothing was scored; but the only checkpoint is the best.
        meta = {"step": 0, "seconds": 0.0, "history": [], "recipe": recipes.fingerprint(recipe)}
        Checkpoints(draft / "checkpoints").save(arrays, meta, score=0.0)
        origin = json.dumps({**environment, "imported": imported.about}, indent=2, ensure_ascii=False)
        (draft / "environment.json").write_text(origin + "\n", encoding="utf-8")
        recipes.write(recipe, draft / "recipe.toml")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return recipe


def made_recipe(imported: Imported, name: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe by which the task builds the imported model.

    Raises: UserError where zoo has no task for its head.
    """
    if imported.task not in TASKS:
        problem = f'the checkpoint is for the task "{imported.task}", which this zoo does not have'
        raise UserError(problem, remedy=f"Tasks that there are: {', '.join(TASKS)}.")
    about, model = imported.about, asdict(imported.config)
    data: dict[str, Any] = {"max_length": about["max_length"]}
    if imported.task == "classify_text":
        data["multi_label"] = about["multi_label"]
    elif imported.task == "score_pair":
        data |= {"lowest": 0.0, "highest": 1.0}  # what the model gives is the score
    tables = {
        "data": data,
        "preprocessing": {"kind": imported.subwords.kind, "lowercase": getattr(imported.subwords, "lowercase", False)},
        "model": {"family": "bert", "preset": _nearest_preset(model), **model},
    }
    files = ", ".join(f"{file} (SHA-256 {digest[:16]}…)" for file, digest in about["files"].items())
    header = f"Imported: {about['architecture']} from {about['name']}, {files}."
    return recipes.made(imported.task, name, header, tables, find(imported.task).schema(), overrides)


def _nearest_preset(model: Mapping[str, Any]) -> str:
    """The preset with the fewest differences, so that the recipe says little."""
    return min(PRESETS, key=lambda name: sum(value != model[field] for field, value in asdict(PRESETS[name]).items()))
