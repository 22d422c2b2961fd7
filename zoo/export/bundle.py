"""What goes into an export and what an exporter makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.recipe import Recipe
from zoo.tasks.task import Task

FORMAT = 1  # of a model home; written into signatures.json
STORAGES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class About:
    """What the card says beside numbers; whatever is empty is left out."""

    description: str = ""
    data: str = ""
    licence: str = ""
    limits: str = ""
    languages: str = ""  # "en to de"
    environment: Mapping[str, Any] = field(default_factory=dict)
    minutes: float | None = None  # of training


@dataclass(frozen=True)
class Bundle:
    """A trained model with all that its model home holds.

    Attributes:
        task: with its recipe and preprocessors; it names the exporter and the signatures, with which what is built is
            compared.
        model: a family's keras.Model.
        examples: raws, as `task.predict` takes them, a few dozen, with which a version is tried before it appears.
        weights: by variable path, where they are not those that the model has now.
        scores: what was measured, for scores.json and the card: name -> value, or a row of values by name.
        curve: picture of the learning curve.
    """

    task: Task
    model: Any
    examples: Sequence[Any]
    weights: Mapping[str, Any] | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    curve: Path | None = None
    about: About = field(default_factory=About)

    @property
    def recipe(self) -> Recipe:
        """As the model was trained."""
        return self.task.recipe


@dataclass(frozen=True)
class Exported:
    """A graph that is ready to be saved.

    Attributes:
        module: tf.Module that holds all variables and resources.
        functions: by signature, tf.functions with named inputs and a dict of outputs.
        settled: by signature, what is decided in the graph and cannot be asked for: beam, temperature, …
        limits: how the graph bounds its own work, for signatures.json and the card.
        reference: raws -> what the model itself, without the graph, answers for outputs of the signature that the task
            is asked by.
        close: outputs of that signature where rounding may decide between answers that are as good, so that a few of
            them may differ from the reference.
    """

    module: Any
    functions: Mapping[str, Any]
    settled: Mapping[str, Mapping[str, Any]]
    limits: Mapping[str, Any]
    reference: Callable[[Sequence[Any]], dict[str, list[Any]]]
    close: frozenset[str] = frozenset()


def by_input(names: Sequence[str], raws: Sequence[Any]) -> dict[str, list[Any]]:
    """Raws as the inputs of a signature: name -> one value a row.

    Args:
        names: of the inputs, in the order in which a task gives them.
        raws: values where there is one input, tuples where there are several. A signature with one input takes the
            parts of tuples one after another.
    """
    if len(names) == 1:
        return {names[0]: [part for raw in raws for part in (raw if isinstance(raw, tuple) else (raw,))]}
    return {name: [raw[place] for raw in raws] for place, name in enumerate(names)}


def size_of(raw: Any) -> int:
    """How long a raw is, to answer those of like length together."""
    return sum(map(len, raw)) if isinstance(raw, tuple) else len(raw)


def empty_like(raw: Any) -> Any:
    """A raw with nothing in it."""
    return tuple(type(part)() for part in raw) if isinstance(raw, tuple) else type(raw)()
