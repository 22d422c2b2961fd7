"""Measure speed against the best of the field, side by side in one run."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from apps.cli import CommandLine, on_tensorflow, set_argument

TRANSPORTS = ("rest", "grpc")

app = CommandLine("bench", __doc__)


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")


def _train(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--recipe", default="multi30k-en-de", metavar="NAME", help="of translate: sizes, batches (default: %(default)s)"
    )
    add("--precision", default="bfloat16", choices=["float32", "bfloat16"], help="of our side (default: %(default)s)")
    add("--updates", type=int, default=40, metavar="N", help="of a round (default: %(default)s)")
    add("--rounds", type=int, default=3, metavar="N", help="rounds of each side (default: %(default)s)")
    add("--backend", default="tensorflow", help="of our side (default: %(default)s)")
    _json(parser)


@app.command(_train)
def train(args: Namespace) -> int:
    """Training: our step with everything on against transformers' Marian on PyTorch, at the same shapes."""
    from apps.benches.train import measure, show

    return _told(measure(args), show, args)


def _finetune(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="RUN_OR_CHECKPOINT", help="its encoder is fine-tuned: a run, a home, or a checkpoint's folder")
    add("--recipe", default="sst2", metavar="NAME", help="of classify_text: texts and batches (default: %(default)s)")
    add("--precision", default="float32", choices=["float32", "bfloat16"], help="of our side (default: %(default)s)")
    add("--freeze", default="none", choices=["none", "embeddings"], help="what does not learn (default: %(default)s)")
    add("--threads", type=int, default=0, metavar="N", help="of both sides (default: one, then all that there are)")
    add("--updates", type=int, default=20, metavar="N", help="of a round (default: %(default)s)")
    add("--rounds", type=int, default=3, metavar="N", help="of each side, in turn (default: %(default)s)")
    set_argument(parser)
    _json(parser)


@app.command(_finetune, on_tensorflow)
def finetune(args: Namespace) -> int:
    """Fine-tuning: our step against transformers on PyTorch, the same encoder on the same batches."""
    from apps.benches.finetune import measure, show

    return _told(measure(args), show, args)


def _peer_scores(parser: ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a file, or TASK/NAME, such as classify_text/trec6")
    parser.add_argument("checkpoint", metavar="FOLDER", help="what is fine-tuned, as transformers saved it")
    parser.set_defaults(backend="torch")
    set_argument(parser)
    _json(parser)


@app.command(_peer_scores)
def peer_scores(args: Namespace) -> int:
    """Scores of the peer: transformers fine-tuned in PyTorch on a recipe's files, by the same scorer."""
    from apps.benches.peer_scores import measure, show

    return _told(measure(args), show, args)


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
    _json(parser)


@app.command(_decode, on_tensorflow)
def decode(args: Namespace) -> int:
    """Decoding: the exported SavedModel against CTranslate2 on the same weights, strings in and strings out."""
    from apps.benches.decode import measure, show

    return _told(measure(args), show, args)


def _classify(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="HOME", help="the home of a classifier of texts")
    add("--threads", type=int, default=0, metavar="N", help="of both sides (default: one, then all that there are)")
    add("--rounds", type=int, default=3, metavar="N", help="of each side (default: %(default)s)")
    _json(parser)


@app.command(_classify, on_tensorflow)
def classify(args: Namespace) -> int:
    """Classification: the exported SavedModel against transformers on PyTorch on the same weights, strings in."""
    from apps.benches.classify import measure, show

    return _told(measure(args), show, args)


def _serve(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--model",
        default="",
        metavar="HOME",
        help="a model's home, also measured against its bare SavedModel in full batches (default: a trivial model)",
    )
    help = "a text a line, for a model that takes texts (default: its warm-up requests)"
    add("--texts", default="", metavar="FILE", help=help)
    add("--clients", nargs="+", type=int, default=[1, 8, 32, 64], metavar="N", help="(default: 1 8 32 64)")
    add("--seconds", type=float, default=5.0, metavar="S", help="of a round of each side (default: 5)")
    add("--rounds", type=int, default=3, metavar="N", help="of each side, in turn (default: %(default)s)")
    add("--transport", nargs="+", default=list(TRANSPORTS), choices=TRANSPORTS, help="(default: both)")
    add("--rows", type=int, default=1, metavar="N", help="of a request (default: %(default)s)")
    help = "requests a second, whatever the server does (default: each client asks again when it is answered)"
    add("--rate", type=float, default=0.0, metavar="R", help=help)
    help = "where a tensorflow_model_server has the same model: http://HOST:PORT, grpc://HOST:PORT, or both"
    add("--endpoint", nargs="+", default=[], metavar="URL", help=help)
    add("--batching", action="store_true", help="the server batches requests, as the home's parameters say")
    _json(parser)


@app.command(_serve, on_tensorflow)
def serve(args: Namespace) -> int:
    """Serving: requests a second and how long they take, against the bare SavedModel; exit code 1 for wrong answers."""
    from apps.benches.serve import measure, show

    return _told(measure(args), show, args)


def _swap(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--swaps", type=int, default=20, metavar="N", help="(default: %(default)s)")
    add("--clients", type=int, default=32, metavar="N", help="(default: %(default)s)")
    add("--transport", nargs="+", default=list(TRANSPORTS), choices=TRANSPORTS, help="(default: both)")
    add("--batching", action="store_true", help="the server batches requests")
    _json(parser)


@app.command(_swap, on_tensorflow)
def swap(args: Namespace) -> int:
    """New versions of a model while clients ask; exit code 1 where one request fails or is answered wrongly."""
    from apps.benches.serve_steady import show_swap, swap

    return _told(swap(args), show_swap, args)


def _soak(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--minutes", type=float, default=60.0, metavar="M", help="(default: 60)")
    add("--load-seconds", type=float, default=10.0, metavar="S", help="of each of the mixed loads (default: 10)")
    add("--batching", action="store_true", help="the server batches requests")
    _json(parser)


@app.command(_soak, on_tensorflow)
def soak(args: Namespace) -> int:
    """Mixed load for an hour; exit code 1 for a failed request, a wrong answer, or memory that grows by 100 MB."""
    from apps.benches.serve_steady import show_soak, soak

    return _told(soak(args), show_soak, args)


def _fuzz(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--requests", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="of chance (default: %(default)s)")
    _json(parser)


@app.command(_fuzz, on_tensorflow)
def fuzz(args: Namespace) -> int:
    """Wild requests; exit code 1 for a crash, a hang, a 500, a wrong answer between them, or memory that grows."""
    from apps.benches.serve_fuzz import fuzz, show

    return _told(fuzz(args), show, args)


def _told(result: dict[str, Any], show: Callable[[dict[str, Any]], None], args: Namespace) -> int:
    """Prints a result; the exit code says whether something in it must not be (a comparison of speeds never breaks)."""
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return 1 if result.get("broken") else 0


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
