"""Where a model begins: what tasks over an encoder share in building it and in taking over weights that exist."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from zoo.errors import UserError
from zoo.models.registry import FAMILIES
from zoo.tasks.task import resolve
from zoo.training.fine_tuning import freeze


def encoder(recipe: Any, config: Any, seed: int) -> Any:
    """A new model of the recipe's family, frozen or with low-rank additions as its [training] says."""
    from zoo.layers.adapters import adapt

    choices = recipe.training
    model = resolve(FAMILIES[recipe.model.family])(config, seed=seed)
    freeze(model.weights, choices.freeze)
    if choices.lora_rank:
        adapt(model, choices.lora_rank)
    return model


def check_head(config: Any, head: str, task: str) -> None:
    """Raises: UserError where a recipe's [model] names another head than the task's."""
    if config.head not in ("none", head):
        problem = f'the head "{config.head}" is none of the task {task}'
        raise UserError(problem, where="[model] head", remedy="Leave it out: the task sets it.")


def check_alike(theirs: Any, ours: Any, free: Collection[str]) -> None:
    """Raises: UserError where two Configs differ in a field that is not free, so that they cannot share weights."""
    for field in ours.__dataclass_fields__:
        mine, wanted = getattr(ours, field), getattr(theirs, field)
        if field not in free and mine != wanted:
            problem = f"model.{field} is {wanted!r} where the weights come from, {mine!r} here"
            raise UserError(problem, where="[model]", remedy="Give the recipe the [model] of the other.")


def take(
    model: Any, arrays: Mapping[str, Any], apart: Collection[str], own: Mapping[str, str], start: Any
) -> list[str]:
    """Gives a model the weights of another run or home.

    Args:
        model: as `build_model` made it.
        arrays: the other's, by name.
        apart: parts of names, such as "/head/": what has one of them is not taken.
        own: what the model may have for itself: part of a name -> what to call it.
        start: `recipe` of the other (`zoo.run.Start`).

    Returns: lines for the user.
    """
    from zoo.training.checkpoints import restore_part

    taken = {name: array for name, array in arrays.items() if not any(part in name for part in apart)}
    kept = restore_part(model, taken, lambda name: any(part in name for part in own))
    anew = [what for part, what in own.items() if any(part in name for name in kept)]
    line = f"the weights come from {start.recipe.task} ({start.recipe.name})"
    return [f"{line}; {' and '.join(anew)} anew" if anew else line]
