"""The small configuration files of TensorFlow Serving: monitoring_config_file and ssl_config_file, in text format.

    prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }

tensorflow-serving-api comes without these two messages, so they are described here, field numbers and all, as in
config/monitoring_config.proto and config/ssl_config.proto.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import UserError
from zoo.serving.metrics import PATH


def metrics_path(path: str | Path) -> str | None:
    """The path at which a monitoring_config_file wants the metrics, or None where it does not enable them.

    Raises: UserError where there is no such file, or it holds something else.
    """
    found = _read(path, "MonitoringConfig").prometheus_config
    return (found.path or PATH) if found.enable else None


class Certificates(NamedTuple):
    """What a server shows of itself and asks of clients over TLS; PEM.

    Attributes:
        key, certificate: the server's own.
        authorities: who must vouch for a client's certificate; empty where clients need none.
    """

    key: bytes
    certificate: bytes
    authorities: bytes


def certificates(path: str | Path) -> Certificates:
    """What an ssl_config_file says. As in Serving, custom_ca counts where client_verify asks for certificates.

    Raises: UserError where there is no such file, or it holds something else, or not enough.
    """
    found = _read(path, "SSLConfig")
    if not (found.server_key and found.server_cert):
        raise UserError("server_key and server_cert are needed, as PEM text.", where=str(path))
    if found.client_verify and not found.custom_ca:
        raise UserError("client_verify needs custom_ca: the authorities of the clients, as PEM text.", where=str(path))
    authorities = found.custom_ca if found.client_verify else ""
    return Certificates(found.server_key.encode(), found.server_cert.encode(), authorities.encode())


def _read(path: str | Path, name: str) -> Any:
    from google.protobuf import text_format

    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), _messages()[name]())
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}.", where=str(path)) from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        text = f"Error parsing text-format tensorflow.serving.{name}: {error}"
        raise UserError(text, where=str(path)) from error


@cache
def _messages() -> dict[str, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="zoo/serving/settings.proto", package="tensorflow.serving", syntax="proto3"
    )
    prometheus, monitoring, ssl = (
        file.message_type.add(name=name) for name in ("PrometheusConfig", "MonitoringConfig", "SSLConfig")
    )
    text, truth = kinds.TYPE_STRING, kinds.TYPE_BOOL
    for message, fields in (
        (prometheus, {"enable": truth, "path": text}),
        (ssl, {"server_key": text, "server_cert": text, "custom_ca": text, "client_verify": truth}),
    ):
        for number, (name, kind) in enumerate(fields.items(), start=1):
            message.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    monitoring.field.add(
        name="prometheus_config",
        number=1,
        type=kinds.TYPE_MESSAGE,
        type_name=".tensorflow.serving.PrometheusConfig",
        label=kinds.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()  # of our own: others may know these messages too
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"tensorflow.serving.{name}") for name in (monitoring.name, ssl.name)}
    return {name: message_factory.GetMessageClass(each) for name, each in found.items()}
