"""Serve models as TensorFlow Serving does, and ask them.

    python -m apps.serve saved_models                            every model below a folder, at http://127.0.0.1:8501
    python -m apps.serve ask multi30k-en-de "A dog runs."        asks one of them
    python -m apps.serve --model_config_file models.config       the models of a list, with policies and labels
    python -m apps.serve config saved_models                     writes such a list
    python -m apps.serve audit saved_models/multi30k-en-de       checks what TensorFlow Serving would trip over

A line without a command is one for `start`. Options are named as tensorflow_model_server names them.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.cli import CommandLine, on_tensorflow
from apps.commands.audit import arguments as audit_arguments
from apps.commands.serve_flags import ask_flags, start_flags, token
from zoo.errors import UserError, nearest

app = CommandLine("serve", __doc__)


@app.command(start_flags, on_tensorflow)
def start(args: Namespace) -> None:
    """Serve models; stop with Ctrl-C or SIGTERM.

    New versions are taken up as they appear: the old one answers until the new one is loaded and warmed up.
    """
    from apps.commands.serve import start

    start(args)


@app.command(audit_arguments)
def audit(args: Namespace) -> int:
    """Check that stock TensorFlow Serving can be trusted with a SavedModel; exit code 1 where it cannot."""
    from apps.commands.audit import main

    return main(args)


def config_arguments(parser: ArgumentParser) -> None:
    """The options of `config`."""
    parser.add_argument("folder", metavar="FOLDER", help="holds the model homes")
    help = "where that folder stands on the server, such as /models (default: where it is here)"
    parser.add_argument("--base_path", default="", metavar="PATH", help=help)
    parser.add_argument("--output", default="", metavar="FILE", help="where to write (default: it is printed)")


@app.command(config_arguments)
def config(args: Namespace) -> None:
    """Write the models.config of a folder of model homes, for --model_config_file."""
    from zoo.export.operate import models_config

    folder = Path(args.folder)
    text = models_config(folder, args.base_path or str(folder.resolve()))
    if not args.output:
        print(text, end="")
        return
    try:
        Path(args.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}.", where=args.output) from error


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
    ask_flags(parser)
    parser.add_argument("--signature", default="serving_default", metavar="NAME", help="(default: serving_default)")
    parser.add_argument("--version", type=int, metavar="N", help="(default: the newest)")


@app.command(ask_arguments)
def ask(args: Namespace) -> None:
    """Ask a model on a running server; prints a line of JSON for each row."""
    from zoo.serving.client import Client

    with Client(args.server, token=token(args.bearer_token_file), certificate=args.certificate) as client:
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
    if line and line[0] not in (*app.commands, "-h", "--help"):
        line.insert(0, "start")
    return app.main(line)


if __name__ == "__main__":
    raise SystemExit(main())
