"""How far it is: bars on a terminal, else a plain line now and then; on stderr, so that answers on stdout stay clean.

with track("reading", total=29_000) as progress:
    for row in rows:
        progress.advance()
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

SECONDS_BETWEEN_LINES = 10.0

_quiet = False
_bars: Any = None  # the one rich.progress.Progress on the screen: rich draws a single live display at a time
_open_bars = 0


def be_quiet(quiet: bool = True) -> None:
    """Switches bars, plain lines and `say` off (or on again) for this process."""
    global _quiet
    _quiet = quiet


def say(line: str) -> None:
    """Prints a line for the user, on stderr and above the bars that are being drawn."""
    if _quiet:
        return
    if _bars is not None:
        _bars.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
    else:
        print(line, file=sys.stderr, flush=True)


class Progress:
    """Counts what is done. This base draws nothing; `track` picks the kind that does."""

    def __init__(self, description: str, total: int | None, unit: str) -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = self.skipped = 0
        self.fields: dict[str, str | float] = {}
        self.started = time.monotonic()

    def advance(self, n: int = 1) -> None:
        """Counts `n` more units as done."""
        self.done += n
        self._draw()

    def skip(self, n: int) -> None:
        """Counts `n` units that were done before, by an earlier process: they say nothing about the speed."""
        self.done += n
        self.skipped += n

    def show(self, **fields: str | float) -> None:
        """Sets fields that stand behind the bar; those of earlier calls stay."""
        self.fields.update(fields)
        self._draw()

    def _draw(self) -> None:
        pass

    def _close(self, finished: bool) -> None:
        pass

    def _fields_text(self) -> str:
        return "  ".join(f"{name} {_number(value)}" for name, value in self.fields.items())

    def _rate(self) -> float:
        return (self.done - self.skipped) / max(time.monotonic() - self.started, 1e-9)

    def _rate_text(self) -> str:
        rate = self._rate()
        if not rate:
            return ""
        return f"{rate:,.0f} {self.unit}/s" if rate >= 10 else f"{rate:.2g} {self.unit}/s"


class _Lines(Progress):
    def __init__(self, description: str, total: int | None, unit: str) -> None:
        super().__init__(description, total, unit)
        self.said = self.started

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self.said < SECONDS_BETWEEN_LINES:
            return
        self.said = now
        parts = [f"{self.done:,} {self.unit}", self._rate_text(), self._fields_text()]
        if self.total:
            parts[0] = f"{self.done:,} of {self.total:,} {self.unit} ({self.done / self.total:.0%})"
            if self._rate():
                parts.insert(2, f"{_clock((self.total - self.done) / self._rate())} left")
        say(f"{self.description}: " + ", ".join(filter(None, parts)))

    def _close(self, finished: bool) -> None:
        if finished and self.done:
            parts = [f"{self.done:,} {self.unit} in {_clock(time.monotonic() - self.started)}", self._fields_text()]
            say(f"{self.description}: " + ", ".join(filter(None, parts)))


class _Bar(Progress):
    def __init__(self, description: str, total: int | None, unit: str) -> None:
        super().__init__(description, total, unit)
        global _open_bars
        _show_bars()
        _open_bars += 1
        self.id = _bars.add_task(description, total=total, fields="", rate="")

    def skip(self, n: int) -> None:
        super().skip(n)
        _bars.reset(self.id, completed=self.done, fields="", rate="")

    def _draw(self) -> None:
        # Not with refresh=True: rich redraws ten times a second by itself, a call in between costs microseconds.
        _bars.update(self.id, completed=self.done, fields=self._fields_text(), rate=self._rate_text())

    def _close(self, finished: bool) -> None:
        global _bars, _open_bars
        _open_bars -= 1
        if _open_bars:
            _bars.remove_task(self.id)  # an inner bar makes room; the outermost stays to be read
        else:
            _bars.stop()
            _bars = None


def _show_bars() -> None:
    global _bars
    if _bars is not None:
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    _bars = RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[fields]}", markup=False),
        console=Console(stderr=True),
    )
    _bars.start()


@contextmanager
def track(description: str, total: int | None = None, unit: str = "rows") -> Iterator[Progress]:
    """Shows how far a piece of work is, from entering to leaving the block.

    Args:
        description: what is being done, such as "preparing".
        total: how many units there are, None where that is not known.
        unit: what is counted.
    Yields: the Progress to advance. Blocks may be nested.
    """
    kind = Progress if _quiet else _Bar if sys.stderr.isatty() else _Lines
    progress = kind(description, total, unit)
    try:
        yield progress
    except BaseException:
        progress._close(finished=False)
        raise
    progress._close(finished=True)


def _number(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
