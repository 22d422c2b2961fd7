"""Which models to serve, as an operator lists them: TensorFlow Serving's ModelServerConfig, read and checked.

    model_config_list { config {
      name: "translate"  base_path: "/models/translate"  model_platform: "tensorflow"
      model_version_policy { latest { num_versions: 2 } }
      version_labels { key: "stable" value: 3 }
    } }

Rules and texts are those of Serving's model_servers/server_core.cc.
"""

import logging
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from zoo.errors import UserError
from zoo.serving.status import Code, RequestError, invalid

log = logging.getLogger(__name__)

_TENSORFLOW = "tensorflow"  # the one platform that the stock server knows
_DEPRECATED_TYPES = {1: _TENSORFLOW}  # the enum ModelType
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9.]*://[^/]*")


class Policy(NamedTuple):
    """Which of the versions that are there are served.

    Attributes:
        latest: that many of the newest; 0 is all of them.
        specific: these, as far as they are there, where it is not None.
    """

    latest: int = 1
    specific: frozenset[int] | None = None

    def choose(self, found: Collection[int]) -> list[int]:
        """The versions to serve of those found, in order."""
        if self.specific is not None:
            return sorted(self.specific & set(found))
        return sorted(found)[-self.latest :]


class Listed(NamedTuple):
    """A model of the list."""

    name: str
    base_path: Path
    policy: Policy
    labels: Mapping[str, int]


def read(path: str | Path) -> Any:
    """The ModelServerConfig in a text file.

    Raises: UserError where there is no such file, or it holds something else.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), ModelServerConfig())
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}.", where=str(path)) from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        text = f"Error parsing text-format tensorflow.serving.ModelServerConfig: {error}"
        raise UserError(text, where=str(path)) from error


def single(name: str, base_path: str | Path) -> Any:
    """The ModelServerConfig of one model, as --model_name and --model_base_path give it."""
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=str(base_path), model_platform=_TENSORFLOW)
    return config


def check(config: Any, known: Collection[str] | None) -> list[Listed]:
    """The models that a ModelServerConfig lists.

    Args:
        config: the ModelServerConfig.
        known: the models that are configured now; None where it is the first configuration.
    Raises: RequestError with Serving's code and text.
    """
    kind = config.WhichOneof("config")
    if kind != "model_config_list":
        if known is not None:
            raise RequestError(
                Code.FAILED_PRECONDITION,
                "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to "
                "another.",
            )
        if kind:
            raise invalid("Missing custom_model_config_loader in ServerCore Options")
        return []
    models = list(config.model_config_list.config)
    _check_list(models)
    platforms = {each.name: _platform(each) for each in models}
    for name, platform in platforms.items():
        if platform != _TENSORFLOW and name in (known or ()):
            raise invalid(
                f"Illegal to change a model's platform. For model {name} platform was {_TENSORFLOW} and new platform "
                f"requested is {platform}"
            )
        if platform != _TENSORFLOW:
            raise invalid(f"Model {name} requests unsupported platform {platform}")
    return [
        Listed(each.name, Path(each.base_path.removeprefix("file://")), _policy(each), dict(each.version_labels))
        for each in models
    ]


def _check_list(models: Collection[Any]) -> None:
    names = set()
    for each in models:
        if each.name in names:
            raise invalid(f"Illegal to list model {each.name} multiple times in config list")
        names.add(each.name)
    for each in models:
        uri = _URI.match(each.base_path)
        if not (uri or each.base_path.startswith("/")):
            raise invalid(
                f"Expected model {each.name} to have an absolute path or URI; got base_path()={each.base_path}"
            )
        if uri and uri[0] != "file://":
            raise invalid(f"This server reads folders only: model {each.name} has base_path()={each.base_path}")
        if each.HasField("logging_config"):
            raise RequestError(Code.UNIMPLEMENTED, f"This server logs no requests: model {each.name}, logging_config")


def _platform(model: Any) -> str:
    if model.model_type:
        if model.model_platform:
            raise invalid(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
            )
        if model.model_type not in _DEPRECATED_TYPES:
            raise invalid(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        return _DEPRECATED_TYPES[model.model_type]
    if not model.model_platform:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform."
        )
    return str(model.model_platform)


def _policy(model: Any) -> Policy:
    policy = model.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return Policy(latest=0)
        case "specific":
            return Policy(specific=frozenset(policy.specific.versions))
    return Policy(latest=max(1, policy.latest.num_versions))  # Serving reads 0, and nothing at all, as 1


class ConfigFile:
    """Reads a configuration file again and again, and hands on what has changed.

    Args:
        path: the text file of a ModelServerConfig.
        reload: takes a new configuration; what it raises is logged, and the file tried again at the next look.
        seconds: from look to look.
    """

    def __init__(self, path: str | Path, reload: Callable[[Any], None], seconds: float) -> None:
        self._path, self._reload, self._seconds = path, reload, seconds
        self._taken = read(path)
        self._stopping = Event()
        self._thread = Thread(target=self._watch, name="zoo-serving-config", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                config = read(self._path)
                if config != self._taken:
                    self._reload(config)
                    self._taken = config
                    log.info("%s is taken over", self._path)
            except (UserError, RequestError) as error:
                log.error("%s is not taken over: %s", self._path, error)
            except Exception:
                log.exception("reading %s failed; going on", self._path)
