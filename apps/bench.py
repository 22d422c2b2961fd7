"""Measure speed against the best of the field, side by side in one run."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from apps.cli import CommandLine

app = CommandLine("bench", __doc__)


def _train(parser: ArgumentParser) -> None:
    parser.add_argument("--updates", type=int, default=40, metavar="N", help="of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of each side (default: %(default)s)")
    parser.add_argument("--backend", default="tensorflow", help="of our side (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")


@app.command(_train)
def train(args: Namespace) -> None:
    """Training: our step with everything on against transformers' Marian on PyTorch, at the same shapes."""
    from apps.benches.train import measure, show

    result = measure(args)
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
