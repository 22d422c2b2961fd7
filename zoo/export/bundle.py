"""What goes into an export and what an exporter makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.decoding.choices import SearchChoices
from zoo.tasks.task import Signature

FORMAT = 1  # of a model home; written into signatures.json
STORAGES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class About:
    """What the card says beside numbers; whatever is empty is left out."""

    description: str = ""
    data: str = ""
    licence: str = ""
    limits: str = ""
    source_language: str = ""
    target_language: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    minutes: float | None = None  # of training


@dataclass(frozen=True)
class Bundle:
    """A trained model with all that its model home holds.

    Attributes:
        task: name of the task.
        exporter: "module:function" that builds the graph: bundle, storage -> Exported; as the task names it.
        signatures: as the task promises them; what is built is compared with them.
        recipe: text of the recipe.
        model: a family's keras.Model.
        preprocessors: by name, as the task holds them.
        decoding: how answers are searched for.
        examples: raw inputs, a few dozen, with which a version is tried before it appears.
        save_preprocessors: writes them into a folder of the home, to go on training from it.
        max_source: most tokens of an input, the end counted; the rest is cut.
        weights: by variable path, where they are not those that the model has now.
        scores: what was measured, for scores.json and the card: name -> value, or a row of values by name.
        curve: picture of the learning curve.
    """

    task: str
    exporter: str
    signatures: Mapping[str, Signature]
    recipe: str
    model: Any
    preprocessors: Mapping[str, Any]
    decoding: SearchChoices
    examples: Sequence[str]
    save_preprocessors: Callable[[Path], None] | None = None
    max_source: int = 256
    weights: Mapping[str, Any] | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    curve: Path | None = None
    about: About = field(default_factory=About)


@dataclass(frozen=True)
class Exported:
    """A graph that is ready to be saved.

    Attributes:
        module: tf.Module that holds all variables and resources.
        functions: by signature, tf.functions with named inputs and a dict of outputs.
        settled: by signature, what is decided in the graph and cannot be asked for: beam, temperature, …
        limits: how the graph bounds its own work, for signatures.json and the card.
        reference: inputs -> what the model itself, without the graph, answers for outputs of serving_default.
    """

    module: Any
    functions: Mapping[str, Any]
    settled: Mapping[str, Mapping[str, Any]]
    limits: Mapping[str, Any]
    reference: Callable[[Sequence[str]], dict[str, list[Any]]]
