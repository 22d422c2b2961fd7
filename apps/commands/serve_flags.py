"""The flags of `serve start`, named as tensorflow_model_server names them where it has them. Loads nothing heavy."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import UserError


class Flag(NamedTuple):
    """A flag.

    Attributes:
        name: without its dashes.
        kind: makes a value of its text; bool for one that may go without.
        default: where it is not given.
        metavar: what stands for the value in the help.
        help: what it does, with its default.
    """

    name: str
    kind: Callable[[str], Any]
    default: Any
    metavar: str
    help: str


FLAGS = {
    "models": (
        Flag("model_base_path", str, "", "FOLDER", "the home of one model, which --model_name names"),
        Flag("model_name", str, "", "NAME", "its name (default: default)"),
        Flag("model_config_file", str, "", "FILE", "a ModelServerConfig in text format: several models, with policies"),
        Flag("model_config_file_poll_wait_seconds", float, 0.0, "S", "how often it is read again (default: 0, never)"),
        Flag(
            "allow_version_labels_for_unavailable_models",
            bool,
            False,
            "BOOL",
            "let a new label stand for a version that is not loaded yet; needed for labels in the file at the start",
        ),
        Flag("file_system_poll_wait_seconds", float, 1.0, "S", "how often new versions are looked for (default: 1)"),
        Flag("max_num_load_retries", int, 5, "N", "of a version that fails (default: 5)"),
        Flag("load_retry_interval_micros", int, 60_000_000, "US", "between them (default: a minute)"),
        Flag("enable_model_warmup", bool, True, "BOOL", "run a version's warm-up requests first (default: true)"),
    ),
    "listening": (
        Flag("port", int, 8500, "PORT", "for gRPC; 0 is none (default: 8500)"),
        Flag("grpc_max_threads", int, 0, "N", "requests taken at once (default: 4 a processor; 128 for batching)"),
        Flag("enable_grpc_healthcheck_service", bool, False, "BOOL", "answer grpc.health.v1.Health (default: false)"),
        Flag("ssl_config_file", str, "", "FILE", "an SSLConfig in text format: gRPC by TLS"),
        Flag("rest_api_port", int, 8501, "PORT", "for REST; 0 takes any that is free (default: 8501)"),
        Flag("host", str, "127.0.0.1", "ADDRESS", "(default: 127.0.0.1, this machine alone; 0.0.0.0 is everyone)"),
        Flag(
            "rest_api_num_threads",
            int,
            0,
            "N",
            "requests taken at once (default: 4 a processor; 128 for batching)",
        ),
        Flag("rest_api_timeout_in_ms", int, 30_000, "MS", "for one request (default: 30000)"),
        Flag("max_request_mib", int, 256, "MIB", "the largest request (default: 256)"),
        Flag("rest_api_enable_cors_support", bool, False, "BOOL", "let pages of other sites ask (default: false)"),
        Flag("playground", bool, True, "BOOL", "a page at / to try the models with (default: true)"),
        Flag("bearer_token_file", str, "", "FILE", "holds a token that clients must send; without TLS it can be read"),
        Flag("rest_api_tls_key", str, "", "FILE", "PEM, for REST by TLS; with --rest_api_tls_certificate"),
        Flag("rest_api_tls_certificate", str, "", "FILE", "PEM, with those between it and the root"),
    ),
    "TensorFlow": (
        Flag("enable_batching", bool, False, "BOOL", "answer requests that come together together (default: false)"),
        Flag("batching_parameters_file", str, "", "FILE", "a BatchingParameters in text format; a home has one"),
        Flag("tensorflow_session_parallelism", int, 0, "N", "threads in an op, and ops at once (default: processors)"),
        Flag("tensorflow_intra_op_parallelism", int, 0, "N", "threads in an op (default: processors)"),
        Flag("tensorflow_inter_op_parallelism", int, 0, "N", "ops at once, over all requests (default: processors)"),
        Flag("per_process_gpu_memory_fraction", float, 0.0, "SHARE", "of a GPU, taken at once (default: as needed)"),
    ),
    "watching": (
        Flag("monitoring_config_file", str, "", "FILE", "a MonitoringConfig in text format: metrics for Prometheus"),
        Flag("metrics", bool, False, "BOOL", "metrics at /monitoring/prometheus/metrics, without such a file"),
        Flag("json_logs", bool, False, "BOOL", "a JSON object for each line of the log (default: false)"),
        Flag("drain_seconds", float, 30.0, "S", "how long requests may take to finish after SIGTERM (default: 30)"),
    ),
}


def start_flags(parser: ArgumentParser) -> None:
    """Adds the flags of `start`."""
    help = "a folder of model homes, or one model home; instead of --model_base_path and --model_config_file"
    parser.add_argument("base_path", metavar="FOLDER", nargs="?", default="", help=help)
    for title, flags in FLAGS.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            extra: dict[str, Any] = {"nargs": "?", "const": True, "type": _truth} if flag.kind is bool else {}
            group.add_argument(
                f"--{flag.name}",
                default=flag.default,
                metavar=flag.metavar,
                help=flag.help,
                **{"type": flag.kind, **extra},
            )


def ask_flags(parser: ArgumentParser) -> None:
    """Adds the flags of `ask` that say which server, and how to come in."""
    add = parser.add_argument
    help = "HOST:PORT, or a URL of http, https, grpc or grpcs (default: localhost:8501)"
    add("--server", default="localhost:8501", metavar="ADDRESS", help=help)
    add("--bearer_token_file", default="", metavar="FILE", help="holds the token that the server asks for")
    help = "PEM, the authorities to trust over https and grpcs (default: the system's)"
    add("--certificate", default="", metavar="FILE", help=help)


def token(path: str) -> str:
    """The token in a file; none where no file is named.

    Raises: UserError where the file holds none.
    """
    if not path:
        return ""
    try:
        found = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read as a token: {error}.", where=path) from error
    if not found:
        raise UserError("the token is empty.", where=path)
    return found


def _truth(text: str) -> bool:
    """--enable_batching, --enable_batching=true and --enable_batching=1 are one, as in TensorFlow's own flags."""
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise ArgumentTypeError(f"{text} is neither true nor false")
