import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.serving.test_models import until
from zoo.errors import UserError
from zoo.serving import model_config
from zoo.serving.model_config import Listed, Policy
from zoo.serving.models import Models, State
from zoo.serving.servable import Servable
from zoo.serving.server import Options, start
from zoo.serving.status import Code, RequestError

TEXT = np.array([b"a"], object)


def config(*models: str) -> Any:
    """A ModelServerConfig of these models; each says what differs from a TensorFlow model at /models."""
    listing = "".join(f"config {{ {model} }}\n" for model in models)
    return text_format.Parse(f"model_config_list {{ {listing} }}", ModelServerConfig())


def listed(name: str, base_path: object, more: str = "") -> str:
    return f'name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more}'


def label(name: str, version: int) -> str:
    return f'version_labels {{ key: "{name}" value: {version} }}'


@pytest.mark.parametrize(
    ("models", "text"),
    [
        ([listed("m", "/m"), listed("m", "/n")], "Illegal to list model m multiple times in config list"),
        ([listed("m", "m")], "Expected model m to have an absolute path or URI; got base_path()=m"),
        ([listed("m", "")], "Expected model m to have an absolute path or URI; got base_path()="),
        ([listed("m", "C:/m")], "Expected model m to have an absolute path or URI; got base_path()=C:/m"),
        ([listed("m", "gs://b/m")], "This server reads folders only: model m has base_path()=gs://b/m"),
        (
            ['name: "m" base_path: "/m"'],
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
        ),
        (
            [listed("m", "/m", "model_type: TENSORFLOW")],
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform.",
        ),
        (['name: "m" base_path: "/m" model_type: OTHER'], "ModelServerConfig::model_type choice 2 not supported."),
        (['name: "m" base_path: "/m" model_platform: "torch"'], "Model m requests unsupported platform torch"),
        (
            ['name: "old" base_path: "/m" model_platform: "torch"'],
            (
                "Illegal to change a model's platform. For model old platform was tensorflow and new platform "
                "requested is torch"
            ),
        ),
    ],
)
def test_a_list_that_is_wrong_is_refused_in_servings_words(models: list[str], text: str) -> None:
    with pytest.raises(RequestError) as caught:
        model_config.check(config(*models), ["old"])
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, text)


def test_a_list_may_only_follow_a_list() -> None:
    custom = ModelServerConfig()
    custom.custom_model_config.SetInParent()
    for other in (ModelServerConfig(), custom):
        with pytest.raises(RequestError, match="FAILED_PRECONDITION: Cannot transition to requested config"):
            model_config.check(other, [])
    assert model_config.check(ModelServerConfig(), None) == []  # at the start: nothing yet
    with pytest.raises(RequestError, match="INVALID_ARGUMENT: Missing custom_model_config_loader"):
        model_config.check(custom, None)
    logging = listed("m", "/m", "logging_config { sampling_config { sampling_rate: 1 } }")
    with pytest.raises(RequestError, match="UNIMPLEMENTED: This server logs no requests: model m"):
        model_config.check(config(logging), None)


def test_what_a_list_says_of_its_models() -> None:
    models = config(
        listed("a", "/a#1"),
        listed("b", "file:///b", "model_version_policy { latest { num_versions: 2 } }"),
        listed("c", "/c", "model_version_policy { all {} }" + label("canary", 3)),
        'name: "d" base_path: "/d" model_type: TENSORFLOW '
        "model_version_policy { specific { versions: 5 versions: 2 versions: 9 } }",
    )
    assert model_config.check(models, ["a"]) == [
        Listed("a", Path("/a#1"), Policy(1), {}),
        Listed("b", Path("/b"), Policy(2), {}),
        Listed("c", Path("/c"), Policy(0), {"canary": 3}),
        Listed("d", Path("/d"), Policy(specific=frozenset({2, 5, 9})), {}),
    ]
    found = {7, 2, 5}
    assert Policy().choose(found) == [7] and Policy(2).choose(found) == [5, 7] and Policy(0).choose(found) == [2, 5, 7]
    assert Policy(specific=frozenset({2, 5, 9})).choose(found) == [2, 5]
    assert Policy(specific=frozenset()).choose(found) == Policy().choose([]) == []


@pytest.fixture
def base(saved: Path, tmp_path: Path) -> Path:
    """A folder with homes: `one` (versions 1 and 2), `two` (version 1)."""
    shutil.copytree(saved / "upper", tmp_path / "one")
    shutil.copytree(saved / "later" / "2", tmp_path / "one" / "2")
    shutil.copytree(saved / "upper", tmp_path / "two")
    return tmp_path


@pytest.fixture
def serving() -> Iterator[Callable[..., Models]]:
    """Starts Models, which are stopped in the end."""
    started = []

    def start_models(config: Any, **options: Any) -> Models:
        models = Models(config, Servable, **{"poll_seconds": 0.02, "retry_seconds": 0.05} | options)
        models.start()
        started.append(models)
        return models

    yield start_models
    for each in started:
        each.stop()


def states(models: Models, name: str) -> dict[int, State]:
    return {each.version: each.state for each in models.status(name)}


def ask(models: Models, name: str, **which: Any) -> bytes:
    with models.use(name, **which) as servable:
        return servable.run("serving_default", {"text": TEXT})["text"].item()


def test_versions_by_policy_and_by_label(serving: Callable[..., Models], base: Path) -> None:
    all_versions = listed("m", base / "one", "model_version_policy { all {} }")
    models = serving(config(all_versions))
    assert states(models, "m") == {2: State.AVAILABLE, 1: State.AVAILABLE}
    assert (ask(models, "m"), ask(models, "m", version=1), ask(models, "m", version=2)) == (b"A!", b"A", b"A!")
    with pytest.raises(RequestError, match="INVALID_ARGUMENT: Unrecognized servable version label: stable"):
        ask(models, "m", label="stable")

    models.reload(config(all_versions + label("stable", 1) + label("canary", 2)))
    assert (ask(models, "m", label="stable"), ask(models, "m", label="canary")) == (b"A", b"A!")
    assert [each.version for each in models.status("m", label="stable")] == [1]
    with pytest.raises(RequestError, match="Unrecognized servable version label: stable"):
        models.status("other", label="stable")

    specific = listed("m", base / "one", "model_version_policy { specific { versions: 1 } }")
    models.reload(config(specific + label("stable", 1)))
    until(lambda: states(models, "m") == {2: State.END, 1: State.AVAILABLE})
    assert ask(models, "m") == b"A"
    with pytest.raises(RequestError, match="Unrecognized servable version label: canary"):
        ask(models, "m", label="canary")


def test_a_label_for_a_version_that_is_not_available(serving: Callable[..., Models], base: Path) -> None:
    newest = listed("m", base / "one")
    refused = "Request to assign label to version {} of model m, which is not currently available for inference"
    with pytest.raises(UserError, match="FAILED_PRECONDITION: " + refused.format(2)) as caught:
        serving(config(newest + label("stable", 2)))  # as Serving: at the start nothing is available yet
    assert "--allow_version_labels_for_unavailable_models" in caught.value.remedy

    models = serving(config(newest))
    with pytest.raises(RequestError) as refusal:
        models.reload(config(newest + label("stable", 1), listed("two", base / "two")))
    assert (refusal.value.code, refusal.value.message) == (Code.FAILED_PRECONDITION, refused.format(1))
    assert models.names() == ["m"]  # nothing has changed

    models = serving(config(newest + label("stable", 1)), labels_for_unavailable=True)
    with pytest.raises(RequestError, match=r"NOT_FOUND: Servable not found for request: Specific\(m, 1\)"):
        ask(models, "m", label="stable")
    with pytest.raises(RequestError, match=refused.format(7)):  # a label that exists moves to what is available only
        models.reload(config(newest + label("stable", 7)))
    models.reload(config(newest + label("stable", 2)))
    assert ask(models, "m", label="stable") == b"A!"


def test_labels_are_not_there_before_the_first_configuration(base: Path) -> None:
    with pytest.raises(RequestError, match="UNAVAILABLE: Model labels does not init yet.stable"):
        ask(Models(config(listed("m", base / "one")), Servable), "m", label="stable")


def test_a_new_list_replaces_the_old_one_and_does_not_wait_for_requests(
    serving: Callable[..., Models], base: Path
) -> None:
    models = serving(base)  # a folder: both homes, by their names
    assert models.names() == ["one", "two"]
    with models.use("one") as old:
        models.reload(config(listed("three", base / "two")))
        assert models.names() == ["three"]
        assert states(models, "one") == {2: State.UNLOADING}
        assert old.run("serving_default", {"text": TEXT})["text"].item() == b"A!"
    until(lambda: states(models, "one") == {2: State.END} and states(models, "two") == {1: State.END})
    with pytest.raises(RequestError, match=r"Servable not found for request: Latest\(one\)"):
        ask(models, "one")
    models.reload(config(listed("one", base / "one")))  # and back
    assert ask(models, "one") == b"A!" and models.names() == ["one"]
    models.reload(config())
    until(lambda: states(models, "one") == {2: State.END})
    assert models.names() == []


def test_a_new_model_that_does_not_load_is_said_and_comes_when_it_can(
    serving: Callable[..., Models], base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = serving(config(listed("one", base / "one")))
    shutil.copytree(base / "two", base / "broken")
    whole = (base / "broken" / "1" / "saved_model.pb").rename(base / "kept")
    both = config(listed("one", base / "one"), listed("bad", base / "broken"), listed("gone", base / "gone"))
    with pytest.raises(RequestError) as caught:
        models.reload(both)
    assert caught.value.code is Code.UNKNOWN
    assert caught.value.message.startswith(
        "2 model(s) did not become available: {{{name: bad version: 1} due to error: NOT_FOUND: Could not find "
        "SavedModel .pb or .pbtxt at supplied export directory path: "
    )
    assert caught.value.message.endswith("}, {{name: gone}}, }")
    path = base / "gone"
    assert f"Could not find base path {path} for servable gone with error No such file or directory" in caplog.messages
    assert ask(models, "one") == b"A!"
    whole.rename(base / "broken" / "1" / "saved_model.pb")
    path.mkdir()
    missing = f"No versions of servable gone found under base path {path}. Did you forget to name your leaf directory"
    until(lambda: any(message.startswith(missing) for message in caplog.messages))
    shutil.copytree(base / "two", path, dirs_exist_ok=True)
    until(lambda: models.names() == ["bad", "gone", "one"])


def test_a_folder_that_cannot_be_read_for_a_moment_takes_no_model_with_it(
    serving: Callable[..., Models], base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = serving(config(listed("one", base / "one")))
    (base / "one").rename(base / "away")
    until(lambda: any("Could not find base path" in message for message in caplog.messages))
    assert ask(models, "one") == b"A!"
    (base / "away" / "2").rename(base / "2")
    (base / "away").rename(base / "one")
    until(lambda: states(models, "one") == {2: State.END, 1: State.AVAILABLE})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (
            {"base_path": "m", "model_name": "m"},
            "Expected model m to have an absolute path or URI; got base_path[(][)]=m",
        ),
        ({"base_path": "/no/m", "model_name": "m"}, "Could not find base path /no/m for servable m with error No such"),
        ({"model_config_file": "/no/file"}, "/no/file: cannot be read: No such file or directory"),
        (
            {"base_path": "/m", "batching_parameters_file": "/b"},
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true.",
        ),
        (
            {
                "base_path": "/m",
                "tensorflow_session_parallelism": 1,
                "tensorflow_intra_op_parallelism": 1,
                "tensorflow_inter_op_parallelism": 1,
            },
            "Either configure server_options.tensorflow_session_parallelism or .* You cannot configure all.",
        ),
    ],
)
def test_a_server_does_not_start_with_what_is_wrong(options: dict[str, Any], complaint: str) -> None:
    base_path = options.pop("base_path", "")
    with pytest.raises(UserError, match=complaint):
        start(base_path, options=Options(**options))


def test_a_configuration_file_is_followed(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = base / "models.config"
    file.write_text("model_config { }")
    with pytest.raises(UserError, match="Error parsing text-format tensorflow.serving.ModelServerConfig: 1:1"):
        start(options=Options(model_config_file=file))
    file.write_text(str(config(listed("m", base / "one"))))
    options = Options(
        model_config_file=file, model_config_file_poll_wait_seconds=0.03, tensorflow_session_parallelism=1
    )
    with start(options=options) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        assert http.post("/v1/models/m:predict", json={"inputs": ["a"]}).json() == {"outputs": ["A!"]}
        for wrong in ("model_config { }", str(config(listed("m", "m")))):
            caplog.clear()
            file.write_text(wrong)
            until(lambda: any(f"{file} is not taken over: " in message for message in caplog.messages))
        new = listed("m", base / "one", label("stable", 2)), listed("n", base / "two")
        file.write_text(str(config(*new)))
        until(lambda: server.models.names() == ["m", "n"])
        labelled = http.post("/v1/models/m/labels/stable:predict", json={"inputs": ["a"]})
        assert labelled.json() == {"outputs": ["A!"]}
        unknown = http.get("/v1/models/m/labels/canary/metadata")
        assert (unknown.status_code, unknown.json()) == (
            400,
            {"error": "Unrecognized servable version label: canary"},
        )


def test_a_list_may_come_over_grpc(base: Path) -> None:
    with start(base / "two", options=Options(grpc_port=0, metrics=True)) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = ModelServiceStub(channel)
            request = ReloadConfigRequest(config=config(listed("m", base / "one"), listed("two", base / "two")))
            assert stub.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
            assert server.models.names() == ["m", "two"]
            with pytest.raises(grpc.RpcError) as refusal:
                stub.HandleReloadConfigRequest(ReloadConfigRequest(config=config(listed("m", "m"))), timeout=60)
            assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            predict = PredictRequest(model_spec={"name": "m"})
            predict.inputs["text"].CopyFrom(
                TensorProto(dtype=7, tensor_shape={"dim": [{"size": 1}]}, string_val=[b"a"])
            )
            answer = PredictionServiceStub(channel).Predict(predict, timeout=60)
        assert answer.outputs["text"].string_val == [b"A!"]
        page = httpx.get(f"{server.url}/monitoring/prometheus/metrics").text
    assert ':request_latency_count{API="Predict",entrypoint="GRPC",model_name="m"} 1.0' in page


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_a_version_that_went_is_used_again(serving: Callable[..., Models], tmp_path: Path) -> None:
    # By the next version, not by other processes: TensorFlow's allocator (oneDNN's pool) keeps it for itself.
    save_big(tmp_path / "big" / "1")
    listing = config(listed("big", tmp_path / "big"))
    models = serving(listing)
    loaded = []
    for _ in range(4):
        with models.use("big") as servable:
            assert servable.run("serving_default", {"i": np.array(3, np.int32)})["value"] == 1
        gc.collect()
        loaded.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
        models.reload(config())
        until(lambda: states(models, "big") == {1: State.END})
        models.reload(listing)
    assert loaded[-1] - loaded[0] < 60  # megabytes; the weights are 40, three times they would be 120


def save_big(path: Path) -> None:
    """Writes a version with weights of 40 MB."""
    import tensorflow as tf

    class Big(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.ones([10_000_000]))

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="i")])
        def get(self, i: Any) -> dict[str, Any]:
            return {"value": self.weights[i]}

    big = Big()
    tf.saved_model.save(big, str(path), signatures=big.get)
