"""Every recipe that comes with zoo reads, and says in its header how it is trained."""

import pytest

from zoo import recipe as recipes
from zoo.tasks.task import find

FILES = sorted(recipes.FOLDER.glob("*/*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recipes_that_come_with_zoo(path):
    task = recipes.peek_task(path)
    recipe = recipes.read(path, find(task).schema())
    assert path.parent.name == task and f"--recipe {path.stem}" in recipe.header
    find(task)(recipe)
