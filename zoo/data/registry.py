"""Data sets by name: found under ZOO_DATA, else downloaded from their public home, checked and cached.

A set is one module in `zoo/data/sets`; `SETS` is the one line that lists it. ZOO_DATA names a folder of data sets
(`../shared/data` if unset), ZOO_CACHE where downloads are kept (`~/.cache/zoo` if unset).
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

from zoo.data.readers import Table
from zoo.errors import UserError, nearest

SETS = {
    "agnews": "zoo.data.sets.agnews:SET",
    "bccd": "zoo.data.sets.bccd:SET",
    "cifar10": "zoo.data.sets.cifar10:SET",
    "clinc150": "zoo.data.sets.clinc150:SET",
    "fashion_mnist": "zoo.data.sets.fashion_mnist:SET",
    "imagenette": "zoo.data.sets.imagenette:SET",
    "mrpc": "zoo.data.sets.mrpc:SET",
    "multi30k": "zoo.data.sets.multi30k:SET",
    "sick": "zoo.data.sets.sick:SET",
    "squad": "zoo.data.sets.squad:SET",
    "sst2": "zoo.data.sets.sst2:SET",
    "stsb": "zoo.data.sets.stsb:SET",
    "toy_language": "zoo.data.sets.toy_language:SET",
    "toy_scenes": "zoo.data.sets.toy_scenes:SET",
    "toy_sentences": "zoo.data.sets.toy_sentences:SET",
    "trec": "zoo.data.sets.trec:SET",
    "wiki": "zoo.data.sets.wiki:SET",
    "wnut17": "zoo.data.sets.wnut17:SET",
}


class About(NamedTuple):
    """What a user must know of a set: its licence, its home, and what it is."""

    licence: str
    home: str
    description: str


class DataSet(Protocol):
    """What a set module offers."""

    about: About
    splits: tuple[str, ...]
    columns: tuple[str, ...]

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split; `columns` maps columns of the task to columns of the set."""

    def reference_file(self, split: str, column: str) -> Path | None:
        """The set's own prepared references for scoring, if it has them."""


def load(name: str, split: str, columns: Mapping[str, str]) -> Table:
    """Rows of one split of a set.

    Args:
        name: one of `names()`.
        split: one of `splits(name)`.
        columns: for each column of the task, the name of the column in the set.

    UserError for an unknown name, split or column, or when the files are neither here nor to be had.
    """
    data_set = _find(name)
    _check(split, data_set.splits, f"{name} has no split")
    for column in columns.values():
        _check(column, data_set.columns, f"{name} has no column")
    return data_set.table(split, columns)


def reference_file(name: str, split: str, column: str) -> Path | None:
    """The file of references that a set itself prepared for scoring (lower-cased, tokenized), None if it has none."""
    data_set = _find(name)
    _check(split, data_set.splits, f"{name} has no split")
    _check(column, data_set.columns, f"{name} has no column")
    return data_set.reference_file(split, column)


def names() -> list[str]:
    """Names of all sets, sorted."""
    return sorted(SETS)


def splits(name: str) -> list[str]:
    """Names of a set's splits, the training split first."""
    return list(_find(name).splits)


def columns(name: str) -> list[str]:
    """Names of a set's columns."""
    return list(_find(name).columns)


def about(name: str) -> About:
    """Licence, home and description of a set."""
    return _find(name).about


def _find(name: str) -> DataSet:
    _check(name, SETS, "there is no data set")
    module, attribute = SETS[name].split(":")
    return getattr(import_module(module), attribute)


def _check(name: str, known: Mapping[str, str] | tuple[str, ...], problem: str) -> None:
    if name not in known:
        raise UserError(f'{problem} "{name}". There are: {", ".join(known)}.{nearest(name, known)}')
