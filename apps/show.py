"""Look at what trainings are made of: learning rates, and what warm-up is for.

zoo show schedules                                     the five schedules in one picture
zoo show schedules --recipe translate/multi30k-en-de   the one of a recipe
zoo show warmup                                        one model, with and without warm-up, in a few minutes
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from apps.cli import CommandLine, backend_argument

app = CommandLine("show", __doc__)


def _schedule(parser: ArgumentParser) -> None:
    parser.add_argument("--recipe", metavar="TASK/NAME", help="a recipe that comes with zoo, or the path of one")
    parser.add_argument("--steps", type=int, default=10_000, metavar="N", help="updates in all (default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=1000, metavar="N", help="updates to the peak (default: 1000)")
    parser.add_argument("--peak-rate", type=float, default=1e-3, metavar="X", help="(default: %(default)s)")
    parser.add_argument("--output", metavar="FILE", default="schedules.png", help="(default: %(default)s)")


def _trial(parser: ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="updates of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--folder", default="runs/warmup", help="for the preprocessor (default: %(default)s)")
    parser.add_argument("--output", metavar="FILE", default="warmup.png", help="the picture (default: %(default)s)")


@app.command(_schedule, backend_argument)
def schedules(args: Namespace) -> None:
    """Draw learning rates over the updates, and print their peaks."""
    from apps.commands.show import draw_schedules

    draw_schedules(args)


@app.command(_trial, backend_argument)
def warmup(args: Namespace) -> None:
    """Train one small translator three times: post-norm with and without warm-up, pre-norm without."""
    from apps.commands.show import try_warmup

    try_warmup(args)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
