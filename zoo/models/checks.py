"""What every family's Config checks of itself."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from zoo.errors import UserError


def check_fields(config: Any) -> None:
    """Holds each field to the bounds and choices of its `option`: not only recipes make configs, code does too.

    Raises: UserError; its place is the name of the field.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        low, high, choices = (field.metadata.get(name) for name in ("low", "high", "choices"))
        if choices and value not in choices:
            raise UserError(f'"{value}" is none of {", ".join(map(str, choices))}', where=field.name)
        # Written so that NaN is out of every range.
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            raise UserError(f"{value} is out of range; {field.metadata['help']}", where=field.name)
