"""What `serve start` does, behind its flags."""

from __future__ import annotations

import json
import logging
import sys
import time
from argparse import Namespace
from dataclasses import fields
from typing import Any

from apps.commands.serve_flags import token
from zoo.errors import UserError
from zoo.serving.options import Options
from zoo.serving.server import serve

log = logging.getLogger("zoo.serving")


def start(args: Namespace) -> None:
    """Serves until it is asked to end.

    Raises: UserError as `zoo.serving.server.serve`, and for flags that do not go together.
    """
    _log(args.json_logs, logging.WARNING if args.quiet else logging.INFO)
    serve(_base_path(args), args.rest_api_port, options(args))


def options(args: Namespace) -> Options:
    """The options that flags set.

    Raises: UserError where they do not go together, or a file cannot be read.
    """
    same = {each.name: getattr(args, each.name) for each in fields(Options) if each.name in args}
    if args.model_base_path and not args.model_config_file:
        same["model_name"] = args.model_name or "default"
    return Options(
        **same,
        grpc_port=args.port or None,
        max_request_bytes=args.max_request_mib * 2**20,
        load_retry_interval_seconds=args.load_retry_interval_micros / 1e6,
        token=token(args.bearer_token_file),
        tls_key=args.rest_api_tls_key,
        tls_certificate=args.rest_api_tls_certificate,
    )


def _base_path(args: Namespace) -> str:
    """The folder to serve; as in Serving, --model_config_file wins over --model_base_path and --model_name."""
    if args.base_path:
        for other in ("model_base_path", "model_config_file", "model_name"):
            if getattr(args, other):
                raise UserError(f"this does not go together with --{other}.", where=args.base_path)
    elif args.model_config_file and args.model_base_path:
        log.warning("--model_config_file is given: --model_base_path and --model_name say nothing")
    elif args.model_name and not args.model_base_path:
        raise UserError("--model_name names the model of --model_base_path.", where=f"--model_name {args.model_name}")
    return str(args.base_path or args.model_base_path)


def _log(as_json: bool, level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("zoo").setLevel(level)


class JsonLines(logging.Formatter):
    """A JSON object a line: `time` (UTC), `level`, `logger`, `message`, and `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
