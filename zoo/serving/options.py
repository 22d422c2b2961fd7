"""How to serve: what the command line's flags set."""

import os
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import UserError
from zoo.serving import settings
from zoo.serving.metrics import PATH
from zoo.serving.servable import SessionOptions

WAITING = 128  # requests that may wait for a batch; each holds a thread, which costs nothing meanwhile


@dataclass(frozen=True)
class Options:
    """How to serve. The names are TensorFlow Serving's flags where it has them.

    Attributes:
        host: the address to listen on; loopback unless told otherwise.
        grpc_port: for gRPC (--port); 0 takes any that is free, None is no gRPC.
        grpc_max_threads: how many requests are taken at once over gRPC; 0 as `workers` has it.
        enable_grpc_healthcheck_service: whether grpc.health.v1.Health answers.
        ssl_config_file: key and certificate for gRPC, and whose clients may come; an SSLConfig in text format.
        model_name: what the one model is called whose home the base path is; empty for the names of the folders.
        model_config_file: a ModelServerConfig in text format, which takes the place of the base path.
        model_config_file_poll_wait_seconds: how often that file is read again; 0 is never.
        allow_version_labels_for_unavailable_models: whether a new label may stand for a version not loaded yet.
        rest_api_num_threads: how many requests are taken at once over REST; 0 as `workers` has it.
        rest_api_timeout_in_ms: how long a model may take for one of them, and a client to send one.
        rest_api_enable_cors_support: whether pages of other sites may ask.
        max_request_bytes: the largest request that is read.
        file_system_poll_wait_seconds: how often new versions are looked for; 0 is once.
        max_num_load_retries: how often a version that fails to load is tried again …
        load_retry_interval_seconds: … and how long after.
        enable_model_warmup: whether the warm-up requests of a version are run before it is served.
        enable_batching: whether requests that come together are answered together.
        batching_parameters_file: how, a BatchingParameters in text format.
        tensorflow_session_parallelism: threads within an op, and ops at once; 0 is one for each processor …
        tensorflow_intra_op_parallelism, tensorflow_inter_op_parallelism: … or each of the two.
        per_process_gpu_memory_fraction: of a GPU's memory, taken at once; 0 takes it as it is needed.
        monitoring_config_file: says whether and where metrics are to be had.
        metrics: gives metrics at their usual place without such a file.
        playground: whether there is a page at / to try the models with.
        token: what clients must send as a bearer token; empty lets everyone in.
        tls_key, tls_certificate: PEM files for REST; both or none.
        drain_seconds: how long requests may take to finish when the server stops.
    """

    host: str = "127.0.0.1"
    grpc_port: int | None = None
    grpc_max_threads: int = 0
    enable_grpc_healthcheck_service: bool = False
    ssl_config_file: str | Path = ""
    model_name: str = ""
    model_config_file: str | Path = ""
    model_config_file_poll_wait_seconds: float = 0.0
    allow_version_labels_for_unavailable_models: bool = False
    rest_api_num_threads: int = 0
    rest_api_timeout_in_ms: int = 30_000
    rest_api_enable_cors_support: bool = False
    max_request_bytes: int = 256 * 2**20
    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retry_interval_seconds: float = 60.0
    enable_model_warmup: bool = True
    enable_batching: bool = False
    batching_parameters_file: str | Path = ""
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    per_process_gpu_memory_fraction: float = 0.0
    monitoring_config_file: str | Path = ""
    metrics: bool = False
    playground: bool = True
    token: str = ""
    tls_key: str | Path = ""
    tls_certificate: str | Path = ""
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        if bool(self.tls_key) != bool(self.tls_certificate):
            raise UserError("TLS needs both a key and a certificate.", where=str(self.tls_key or self.tls_certificate))

    def workers(self, asked: int) -> int:
        """How many requests are taken at once: as asked, or four for each processor, and more where they wait."""
        return asked or max(4 * (os.cpu_count() or 1), WAITING if self.enable_batching else 0)

    def session(self) -> SessionOptions:
        """What TensorFlow may use.

        Raises: UserError, in Serving's words, where threads are given twice.
        """
        both, intra, inter = (
            self.tensorflow_session_parallelism,
            self.tensorflow_intra_op_parallelism,
            self.tensorflow_inter_op_parallelism,
        )
        if both and intra and inter:
            raise UserError(
                "Either configure server_options.tensorflow_session_parallelism or "
                "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
                "separately. You cannot configure all."
            )
        if not (intra or inter):
            intra = inter = both
        return SessionOptions(intra, inter, self.per_process_gpu_memory_fraction)

    def metrics_path(self) -> str:
        """Where metrics are to be had; empty for nowhere.

        Raises: UserError for a mistake in monitoring_config_file.
        """
        found = settings.metrics_path(self.monitoring_config_file) if self.monitoring_config_file else None
        return found or (PATH if self.metrics else "")
