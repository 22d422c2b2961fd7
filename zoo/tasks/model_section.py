"""The [model] section of every task: a family, one of its presets, and what is to be different from that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from zoo.errors import UserError, nearest
from zoo.models.registry import config_module
from zoo.recipe import option


class ModelSection:
    """Base of the sections that `model_section` makes: fields `family`, `preset` and those of the family's Config."""

    families: ClassVar[tuple[str, ...]]
    family: str
    preset: str

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> ModelSection:
        """The preset with the recipe's changes, checked.

        Raises: UserError, with the name of the field as its place.
        """
        changes = dict(fields)
        family = _known(changes.pop("family", cls.families[0]), cls.families, "family")
        module = import_module(config_module(family))
        preset = _known(changes.pop("preset", next(iter(module.PRESETS))), module.PRESETS, "preset")
        for name in changes:
            _known(name, module.Config.__dataclass_fields__, name)
        config = dataclasses.replace(module.PRESETS[preset], **changes)
        return model_section(cls.families, family)(family=family, preset=preset, **dataclasses.asdict(config))

    @property
    def config(self) -> Any:
        """The family's Config."""
        kind = import_module(config_module(self.family)).Config
        return kind(**{name: getattr(self, name) for name in kind.__dataclass_fields__})

    def to_fields(self) -> dict[str, Any]:
        """What a recipe says to give this section: family, preset and the differences from the preset."""
        preset = import_module(config_module(self.family)).PRESETS[self.preset]
        values = dataclasses.asdict(self.config)
        changes = {name: value for name, value in values.items() if value != getattr(preset, name)}
        return {"family": self.family, "preset": self.preset, **changes}


def _known(name: str, known: Any, where: str) -> str:
    if name not in known:
        raise UserError(f'unknown: "{name}".{nearest(name, known)} Known: {", ".join(known)}.', where=where)
    return name


@cache
def model_section(families: tuple[str, ...], family: str | None = None) -> Any:
    """The section's type for one of the families (the first, unless said) that serve a task."""
    module = import_module(config_module(family or families[0]))
    presets = ", ".join(module.PRESETS)
    fields: Sequence[Any] = [
        ("family", str, option(families[0], "the architecture", choices=families)),
        ("preset", str, option(next(iter(module.PRESETS)), f"its sizes: {presets}; the fields below override it")),
        *(
            (field.name, field.type, dataclasses.field(default=field.default, metadata=field.metadata))
            for field in dataclasses.fields(module.Config)
        ),
    ]
    made: Any = dataclasses.make_dataclass("ModelSection", fields, bases=(ModelSection,), frozen=True)
    made.families = families
    made.__module__ = module.__name__
    return made
