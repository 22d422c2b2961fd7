"""Runs on PyTorch: eagerly, without gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import torch


def compiled(function: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    """`function` as it stands; eager code reads the variables themselves."""
    return torch.no_grad()(function)
