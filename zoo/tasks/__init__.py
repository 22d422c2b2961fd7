"""The tasks: one page each. The package is callable, `zoo.tasks()` lists their names."""

import sys
from types import ModuleType


class _Tasks(ModuleType):
    # `zoo.tasks` is this package as soon as anything below it has been imported, so the function `zoo.tasks()`
    # can live nowhere else.
    def __call__(self) -> list[str]:
        """Names of all tasks, sorted."""
        from zoo.tasks.task import TASKS

        return sorted(TASKS)


sys.modules[__name__].__class__ = _Tasks
