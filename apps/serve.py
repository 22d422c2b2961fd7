"""Serve models as TensorFlow Serving does, and ask them.

    python -m apps.serve saved_models                            every model below a folder, at http://127.0.0.1:8501
    python -m apps.serve ask multi30k-en-de "A dog runs."        asks one of them

A folder alone is short for `start FOLDER`. Options are named as tensorflow_model_server names them.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.cli import CommandLine, on_tensorflow
from zoo.errors import UserError, nearest

app = CommandLine("serve", __doc__)


def start_arguments(parser: ArgumentParser) -> None:
    """The options of `start`."""
    parser.add_argument("base_path", metavar="FOLDER", help="a folder of model homes, or one model home")
    parser.add_argument("--rest_api_port", type=int, default=8501, metavar="PORT", help="0 takes any (default: 8501)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default: 127.0.0.1, this machine alone; 0.0.0.0 is everyone)",
    )
    parser.add_argument(
        "--rest_api_num_threads",
        type=int,
        default=0,
        metavar="N",
        help="requests worked on at once (default: four for each processor)",
    )
    parser.add_argument(
        "--rest_api_timeout_in_ms", type=int, default=30_000, metavar="MS", help="for one request (default: 30000)"
    )
    parser.add_argument(
        "--max_request_mib", type=int, default=256, metavar="MIB", help="the largest request (default: 256)"
    )
    parser.add_argument(
        "--file_system_poll_wait_seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="how often new versions are looked for (default: 1)",
    )
    parser.add_argument(
        "--max_num_load_retries", type=int, default=5, metavar="N", help="of a version that fails (default: 5)"
    )
    parser.add_argument(
        "--load_retry_interval_micros", type=int, default=60_000_000, metavar="US", help="(default: a minute)"
    )


@app.command(start_arguments, on_tensorflow)
def start(args: Namespace) -> None:
    """Serve the models below a folder; stop with Ctrl-C or SIGTERM.

    New versions are taken up as they appear: the old one answers until the new one is loaded and warmed up.
    """
    import logging

    from zoo.serving.server import Options, serve

    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("zoo").setLevel(logging.WARNING if args.quiet else logging.INFO)
    options = Options(
        host=args.host,
        rest_api_num_threads=args.rest_api_num_threads,
        rest_api_timeout_in_ms=args.rest_api_timeout_in_ms,
        max_request_bytes=args.max_request_mib * 2**20,
        file_system_poll_wait_seconds=args.file_system_poll_wait_seconds,
        max_num_load_retries=args.max_num_load_retries,
        load_retry_interval_seconds=args.load_retry_interval_micros / 1e6,
    )
    serve(args.base_path, args.rest_api_port, options)


def ask_arguments(parser: ArgumentParser) -> None:
    """The options of `ask`."""
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    parser.add_argument(
        "values",
        metavar="VALUE",
        nargs="+",
        help="a row each: a text, a number, or a file where the input is binary; "
        "NAME=VALUE for each input of one row where the signature has several",
    )
    parser.add_argument("--server", default="localhost:8501", metavar="ADDRESS", help="(default: localhost:8501)")
    parser.add_argument("--signature", default="serving_default", metavar="NAME", help="(default: serving_default)")
    parser.add_argument("--version", type=int, metavar="N", help="(default: the newest)")


@app.command(ask_arguments)
def ask(args: Namespace) -> None:
    """Ask a model on a running server; prints a line of JSON for each row."""
    from zoo.serving.client import Client

    with Client(args.server) as client:
        takes, _ = client.signature(args.model, args.signature, version=args.version)
        inputs = _inputs(args.values, takes)
        outputs = client.predict(args.model, inputs, signature=args.signature, version=args.version)
    for row in _rows(outputs):
        print(json.dumps(row, ensure_ascii=False, default=lambda value: {"b64": b64encode(value).decode()}))


def _inputs(values: Sequence[str], takes: Mapping[str, str]) -> dict[str, list[Any]]:
    """The values of the command line as a batch for a signature: a row each, or NAME=VALUE for a single row."""
    if len(takes) == 1:
        (name, dtype) = next(iter(takes.items()))
        return {name: [_value(each, name, dtype) for each in values]}
    inputs = {}
    for each in values:
        name, equals, text = each.partition("=")
        if not equals or name not in takes:
            remedy = f"Give {' '.join(f'{each}=…' for each in takes)}."
            raise UserError(f"the signature has {len(takes)} inputs.{nearest(name, takes)}", where=each, remedy=remedy)
        inputs[name] = [_value(text, name, takes[name])]
    return inputs


def _value(text: str, name: str, dtype: str) -> Any:
    if dtype == "string":
        return Path(text) if name.endswith("_bytes") else text
    try:
        return json.loads(text)
    except ValueError:
        raise UserError(f"the input {name} takes {dtype}, in JSON.", where=text) from None


def _rows(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The outputs row by row; as they are where they do not agree on how many rows there are."""
    sizes = {len(value) if isinstance(value, list) else None for value in outputs.values()}
    if len(sizes) != 1 or None in sizes:
        return [dict(outputs)]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; a line that begins with none of them is one for `start`."""
    line = list(sys.argv[1:] if argv is None else argv)
    if line and line[0] not in ("start", "ask", "-h", "--help"):
        line.insert(0, "start")
    return app.main(line)


if __name__ == "__main__":
    raise SystemExit(main())
