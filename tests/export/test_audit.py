"""The audit: a bad model for each of its rules, and good ones that pass."""

import json
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.export import warmup
from zoo.export.audit import audit
from zoo.export.audit_rules import RULES
from zoo.export.stock_ops import SERVER, registered_ops, stock_ops

tf = pytest.importorskip("tensorflow")

FLOATS = tf.TensorSpec([None], tf.float32, name="x")
TEXTS = tf.TensorSpec([None], tf.string, name="x")


def saved(folder: Path, answer, spec=FLOATS, module=None) -> Path:
    """A SavedModel whose serving_default answers {"y": answer(x)}."""
    module = module or tf.Module()
    module.answer = tf.function(lambda x: {"y": answer(x)}, input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.answer})
    return folder


def edited(folder: Path, edit) -> Path:
    """The same with its only MetaGraphDef changed by hand."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    edit(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())
    return folder


def nodes(meta_graph):
    yield from meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield from function.node_def


def add_warm_up(folder: Path, *requests: warmup.Request) -> Path:
    (folder / "assets.extra").mkdir()
    warmup.write_requests(folder / "assets.extra" / warmup.FILE, "m", requests)
    return folder


def rules(report) -> set[str]:
    return {each.rule for each in report.findings}


def looked_at(folder: Path):
    """What the graph and signatures alone say."""
    return audit(folder, run=False)


def tried(folder: Path):
    return audit(folder, without_python=False)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    folder = saved(tmp_path_factory.mktemp("good") / "1", lambda x: tf.nn.relu(x))
    return add_warm_up(folder, warmup.Request("serving_default", {"x": np.array([-1, 2.5], "float32")}))


def test_a_good_model_passes_with_nothing_said(good):
    report = tried(good)
    assert report.passed and not report.findings and report.not_asked == ("no-python", "not-replayed")
    assert report.signatures == {"serving_default": {"inputs": {"x": "float [?]"}, "outputs": {"y": "float [?]"}}}
    assert report.proved == (
        "signature serving_default: 2 rows have the same answers in a batch and alone",
        "1 warm-up requests are answered",
    )


def test_the_newest_version_of_a_home_is_taken(good):
    assert looked_at(good.parent).ops == looked_at(good).ops


def test_no_model_is_told(tmp_path):
    with pytest.raises(UserError, match="no SavedModel is here"):
        audit(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 40)
    with pytest.raises(UserError, match="cannot be read"):
        audit(tmp_path)


def test_the_table_and_the_json_say_the_same(tmp_path):
    report = looked_at(saved(tmp_path / "1", lambda x: x + tf.strings.to_number(tf.io.read_file("a"))))
    plain = json.loads(json.dumps(report.as_json()))
    assert plain["passed"] is False and plain["server"] == SERVER
    (finding,) = plain["findings"]
    assert finding["rule"] == "file" and finding["severity"] == "error" and finding["where"].startswith("function ")
    assert finding["what"] == "the op ReadFile reads or writes files"
    table = report.table()
    for text in (finding["what"], finding["where"], finding["why"], finding["remedy"], RULES["python"].holds):
        assert text in table
    assert [line.split()[0] for line in table.splitlines() if "reads or writes files, but" in line] == ["ERROR"]
    assert "ok         python" in table and "not tried  neighbours" in table


def test_the_list_of_stock_ops_is_that_of_the_wheels():
    known = registered_ops()
    assert {"MatMul", "SentencepieceTokenizeOp", "TFText>WhitespaceTokenizeWithOffsetsV2"} <= stock_ops()
    if tf.__version__ == SERVER:
        assert known == stock_ops()
    assert len(known & stock_ops()) > 1900


@pytest.mark.parametrize(
    ("op", "rule"),
    [
        ("FancyRelu", "op"),
        ("PyFuncStateless", "python"),
        ("RpcCall", "network"),
        ("CollectiveReduceV2", "network"),
        ("TPUExecute", "xla"),
        ("XlaCallModule", "xla"),
        ("FIFOQueueV2", "growing"),
        ("Barrier", "growing"),
        ("MapStage", "growing"),
        ("TFRecordReaderV2", "file"),
        ("TextLineDataset", "file"),
        ("WriteScalarSummary", "file"),
        ("ResourceScatterAdd", "state"),
        ("StatefulUniform", "random"),
        ("Multinomial", "random"),
    ],
)
def test_an_op_that_a_server_must_not_run(good, tmp_path, op, rule):
    def rename(meta_graph):
        for node in nodes(meta_graph):
            node.op = op if node.op == "Relu" else node.op

    (tmp_path / "saved_model.pb").write_bytes((good / "saved_model.pb").read_bytes())
    assert rules(looked_at(edited(tmp_path, rename))) == {rule}


def test_python_is_found_and_nothing_is_run(tmp_path):
    report = audit(saved(tmp_path, lambda x: tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), [None])))
    assert rules(report) == {"python"} and "neighbours" in report.not_asked


def test_python_in_a_function_that_nobody_calls_is_found(tmp_path):
    module = tf.Module()
    module.other = tf.function(lambda x: tf.numpy_function(np.sin, [x], tf.float32), input_signature=[FLOATS])
    (finding,) = looked_at(saved(tmp_path, lambda x: x, module=module)).findings
    assert finding.rule == "python" and finding.where.startswith("function ")


def test_a_table_that_grows(tmp_path):
    module = tf.Module()
    module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)

    def answer(x):
        module.table.insert(x, tf.ones_like(x, tf.int64))
        return module.table.lookup(x)

    report = looked_at(saved(tmp_path / "1", answer, TEXTS, module))
    assert [each.what for each in report.errors] == ["the op LookupTableInsertV2 keeps what requests bring"]
    assert looked_at(saved(tmp_path / "2", module.table.lookup, TEXTS, module)).passed  # it is only read


def test_a_variable_that_requests_change(tmp_path):
    module = tf.Module()
    module.count = tf.Variable(0.0)
    report = looked_at(saved(tmp_path, lambda x: x + module.count.assign_add(1.0), module=module))
    assert rules(report) == {"state"} and not report.passed


def test_a_table_may_read_its_own_asset_and_nothing_else(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("one\ntwo\n")
    module = tf.Module()
    source = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module.table = tf.lookup.StaticHashTable(source, -1)
    folder = saved(tmp_path / "1", module.table.lookup, TEXTS, module)
    words.unlink()
    report = tried(folder)
    assert report.passed and rules(report) == {"no-warm-up"}
    edited(folder, lambda meta_graph: meta_graph.ClearField("asset_file_def"))
    (finding,) = looked_at(folder).findings
    assert finding.what == "the op InitializeTableFromTextFileV2 reads a file that is no asset"


@pytest.mark.parametrize("jit", [True, False])
def test_only_what_must_be_compiled_needs_xla(tmp_path, jit):
    report = looked_at(saved(tmp_path, tf.function(lambda x: x * 2, jit_compile=jit)))
    assert rules(report) == ({"xla"} if jit else set())


def test_random_answers_and_large_constants_are_warned_of(tmp_path):
    large = np.ones(300_000, "float32")
    report = looked_at(saved(tmp_path, lambda x: x + tf.random.uniform([]) + tf.reduce_sum(tf.constant(large))))
    assert rules(report) == {"random", "constant"} and report.passed


def test_a_newer_exporter_is_warned_of(good, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes((good / "saved_model.pb").read_bytes())
    edited(tmp_path, lambda meta_graph: setattr(meta_graph.meta_info_def, "tensorflow_version", "2.99.1"))
    assert rules(looked_at(tmp_path)) == {"newer"}
    edited(tmp_path, lambda meta_graph: meta_graph.meta_info_def.tags.append("tpu"))
    with pytest.raises(UserError, match='no graph has the tag "serve"'):
        looked_at(tmp_path)


def test_a_model_without_signatures(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    assert rules(looked_at(tmp_path)) == {"signature"}


@pytest.mark.parametrize(
    ("spec", "answer", "rule", "what", "where"),
    [
        (tf.TensorSpec([None], tf.float16), lambda x: tf.cast(x, tf.float32), "json", "its dtype is half", "input x"),
        (FLOATS, lambda x: tf.complex(x, x), "json", "its dtype is complex64", "output y"),
        (tf.TensorSpec([4], tf.float32), lambda x: tf.concat([x, x[:0]], 0), "batch", "its first dimension is 4",
         "input x"),
        (FLOATS, tf.reduce_sum, "batch", "it is a scalar", "output y"),
        (FLOATS, lambda x: x[:3] * tf.ones(3), "batch", "its first dimension is 3", "output y"),
        (tf.TensorSpec(None, tf.float32), lambda x: tf.reshape(x, [-1]), "batch", "its rank is not known", "input x"),
    ],
)  # fmt: skip
def test_signatures_that_json_or_batching_cannot_take(tmp_path, spec, answer, rule, what, where):
    found = looked_at(saved(tmp_path, answer, tf.TensorSpec(spec.shape, spec.dtype, name="x"))).findings
    assert (rule, what, f"signature serving_default, {where}") in [(f.rule, f.what, f.where) for f in found]
    assert {f.rule for f in found} == {rule}


def test_rows_that_look_at_their_neighbours(tmp_path):
    (finding,) = tried(saved(tmp_path, lambda x: x - tf.reduce_mean(x))).errors
    assert finding.rule == "neighbours" and finding.what.startswith("the output y of a row is ")


def test_padding_to_the_widest_row_is_allowed(tmp_path):
    report = tried(saved(tmp_path, lambda x: tf.strings.unicode_split(x, "UTF-8").to_tensor(), TEXTS))
    assert report.passed and "4 rows have the same answers" in report.proved[0]


def test_an_answer_of_another_number_of_rows(tmp_path):
    (finding,) = tried(saved(tmp_path, lambda x: tf.boolean_mask(x, x > 0))).errors
    assert finding.rule == "batch" and "4 rows are answered by shape [" in finding.what


@pytest.mark.parametrize(("name", "found"), [("y", {"json"}), ("y_bytes", set())])
def test_bytes_that_are_no_text(tmp_path, name, found):
    module = tf.Module()
    answer = tf.function(lambda x: {name: tf.strings.join([x, b"\xff"])}, input_signature=[TEXTS])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": answer})
    assert {each.rule for each in tried(tmp_path).errors} == found


def test_a_request_that_cannot_be_made_up_is_told(tmp_path):
    def answer(x):
        return tf.map_fn(lambda each: tf.io.decode_png(each)[0, 0, 0], x, fn_output_signature=tf.uint8)

    report = tried(saved(tmp_path, answer, TEXTS))
    assert report.passed and rules(report) == {"no-warm-up", "unproved"}


def test_a_model_whose_weights_are_cut_short(tmp_path):
    module = tf.Module()
    module.weight = tf.Variable(tf.ones([100]))
    folder = saved(tmp_path, lambda x: x + module.weight[0], module=module)
    (data,) = (folder / "variables").glob("variables.data*")
    data.write_bytes(data.read_bytes()[:50])
    report = tried(folder)
    assert {each.rule for each in report.errors} == {"loads"} and "neighbours" in report.not_asked


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (warmup.Request("other", {"x": np.ones(2, "float32")}), "there is no signature other"),
        (warmup.Request("serving_default", {"z": np.ones(2, "float32")}), "the inputs are ['x'], and ['z'] are given"),
        (warmup.Request("serving_default", {"x": np.array([b"a"], object)}), "could not convert string"),
    ],
)
def test_warm_up_that_a_server_would_stumble_over(tmp_path, request_, what):
    report = tried(add_warm_up(saved(tmp_path, lambda x: x + 1), request_))
    (finding,) = [each for each in report.errors if each.rule == "warm-up"]
    assert what in finding.what and finding.where.startswith("request 0")


def test_an_empty_warm_up_file_is_none(tmp_path):
    report = tried(add_warm_up(saved(tmp_path, lambda x: x + 1)))
    assert report.passed and rules(report) == {"no-warm-up"}


def test_rows_that_cannot_share_a_batch(tmp_path):
    def answer(x):
        with tf.control_dependencies([tf.debugging.assert_less(tf.size(x), 2, "one at a time")]):
            return tf.identity(x)

    requests = [warmup.Request("serving_default", {"x": np.array([each], "float32")}) for each in (1, 2)]
    (finding,) = tried(add_warm_up(saved(tmp_path, answer), *requests)).errors
    assert finding.rule == "neighbours" and "one at a time" in finding.what


def test_warm_up_that_is_no_file_of_records_or_too_long(tmp_path):
    folder = add_warm_up(saved(tmp_path, lambda x: x + 1))
    path = folder / "assets.extra" / warmup.FILE
    path.write_bytes(b"not records, but long enough to look like some")
    assert "it cannot be read" in tried(folder).errors[0].what
    request = warmup.Request("serving_default", {"x": np.ones(1, "float32")})
    warmup.write_requests(path, "m", [request] * 1001)
    assert tried(folder).errors[0].what == "it holds more than 1,000 requests"
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, RegressLog

    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(PredictionLog(regress_log=RegressLog()).SerializeToString())
    assert tried(folder).errors[0].what == "request 0 is not a PredictLog"


def test_a_machine_without_a_compiler_is_told(good, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    report = audit(good)
    assert report.passed and [(each.rule, each.what) for each in report.findings] == [
        ("not-replayed", "no C++ compiler is installed, to build the loader without Python")
    ]


def test_the_command_leaves_with_the_verdict(good, tmp_path, capsys):
    from apps.commands import audit as command

    parser = ArgumentParser()
    command.arguments(parser)
    assert command.main(parser.parse_args([str(good), "--no-run"])) == 0
    assert "fit for TensorFlow Serving" in capsys.readouterr().out
    bad = saved(tmp_path, tf.reduce_sum)
    assert command.main(parser.parse_args([str(bad), "--no-run", "--json"])) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False
