"""The names of classes and tags: from name to id and back."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.errors import UserError, nearest

FILE = "labels.json"
FORMAT = 1
SHOWN = 20  # names in an error


class Labels:
    """Label names; their ids are 0, 1, … in this order.

    Args:
        names: distinct, at least one.
        counts: how often each stood in the training data, a share of 0.3 as 0.3; empty where that is not known
            (imported checkpoints).

    Raises: UserError for no names, or a name that comes twice.
    """

    def __init__(self, names: Sequence[str], counts: Sequence[float] = ()) -> None:
        self.names, self.counts = tuple(names), tuple(counts)
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if not self.names or twice:
            problem = f'the label "{twice[0]}" is listed twice' if twice else "there are no labels"
            raise UserError(problem, where="labels")
        self._ids = {name: index for index, name in enumerate(self.names)}

    @classmethod
    def fit(cls, counted: Mapping[str, float], listed: Sequence[str] = (), order: Sequence[str] = ()) -> Labels:
        """The labels of training data.

        Args:
            counted: how often each label stands there; a teacher's shares add up.
            listed: the labels that there have to be, in their order; empty: those that are there, sorted.
            order: taken as the order where it has the very labels that are there, so that a head learned elsewhere
                still means the same.

        Raises: UserError for a label, listed or counted, without any example, or no labels at all.
        """
        empty = [name for name in listed or counted if not counted.get(name)]
        if empty:
            raise UserError(
                f'the training data has no example of the label "{empty[0]}"',
                where="[data] labels",
                remedy="Remove it where it is named, or add examples: a class without any cannot be learned.",
            )
        if not counted:
            raise UserError("the training data has no labels", where="[data] train")
        same = order and set(order) == set(counted) and not listed
        names = tuple(listed) or (tuple(order) if same else tuple(sorted(counted)))
        return cls(names, [counted[name] for name in names])

    @property
    def size(self) -> int:
        """C, how many there are."""
        return len(self.names)

    def index(self, name: str) -> int:
        """The id of a name.

        Raises: UserError, without a place, for an unknown one.
        """
        if name not in self._ids:
            shown = ", ".join(self.names[:SHOWN]) + (", …" if self.size > SHOWN else "")
            raise UserError(
                f'unknown label "{name}".{nearest(name, self.names)}', remedy=f"The labels of the recipe are: {shown}."
            )
        return self._ids[name]

    @property
    def fingerprint(self) -> str:
        """Hex digest of the names in their order."""
        return hashlib.sha256(json.dumps(self.names).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Writes `labels.json` into the folder, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, "names": self.names, "counts": self.counts}
        (folder / FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Labels:
        """Reads what `save` wrote.

        Raises: UserError where the file is missing, no such file, or of a newer format.
        """
        path = Path(folder) / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            newer, names, counts = content["format"] > FORMAT, content["names"], content["counts"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"cannot be read as a list of labels ({error})", where=str(path)) from error
        if newer:
            raise UserError("made by a newer zoo", where=str(path), remedy="Install that version.")
        return cls(names, counts)
