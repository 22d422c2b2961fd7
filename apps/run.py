"""The whole way in four minutes: train a small translator, score it, export it, serve it, ask it, look inside.

What `make run` starts. It needs no data: the languages are generated. It ends with real sentences, translated by the
model that comes with zoo; `make run TEXT="A dog runs."` translates yours.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from apps.cli import CommandLine, on_tensorflow

app = CommandLine("run", __doc__)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--text", metavar="TEXT", help="an English sentence to translate at the end")
    parser.add_argument("--recipe", metavar="NAME", default="toy", help="the recipe to show (default: %(default)s)")
    parser.add_argument("--folder", metavar="FOLDER", default="runs/demo", help="made anew (default: %(default)s)")


@app.alone(_arguments, on_tensorflow)
def run(args: Namespace) -> None:
    """Show the whole way."""
    from apps.commands.run import show

    show(args)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
