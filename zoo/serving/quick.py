"""Requests that take less time than handing them to another thread: those are answered where they arrive.

A thread that is woken for a request, and wakes the event loop with the answer, costs a tenth of a millisecond: for a
small model a quarter of all it takes. But whatever runs on the event loop holds up every other request. So a path is
trusted after many requests in a row that were quick, loses that trust by one that was not, and by a slow one for long.
"""

import time
from collections.abc import Callable

QUICK = 1e-3  # seconds
SLOW = 1e-2
ENOUGH = 32  # requests in a row
LONG = 1000
SMALL = 4096  # bytes of a request: longer ones take longer
MOST_PATHS = 1000


class Quick:
    """What is known of the time that requests to each path take. Called by many threads; a lost count does no harm."""

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}

    def trusts(self, path: str, body: bytes) -> bool:
        """Whether a request may be answered on the event loop."""
        return len(body) <= SMALL and self._in_a_row.get(path, 0) >= ENOUGH

    def timed(self, answer: Callable[[str, bytes], bytes], path: str, body: bytes) -> bytes:
        """Answers a request and remembers the path's time; one that fails says nothing of it."""
        began = time.perf_counter()
        reply = answer(path, body)
        taken = time.perf_counter() - began
        known = self._in_a_row.get(path)
        if known is None and len(self._in_a_row) >= MOST_PATHS:
            return reply
        if taken > QUICK:
            self._in_a_row[path] = -LONG if taken > SLOW else min(known or 0, 0)
        elif len(body) <= SMALL:
            self._in_a_row[path] = min((known or 0) + 1, ENOUGH)
        return reply
