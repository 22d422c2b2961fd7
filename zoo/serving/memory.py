"""Memory that a version no longer needs goes back to the system.

Two things keep it otherwise. TensorFlow's oneDNN build takes tensors from a pool that never shrinks. And the C library
keeps what lies free below something that is in use. Measured with weights of 90 MB: of the 160 MB that a first load
took, none came back on unloading; without the pool 75, and 155 when the C library is told, too.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache

_POOL = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"


def leave_the_pool() -> None:
    """Lets TensorFlow take tensors from the C library; to be called before it makes the first one of the process.

    Whoever has set the variable of the environment has decided.
    """
    os.environ.setdefault(_POOL, "1")


def give_back() -> None:
    """Gives the system what is free. Nothing happens where the C library has no such function: it is glibc's."""
    trim = _trim()
    if trim:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return trim
    except (OSError, AttributeError):
        return None
