"""Compiles on JAX."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras


def compiled(function: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    """`function` under jax.jit, the values of `variables` as arguments: as constants they would never change again."""

    @jax.jit
    def run(values: Sequence[Any], arguments: Sequence[Any]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values))):
            return function(*arguments)

    return lambda *arguments: run([variable.value for variable in variables], arguments)
