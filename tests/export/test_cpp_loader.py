"""The C++ program that loads SavedModels as TensorFlow Serving does: its answers are Python's, to the last bit."""

from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.export import loader, warmup
from zoo.export.audit import audit
from zoo.export.warmup import Request

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(loader.compiler() is None, reason="no C++ compiler is installed")

SHIPPED = sorted((Path(__file__).parents[2] / "saved_models").glob("*/[0-9]*/saved_model.pb"))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A version with tables, variables, an op of TensorFlow Text, and outputs of every kind."""
    import tensorflow_text

    class Module(tf.Module):
        def __init__(self):
            words = tf.constant(["one", "two"])
            self.table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(words, tf.constant([1, 2], tf.int64)), -1
            )
            self.matrix = tf.Variable(tf.random.stateless_normal([64, 64], [1, 2]))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def text(self, text):
            folded = tensorflow_text.case_fold_utf8(text)
            return {"text": folded, "id": self.table.lookup(folded), "empty": folded == "", "raw_bytes": text + b"\xff"}

        @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, name="x")])
        def numbers(self, x):
            y = tf.nn.softmax(x @ self.matrix)
            return {"y": y, "nan": y[:, 0] / 0.0 - y[:, 0] / 0.0, "whole": tf.cast(y * 100, tf.int32)}

    module, folder = Module(), tmp_path_factory.mktemp("model") / "1"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.text, "numbers": module.numbers})
    return folder


def asked(path: Path, *requests: Request) -> Path:
    warmup.write_requests(path, "model", requests)
    return path


def texts(*values: str, signature: str = "serving_default", outputs: tuple[str, ...] = ()) -> Request:
    return Request(signature, {"text": np.array([value.encode() for value in values], object)}, outputs)


def test_it_answers_as_python_does(model, tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 64)).astype("float32")
    requests = [texts("ONE", "", "Größe"), texts("two", outputs=("id",)), Request("numbers", {"x": x})]
    found = loader.replay(model, asked(tmp_path / "requests", *requests))
    assert found.error == "" and len(found.milliseconds) == 4  # the load and three requests
    served = tf.saved_model.load(str(model))
    for request, answer in zip(requests, found.answers, strict=True):
        expected = served.signatures[request.signature](**{k: tf.constant(v) for k, v in request.inputs.items()})
        assert answer.keys() == set(request.outputs or expected.keys())
        for name, value in answer.items():
            assert value.dtype == expected[name].dtype.as_numpy_dtype
            np.testing.assert_array_equal(value, expected[name].numpy())
    assert found.answers[0]["raw_bytes"][0] == b"ONE\xff" and found.answers[1]["id"].tolist() == [2]


def test_it_stops_at_the_first_request_that_fails(model, tmp_path):
    file = asked(tmp_path / "requests", texts("one"), texts("one", signature="other"), texts("two"))
    found = loader.replay(model, file)
    assert len(found.answers) == 1
    assert found.error == 'FAILED_PRECONDITION: Serving signature key "other" not found.'


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Request("numbers", {"x": np.ones((2, 3), "float32")}), "INVALID_ARGUMENT: Matrix size-incompatible"),
        (Request("numbers", {"y": np.ones((2, 64), "float32")}), "INVALID_ARGUMENT: the signature has no input y"),
        (Request("numbers", {}), "INVALID_ARGUMENT: input size does not match signature: 0!=1"),
        (texts("one", outputs=("other",)), "INVALID_ARGUMENT: output tensor alias not found in signature: other"),
    ],
)
def test_requests_that_are_wrong(model, tmp_path, request_, error):
    assert loader.replay(model, asked(tmp_path / "requests", request_)).error.startswith(error)


def test_files_that_are_no_requests(model, tmp_path):
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, RegressLog

    path = tmp_path / "requests"
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(PredictionLog(regress_log=RegressLog()).SerializeToString())
    assert loader.replay(model, path).error == "UNIMPLEMENTED: Unsupported log_type for warmup: 3"
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(b"\x32\xff\xff\xff\x7f")
    assert loader.replay(model, path).error == "INVALID_ARGUMENT: Failed to parse warmup record"
    path.write_bytes(b"not records, but long enough to look like some")
    assert loader.replay(model, path).error.startswith("DATA_LOSS")
    assert loader.replay(model, tmp_path / "none").error.startswith("NOT_FOUND")


def test_what_does_not_load(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    found = loader.replay(tmp_path)
    assert found.error and not found.answers


def test_it_only_loads_where_nothing_is_asked(model):
    found = loader.replay(model)
    assert found == ([], "", found.milliseconds) and len(found.milliseconds) == 1


def test_it_is_built_once(model, monkeypatch):
    program = loader.build()
    monkeypatch.setattr(loader.subprocess, "run", lambda *_, **__: 1 / 0)
    assert loader.build() == program


def test_a_compiler_that_fails_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(UserError, match="false failed"):
        loader.build()


def test_the_audit_compares_both(model):
    report = audit(model)
    assert report.passed and "2 requests have the same answers without Python, to the last bit" in report.proved


def test_the_audit_sees_another_answer(model, monkeypatch):
    real = loader.replay

    def other(folder, requests):
        found = real(folder, requests)
        found.answers[0] = {name: value[::-1] for name, value in found.answers[0].items()}
        return found

    monkeypatch.setattr(loader, "replay", other)
    (finding,) = audit(model).errors
    assert finding.rule == "no-python" and finding.what == "it answers otherwise"


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.parent.name)
def test_the_shipped_models_pass(path):
    report = audit(path.parent)
    assert report.passed, report.table()
    assert any("without Python" in each for each in report.proved)
