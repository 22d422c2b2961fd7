"""What `python -m apps.serve audit` does, behind its options."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """The options of `audit`."""
    parser.add_argument("path", metavar="PATH", help="a SavedModel, or a model home, whose newest version is taken")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--no-run",
        dest="run",
        action="store_false",
        help="look at the graph only; else its warm-up requests are answered, by a C++ program too, which is compiled "
        "at the first call",
    )


def main(args: Namespace) -> int:
    """Say whether stock TensorFlow Serving can be trusted with a SavedModel, and what is to be done where not.

    Leaves with exit code 1 where the audit fails; what is only a warning does not make it fail.
    """
    from zoo.export.audit import audit

    report = audit(args.path, run=args.run)
    print(json.dumps(report.as_json(), indent=2, ensure_ascii=False) if args.json else report.table(), end="")
    if args.json:
        print()
    return 0 if report.passed else 1
