import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving.small_models import add_warmup, save_kinds
from zoo.errors import UserError
from zoo.serving.models import Models, State, find_homes
from zoo.serving.servable import Servable
from zoo.serving.server import RunningServer, start
from zoo.serving.status import Code, RequestError
from zoo.serving.tensor_proto import fill
from zoo.serving.warmup import replay


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Waits for something to become true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def states(server: RunningServer) -> dict[int, str]:
    versions = httpx.get(f"{server.url}/v1/models/upper").json()["model_version_status"]
    return {int(each["version"]): each["state"] for each in versions}


def answer(server: RunningServer, text: str = "a") -> str:
    reply = httpx.post(f"{server.url}/v1/models/upper:predict", json={"instances": [text]}, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"][0]


def test_a_new_version_takes_over_and_no_request_fails(swapping: RunningServer, add: Callable[[int], None]) -> None:
    answers: list[str] = []
    failures: list[object] = []
    done = threading.Event()

    def client() -> None:
        with httpx.Client(base_url=swapping.url, timeout=30) as http:
            while not done.is_set():
                try:
                    reply = http.post("/v1/models/upper:predict", json={"instances": ["a"]})
                    answers.append(reply.json()["predictions"][0])
                except (httpx.HTTPError, ValueError, LookupError) as error:
                    failures.append(error)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for each in clients:
        each.start()
    until(lambda: len(answers) > 20)
    for version in (2, 3):
        add(version)
        until(lambda version=version: states(swapping).get(version) == "AVAILABLE")
        until(lambda version=version: states(swapping)[version - 1] == "END")
    done.set()
    for each in clients:
        each.join()
    assert not failures
    switch = answers.index("A!")
    assert set(answers[:switch]) == {"A"} and set(answers[switch + len(clients) :]) == {"A!"}
    assert states(swapping) == {3: "AVAILABLE", 2: "END", 1: "END"}
    gone = httpx.post(f"{swapping.url}/v1/models/upper/versions/1:predict", json={"instances": ["a"]})
    assert gone.json() == {"error": "Servable not found for request: Specific(upper, 1)"}


def test_a_request_under_way_keeps_its_version_until_it_is_answered(
    swapping: RunningServer, add: Callable[[int], None]
) -> None:
    with swapping.models.use("upper") as old:
        add(2)
        until(lambda: states(swapping) == {2: "AVAILABLE", 1: "UNLOADING"})
        assert answer(swapping) == "A!"
        assert old.run("serving_default", {"text": np.array([b"x"], object)})["text"].tolist() == [b"X"]
    until(lambda: states(swapping)[1] == "END")


def test_a_removed_version_is_unloaded_and_the_one_before_comes_back(
    swapping: RunningServer, home: Path, add: Callable[[int], None]
) -> None:
    add(2)
    until(lambda: states(swapping) == {2: "AVAILABLE", 1: "END"})
    shutil.rmtree(home / "2")
    until(lambda: states(swapping) == {2: "END", 1: "AVAILABLE"})
    assert answer(swapping) == "A"
    shutil.rmtree(home / "1")
    until(lambda: states(swapping) == {2: "END", 1: "END"})
    reply = httpx.post(f"{swapping.url}/v1/models/upper:predict", json={"instances": ["a"]})
    assert (reply.status_code, reply.json()) == (404, {"error": "Servable not found for request: Latest(upper)"})


def test_a_version_that_is_not_whole_leaves_the_old_one_answering_until_it_is(
    swapping: RunningServer, home: Path, saved: Path
) -> None:
    (home / "2").mkdir()
    until(lambda: states(swapping).get(2) == "END")  # after its retries
    status = httpx.get(f"{swapping.url}/v1/models/upper/versions/2").json()["model_version_status"][0]["status"]
    assert status["error_code"] == "NOT_FOUND"
    assert status["error_message"].startswith("Could not find SavedModel .pb or .pbtxt at supplied export directory")
    assert answer(swapping) == "A"
    whole = (saved / "later" / "2" / "saved_model.pb").read_bytes()
    (home / "2" / "saved_model.pb").write_bytes(whole[: len(whole) // 2])
    until(lambda: swapping.models.status("upper", 2)[0].code is Code.UNKNOWN)
    assert answer(swapping) == "A"
    shutil.copytree(saved / "later" / "2", home / "2", dirs_exist_ok=True)
    until(lambda: states(swapping) == {2: "AVAILABLE", 1: "END"})
    assert answer(swapping) == "A!"


def test_a_version_whose_warm_up_fails_is_not_served(swapping: RunningServer, home: Path, saved: Path) -> None:
    new = Path(shutil.copytree(saved / "later" / "2", home / "new"))
    add_warmup(new, [b"x"], signature="nothing")
    new.rename(home / "2")
    message = 'Serving signature key "nothing" not found.'
    until(lambda: any(each.message == message for each in swapping.models.status("upper")))
    assert answer(swapping) == "A"
    shutil.rmtree(home / "2")
    until(lambda: states(swapping) == {2: "END", 1: "AVAILABLE"})


def test_stopping_lets_the_request_that_came_finish(home: Path) -> None:
    replies = []

    def ask() -> None:
        body = {"signature_name": "burn", "inputs": 200_000}
        replies.append(httpx.post(f"{server.url}/v1/models/upper:predict", json=body, timeout=60).json())

    with start(home) as server:
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: server.models._models["upper"][1].users)
    asking.join()
    assert replies == [{"outputs": 200_000}]


def test_a_version_that_failed_is_tried_anew_when_it_is_asked_for_again(
    swapping: RunningServer,
    home: Path,
    saved: Path,
    add: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failures() -> int:
        return sum("upper version 2 failed to load" in message for message in caplog.messages)

    broken = Path(shutil.copytree(saved / "later" / "2", home / "new"))
    add_warmup(broken, [b"x"], signature="nothing")
    broken.rename(home / "2")
    until(lambda: states(swapping).get(2) == "END")  # given up
    add(3)
    until(lambda: states(swapping) == {3: "AVAILABLE", 2: "END", 1: "END"})
    assert failures() == 3  # the first attempt and two more
    shutil.rmtree(home / "3")
    until(lambda: failures() == 6)


def test_other_names_than_numbers_are_no_versions(tmp_path: Path) -> None:
    for name in ("0007", "3", "03", "new-9", "9.tmp", "-1", str(2**63), "assets"):
        (tmp_path / "home" / name).mkdir(parents=True)
    (tmp_path / "home" / "11").write_text("a file")
    (tmp_path / "no-model" / "text").mkdir(parents=True)
    home = {7: tmp_path / "home" / "0007", 3: tmp_path / "home" / "3"}
    assert find_homes(tmp_path) == {"home": home}
    assert find_homes(tmp_path / "home") == {"home": home}


def test_a_model_that_appears_is_served_and_one_that_goes_is_unloaded(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved / "upper", tmp_path / "models" / "first")
    models = Models(tmp_path / "models", Servable, poll_seconds=0.02)
    models.start()
    shutil.copytree(saved / "upper", tmp_path / "second")
    (tmp_path / "second").rename(tmp_path / "models" / "second")
    until(lambda: models.names() == ["first", "second"])
    shutil.rmtree(tmp_path / "models" / "first")
    until(lambda: models.names() == ["second"])
    (tmp_path / "models").rename(tmp_path / "away")  # a disk that is gone for a moment takes no model with it
    time.sleep(0.1)
    assert models.names() == ["second"]
    models.stop()
    assert models.names() == [] and models.status("second")[0].state is State.END


@pytest.mark.parametrize("folder", ["", "nothing", "upper/1"])
def test_a_folder_without_models_is_refused_before_anything_starts(home: Path, folder: str) -> None:
    if folder:
        (home.parent / "empty").mkdir()
        path = home.parent / (folder if folder != "nothing" else "empty")
    else:
        path = home.parent / "missing"
    with pytest.raises(UserError, match="no such folder|no model is here|one version of a model"):
        start(path)


def test_a_model_that_does_not_load_stops_the_start(home: Path) -> None:
    (home / "1" / "variables" / "variables.index").write_bytes(b"")
    (home / "1" / "saved_model.pb").write_bytes(b"no proto")
    with pytest.raises(
        UserError, match=r"1 model\(s\) did not become available: \{\{\{name: upper version: 1\} due to error: "
    ):
        start(home)


def test_a_port_that_is_taken_is_said_before_models_are_loaded(server: RunningServer, home: Path) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    (home / "1" / "saved_model.pb").unlink()  # which would be the complaint if loading came first
    with pytest.raises(UserError, match=f"cannot listen on port {port}: Address already in use"):
        start(home, port)


def test_warm_up_requests_are_replayed(home: Path) -> None:
    add_warmup(home / "1", [b"one", b"two"])
    servable = Servable(home / "1", "upper", 1)
    seen = []
    run = servable.run
    servable.run = lambda *args: seen.append(args) or run(*args)  # type: ignore[method-assign]
    assert replay(servable) == 2
    assert [(name, inputs["text"].tolist(), wanted) for name, inputs, wanted in seen] == [
        ("serving_default", [b"one"], []),
        ("serving_default", [b"two"], []),
    ]
    servable.close()


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"this is no TFRecord at all", Code.DATA_LOSS, "Please verify your warmup data is in TFRecord format."),
        ("junk", Code.INVALID_ARGUMENT, "Failed to parse warmup record: "),
        ("session", Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 5"),
        ("many", Code.INVALID_ARGUMENT, "Number of warmup records exceeds the maximum (3) at "),
    ],
)
def test_a_mistake_in_the_warm_up_file_fails_the_load(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: Any, code: Code, text: str
) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = home / "1" / "assets.extra" / "tf_serving_warmup_requests"
    monkeypatch.setattr("zoo.serving.warmup.MOST_RECORDS", 3)  # a thousand, but that many take their time
    add_warmup(home / "1", [b"x"] * (4 if content == "many" else 3))
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content != "many":
        session = PredictionLog()
        session.session_run_log.request.feed.add(name="x")
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(b"\xff\xff" if content == "junk" else session.SerializeToString())
    servable = Servable(home / "1", "upper", 1)
    with pytest.raises(RequestError) as caught:
        replay(servable)
    assert caught.value.code is code and text in caught.value.message
    servable.close()


def test_a_servable_says_what_does_not_fit_its_signature(home: Path) -> None:
    servable = Servable(home / "1", "upper", 1)
    text = np.array([b"a"], object)
    for arguments, complaint in [
        (("none", {}), 'FAILED_PRECONDITION: Serving signature key "none" not found.'),
        (
            ("measured", {"text": text, "x": text}),
            (
                "INVALID_ARGUMENT: input size does not match signature: 2!=1 len({text,x}) != len({text}). "
                "Sent extra: {x}. Missing but required: {}."
            ),
        ),
        (
            ("measured", {"x": text}),
            (
                "INVALID_ARGUMENT: Signature input alias: text(feed name: measured_text:0) not found in request and no "
                "default value provided. Inputs expected to be in the request {x}, or default input alias set: "
            ),
        ),
        (
            ("measured", {"text": text}, ["length", "size"]),
            (
                "INVALID_ARGUMENT: output tensor alias not found in signature: size Outputs expected to be in the set "
                "{length,raw_bytes,text}."
            ),
        ),
    ]:
        with pytest.raises(RequestError) as caught:
            servable.run(*arguments)
        assert str(caught.value) == complaint
    assert list(servable.run("measured", {"text": text}, ["length"])) == ["length"]
    servable.close()


def test_what_a_request_leaves_out_is_the_signatures_default(tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = save_kinds(tmp_path / "kinds") / "saved_model.pb"
    saved = SavedModel.FromString(path.read_bytes())
    defaults = saved.meta_graphs[0].signature_def["echo"].defaults
    for name, value in (("a_float32", [0.5, 2.0]), ("a_string", [b"left out"])):
        fill(defaults[name], np.array(value, np.float32 if name == "a_float32" else object))
    path.write_bytes(saved.SerializeToString())
    servable = Servable(path.parent, "kinds", 1)
    inputs = {
        name: np.zeros(1, name.removeprefix("a_"))
        for name in servable.signatures["echo"].inputs
        if name not in ("a_float32", "a_string")
    }
    got = servable.run("echo", inputs)
    assert got["a_float32"].tolist() == [0.5, 2.0] and got["a_string"].tolist() == [b"left out"]
    own = {**inputs, "a_float32": np.array([7.0], np.float32)}
    assert servable.run("echo", own)["a_float32"].tolist() == [7.0]
    with pytest.raises(RequestError, match=r"alias: a_bool\(.*or default input alias set: a_float32,a_string$"):
        servable.run("echo", {name: value for name, value in inputs.items() if name != "a_bool"})
    names = ",".join(sorted(inputs))
    with pytest.raises(RequestError) as caught:
        servable.run("echo", {**inputs, "more": inputs["a_bool"]})
    invalid = f"Inputs contains invalid name. Used request inputs: {names}, request input: {names},more"
    assert str(caught.value) == f"INVALID_ARGUMENT: {invalid}"
    servable.close()


def test_a_model_that_takes_too_long_is_stopped(home: Path) -> None:
    servable = Servable(home / "1", "upper", 1, timeout_ms=100)
    began = time.monotonic()
    with pytest.raises(RequestError) as caught:
        servable.run("burn", {"steps": np.array(2**31 - 1, np.int32)})
    assert caught.value.code is Code.DEADLINE_EXCEEDED and time.monotonic() - began < 10
    servable.close()
