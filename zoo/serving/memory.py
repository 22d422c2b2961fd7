"""Memory that a version no longer needs goes back to the system.

Two things keep it otherwise. TensorFlow's oneDNN build takes tensors from a pool that never shrinks. And the C library
keeps what lies free below something that is in use. Measured with weights of 90 MB: of the 160 MB that a first load
took, none came back on unloading; without the pool 75, and 155 when the C library is told, too.

What stays loaded is kept from Python's search for cycles: it is a million objects of TensorFlow and of the graph, and
looking through them all takes a tenth of a second or more, in which no request is answered.
"""

import ctypes
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache

LARGE = 4 * 2**20  # bytes; most tensors of a request are smaller
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_POOL = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"


def leave_the_pool() -> None:
    """Lets TensorFlow take tensors from the C library; to be called before it makes the first one of the process.

    Whoever has set the variable of the environment has decided.
    """
    os.environ.setdefault(_POOL, "1")


def give_back_large() -> None:
    """Lets the C library (glibc) take what is large from the system and give it back at once.

    By itself it raises the bound of "large" with every large thing that is freed, up to 32 MB; after a few requests of
    such a size they lie in the heaps of as many threads, with holes that stay. Where the bound is given, so must be
    what may lie free at the end of a heap: else it is so little that a model's tensors come anew from the system.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * LARGE)


def settle() -> None:
    """To be called when a version is ready: what there is now will stay, and is not looked through any more."""
    gc.freeze()


def give_back() -> None:
    """Frees what only refers to itself and gives the system what is free, where the C library (glibc's) can do that."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
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
