"""Measure speed against the best of the field, side by side in one run."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from apps.cli import CommandLine, on_tensorflow

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


def _decode(parser: ArgumentParser) -> None:
    add = parser.add_argument
    home = "saved_models/multi30k-en-de"
    add("--model", default=home, metavar="HOME", help="the shipped translator (default: %(default)s)")
    add("--sizes", nargs="+", default=["shipped", "base"], choices=["shipped", "base"], help="models (default: both)")
    add(
        "--batches", nargs="+", type=int, default=[1, 8, 32], choices=[1, 8, 32], help="sizes of batches (default: all)"
    )
    add("--threads", type=int, default=0, metavar="N", help="of both sides (default: one, then all that there are)")
    add("--rounds", type=int, default=3, metavar="N", help="of each side (default: %(default)s)")
    add("--json", action="store_true", help="print all figures as JSON")


@app.command(_decode, on_tensorflow)
def decode(args: Namespace) -> None:
    """Decoding: the exported SavedModel against CTranslate2 on the same weights, strings in and strings out."""
    from apps.benches.decode import measure, show

    result = measure(args)
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
