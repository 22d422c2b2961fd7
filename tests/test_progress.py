import io
import sys

import pytest

from zoo import progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_without_a_terminal_a_plain_line_every_ten_seconds_and_one_at_the_end(clock: Clock, capsys):
    with progress.track("preparing", total=2000, unit="rows") as bar:
        for _ in range(20):
            clock.now += 1.5
            bar.advance(100)
            bar.show(loss=2.34567, epoch=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "preparing: 700 of 2,000 rows (35%), 67 rows/s, 0:00:20 left, loss 2.346  epoch 3",
        "preparing: 1,400 of 2,000 rows (70%), 67 rows/s, 0:00:09 left, loss 2.346  epoch 3",
        "preparing: 2,000 rows in 0:00:30, loss 2.346  epoch 3",
    ]


def test_without_a_total_no_time_left_is_claimed(clock: Clock, capsys):
    with progress.track("reading", unit="lines") as bar:
        clock.now += 20
        bar.advance(10)
    assert capsys.readouterr().err.splitlines()[0] == "reading: 10 lines, 0.5 lines/s"


def test_what_an_earlier_process_did_says_nothing_about_the_speed(clock: Clock, capsys):
    with progress.track("training", total=1000, unit="updates") as bar:
        bar.skip(500)
        clock.now += 20
        bar.show(loss=2)
        clock.now += 20
        bar.advance(100)
    assert capsys.readouterr().err.splitlines()[:2] == [
        "training: 500 of 1,000 updates (50%), loss 2",
        "training: 600 of 1,000 updates (60%), 2.5 updates/s, 0:02:40 left, loss 2",
    ]


def test_a_failure_is_not_reported_as_done(clock: Clock, capsys):
    with pytest.raises(ValueError, match="no"), progress.track("reading", total=10) as bar:
        bar.advance(5)
        raise ValueError("no")
    assert capsys.readouterr().err == ""


def test_quiet_says_nothing(clock: Clock, capsys):
    progress.be_quiet()
    try:
        with progress.track("reading") as bar:
            clock.now += 60
            bar.advance()
        progress.say("hello")
    finally:
        progress.be_quiet(False)
    assert bar.done == 1
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_bars_nest_and_lines_stand_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress.track("training", total=4, unit="updates") as outer:
        outer.advance(2)
        with progress.track("scoring", total=3) as inner:
            inner.advance(3)
        progress.say("a [bold] :dog: line")
        outer.advance(2)
        outer.show(loss=1.5)
    written = sys.stderr.getvalue()
    assert "a [bold] :dog: line\n" in written
    last = written[written.rindex("training") :]
    assert "4/4" in last
    assert "loss 1.5" in last
    assert "scoring" not in last

    progress.say("after")
    assert sys.stderr.getvalue().endswith("after\n")
