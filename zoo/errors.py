"""What goes wrong for the user, said so that the user can mend it."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input or a bad request. Command lines print it without a traceback and leave with exit code 2.

    Args:
        problem: what is wrong, as a sentence.
        where: the place: "file:line", "recipe.toml:12", "--set training.steps=x".
        remedy: what to do now.
    """

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{text}\n  {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes hand errors back by pickle, which would rebuild from `problem` alone.
        return _rebuild, (type(self), self.problem, self.where, self.remedy)


def _rebuild(kind: type[UserError], problem: str, where: str, remedy: str) -> UserError:
    return kind(problem, where=where, remedy=remedy)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ' Did you mean "x"?' for the known name closest to `name`, or '' where none is close."""
    lowered = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f' Did you mean "{lowered[found[0]]}"?' if found else ""
