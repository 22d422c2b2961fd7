"""Where and how a training computes: backend, devices, precision, determinism. Called before anything is built.

What differs between the backends stands in their step files, each with `prepare`, `scope`, `gather` and `Step`.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

import keras

from zoo.errors import UserError

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def prepare(*, deterministic: bool, precision: str, seed: int, devices: int = 1) -> None:
    """Sets what holds for the whole process; must run before the backend has computed anything.

    Args:
        deterministic: bit-for-bit repeatable on the same machine with the same number of threads.
        precision: of the computation; variables stay float32.
        seed: of all random numbers that have no generator of their own.
        devices: of this process; on a CPU, that many logical ones are made.
    Raises: UserError where there are fewer devices.
    """
    _backend().prepare(deterministic, devices)
    keras.config.set_dtype_policy(POLICIES[precision])
    keras.utils.set_random_seed(seed)


def scope(devices: int = 1) -> AbstractContextManager[Any]:
    """The context in which model, optimizer and step are built."""
    return _backend().scope(devices)


def make_step(*args: Any, **choices: Any) -> Any:
    """The Step of the active backend; arguments as those of the class."""
    return _backend().Step(*args, **choices)


def gather(rows: Any) -> tuple[Any, Any]:
    """The rows [B, …] of all devices that share an update, for a loss across rows; has a gradient.

    Returns: the rows of all [devices * B, …], and the place of this device's first row among them: int32 or int.
    """
    return _backend().gather(rows)


def too_few(devices: int, found: int, kind: str) -> UserError:
    """The error of `prepare` where there are fewer devices than were asked for."""
    remedy = f"set training.devices to at most {found}, and training.accumulate higher for the same update."
    return UserError(
        f"{devices} devices were asked for, and {found} {kind} found", where="training.devices", remedy=remedy
    )


def add_flag(variable: str, flag: str) -> None:
    """Adds a flag to a variable of the environment that a backend reads when it starts."""
    if flag not in os.environ.get(variable, ""):
        os.environ[variable] = f"{os.environ.get(variable, '')} {flag}".strip()


def _backend() -> Any:
    # Lazily: a machine that trains needs only one of the backends.
    return import_module(f"zoo.training.step_{keras.backend.backend()}")
