"""What an export refuses, what it writes for the operator, and what stays when it fails."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import UserError
from zoo.export import home as homes
from zoo.export import savedmodel, warmup
from zoo.export.audit import audit
from zoo.export.bundle import Bundle
from zoo.export.text_to_text import build
from zoo.tasks.task import Task, make

tf = pytest.importorskip("tensorflow")

TEXTS = ["one two", "six five four three", "two two two two two", "three", "", "one six one"]
GOOD = tf.TensorSpec([None], tf.float32, name="x")


@pytest.fixture(scope="module")
def bundle(run):
    return Bundle(changed(run.task, decoding={"beam": 1}, export={"max_source": 8}), run.model(), TEXTS[:2])


def changed(task: Task, **sections) -> Task:
    """The task with fields of its recipe's sections replaced."""
    recipe = task.recipe
    new = {name: replace(recipe.sections[name], **fields) for name, fields in sections.items()}
    other = make(replace(recipe, sections={**recipe.sections, **new}))
    other.preprocessors = task.preprocessors
    return other


def saved(folder: Path, answer, spec=GOOD, **attributes) -> Path:
    module = tf.Module()
    module.answer = tf.function(lambda x: {"y": answer(x)}, input_signature=[spec], **attributes)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.answer})
    return folder


def checked(folder: Path) -> None:
    savedmodel.check_audit(folder, audit(folder, run=False))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), [None]), "calls Python"),
        (lambda x: x + tf.strings.to_number(tf.io.read_file("a")), "reads or writes files"),
        (lambda x: x + tf.reduce_sum(tf.constant(np.ones(300_000), tf.float32)), "a constant holds more than 1 MiB"),
        (lambda x: tf.reduce_sum(x), "it is a scalar .signature serving_default, output y"),
    ],
)
def test_what_a_stock_server_must_not_run_is_refused(tmp_path, answer, message):
    with pytest.raises(UserError, match=message):
        checked(saved(tmp_path, lambda x: tf.cast(answer(tf.cast(x, tf.float32)), tf.float32)))


def test_a_graph_that_needs_xla_is_refused(tmp_path):
    inner = tf.function(lambda x: x * 2, jit_compile=True)
    with pytest.raises(UserError, match="XLA"):
        checked(saved(tmp_path, inner))


@pytest.mark.parametrize(
    ("shape", "message"), [([4], "its first dimension is 4"), ([None, 2], "float .., 2., not one value for each row")]
)
def test_inputs_that_are_no_batch_of_values_are_refused(tmp_path, shape, message):
    with pytest.raises(UserError, match=message):
        checked(saved(tmp_path, lambda x: x, spec=tf.TensorSpec(shape, tf.float32, name="x")))


def test_files_of_its_own_are_refused(tmp_path):
    folder = saved(tmp_path, lambda x: x)
    checked(folder)
    (folder / "assets" / "words.txt").write_text("one")
    with pytest.raises(UserError, match="reads files of its own: words.txt"):
        checked(folder)


def test_other_names_than_promised_are_refused(bundle):
    other = {
        name: replace(each, outputs={**each.outputs, "more": "bool [B]"})
        for name, each in bundle.task.signatures().items()
    }
    with pytest.raises(ValueError, match="promised"):
        savedmodel.check_names(other, build(bundle, "float32"))


def test_half_storage_answers_as_the_rounded_model(bundle):
    exported = build(bundle, "bfloat16")
    kinds = {name: variable.dtype.name for name, variable in exported.module.model.stored.items()}
    assert kinds["decoder_0_qkv_kernel"] == kinds["output_kernel"] == "bfloat16"
    assert kinds["decoder_0_qkv_bias"] == kinds["positions"] == "float32"
    found = exported.functions["serving_default"](tf.constant(TEXTS))
    expected = exported.reference(TEXTS)
    assert [each.decode() for each in found["text"].numpy()] == expected["text"]
    whole = build(bundle, "float32").reference(TEXTS)
    rounding = np.abs(np.subtract(whole["score"], expected["score"])).max()
    assert rounding > 1e-4
    assert np.abs(np.subtract(found["score"], expected["score"])).max() < 0.1 * rounding


def test_what_is_longer_is_cut_and_said(bundle):
    exported = build(bundle, "float32")
    found = exported.functions["serving_default"](tf.constant(["one " * 40, "one", b"\xff\xff"]))
    assert found["truncated"].numpy().tolist() == [True, False, False]


def test_a_source_longer_than_the_positions_is_refused(bundle):
    with pytest.raises(UserError, match="positions for"):
        build(replace(bundle, task=changed(bundle.task, export={"max_source": 100_000})), "float32")


def test_warm_up_asks_every_signature(home):
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = home / "1" / "assets.extra" / warmup.FILE
    asked = [PredictionLog.FromString(record).predict_log.request for record in tf.data.TFRecordDataset(str(path))
             .as_numpy_iterator()]  # fmt: skip
    described = json.loads((home / "1" / "assets.extra" / "signatures.json").read_text())
    assert {each.model_spec.signature_name for each in asked} == described["signatures"].keys()
    assert {each.model_spec.name for each in asked} == {home.name}
    assert {each.inputs["text"].tensor_shape.dim[0].size for each in asked} == set(warmup.BATCHES)


def test_the_operators_config_lists_all_homes(home):
    text = homes.models_config(home.parent, "/models/")
    assert f'name: "{home.name}"' in text and f'base_path: "/models/{home.name}"' in text
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert [(each.name, each.model_platform) for each in config] == [(home.name, "tensorflow")]
    with pytest.raises(UserError, match="not absolute"):
        homes.models_config(home.parent, "models")
    with pytest.raises(UserError, match="no model home"):
        homes.models_config(home / "1", "/models")


def test_a_full_disk_is_said_and_leaves_nothing(bundle, tmp_path):
    if (
        sys.platform != "linux"
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    try:
        with pytest.raises(UserError, match="no space left on the disk"):
            homes.export(bundle, tmp_path / "tiny")
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_exports_that_were_killed_are_swept_up(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for owner in (int(gone.stdout), os.getpid()):
        (tmp_path / f".1.{owner}.partial" / "variables").mkdir(parents=True)
    homes._sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f".1.{os.getpid()}.partial"]


def test_a_home_of_a_newer_format_is_told(home, tmp_path):
    other = tmp_path / "tiny"
    shutil.copytree(home, other)
    path = other / "1" / "assets.extra" / "signatures.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(UserError, match="newer format"):
        zoo.load(other)
    with pytest.raises(UserError, match="no version"):
        zoo.load(tmp_path)
