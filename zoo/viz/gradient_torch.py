"""Gradients on PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from keras import ops


def gradient(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    """Of a function from an array to one number."""
    place = ops.convert_to_tensor(at).detach().requires_grad_(True)
    with torch.enable_grad():
        (found,) = torch.autograd.grad(function(place), place)
    return ops.convert_to_numpy(found)
