import json
import os
import pickle
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, run_python
from zoo.data import encoding, prepared
from zoo.data.prepared import fingerprint_of, prepare
from zoo.data.readers import Example, Table
from zoo.errors import UserError


class Words(Table):
    """A table in memory."""

    columns = ("text",)

    def __init__(self, texts):
        self.texts = texts
        self.rows = len(texts)

    def __iter__(self):
        for number, text in enumerate(self.texts, 1):
            yield Example({"text": text}, f"words:{number}")


def encode(values):
    text = values["text"]
    if text == "poison":
        raise UserError("this cannot be encoded")
    return {
        "ids": np.array([ord(letter) for letter in text], np.int32),
        "count": len(text),
        "text": text,
        "raw": text.encode("utf-16"),
    }


def encode_letters(values):
    return [encode({"text": letter}) for letter in values["text"]]


def length_of(row):
    return (len(row["ids"]) + 1, row["count"])


def keep(values, row):
    return {"": "empty", "long": "too long"}.get(values["text"])


def assert_rows(result, texts):
    assert len(result) == len(texts)
    for row, text in zip((result[i] for i in range(len(result))), texts, strict=True):
        expected = encode({"text": text})
        assert row.keys() == expected.keys()
        np.testing.assert_array_equal(row["ids"], expected["ids"], strict=True)
        assert (row["count"], row["text"], row["raw"]) == (expected["count"], expected["text"], expected["raw"])
    np.testing.assert_array_equal(
        result.lengths, np.array([(len(t) + 1, len(t)) for t in texts], np.int32), strict=True
    )


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1), at_once=st.integers(1, 5))
def test_rows_come_back_as_they_were_encoded(tmp_path_factory, texts, at_once):
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "ROWS_AT_ONCE", at_once)
        assert_rows(prepare(Words(texts), encode, length_of, folder, "f"), texts)


def test_dropped_rows_are_counted_by_reason(tmp_path):
    result = prepare(Words(["a", "", "long", "b", ""]), encode, length_of, tmp_path, "f", keep=keep)
    assert_rows(result, ["a", "b"])
    assert result.dropped == {"empty": 2, "too long": 1}


def test_an_example_may_become_several_rows(tmp_path):
    result = prepare(Words(["ab", "", "c"]), encode_letters, length_of, tmp_path, "f", keep=keep)
    assert_rows(result, ["a", "b", "c"])
    assert (result.examples, result.dropped) == (3, {})  # "" became none
    one = prepare(Words(["ab", "long"]), encode, length_of, tmp_path, "g", keep=keep)
    assert (len(one), one.examples) == (1, 2)


def test_no_row_left_is_an_error_with_the_counts(tmp_path):
    with pytest.raises(UserError, match=r"no row is left \(2 empty, 1 too long\)"):
        prepare(Words(["", "long", ""]), encode, length_of, tmp_path, "f", keep=keep)
    with pytest.raises(UserError, match="the table has none"):
        prepare(Words([]), encode, length_of, tmp_path, "f")
    assert list(tmp_path.glob("f*")) == [tmp_path / "f.lock"]


def test_the_same_fingerprint_is_loaded_and_not_made_again(tmp_path):
    first = prepare(Words(["a", "bc", ""]), encode, length_of, tmp_path, "f", keep=keep)
    again = prepare(Words(["other"]), None, None, tmp_path, "f")
    assert_rows(again, ["a", "bc"])
    assert again.dropped == first.dropped == {"empty": 1}
    assert_rows(prepare(Words(["other"]), encode, length_of, tmp_path, "g"), ["other"])


def test_what_a_broken_off_preparation_left_is_made_anew(tmp_path):
    prepare(Words(["a", "bc"]), encode, length_of, tmp_path, "f")
    (tmp_path / "f" / "ids.values").write_bytes(b"")  # as a power failure may leave it
    (tmp_path / "f.partial").mkdir()
    assert_rows(prepare(Words(["a", "bc"]), encode, length_of, tmp_path, "f"), ["a", "bc"])
    assert not (tmp_path / "f.partial").exists()


def test_the_same_bytes_whatever_the_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared, "ROWS_BEFORE_WORKERS", 30)
    monkeypatch.setattr(encoding, "ROWS_AT_ONCE", 7)
    texts = [f"{'x' * (number % 13)}{number}" if number % 5 else "" for number in range(200)]
    results = [
        prepare(Words(texts), encode, length_of, tmp_path, f"f{workers}", keep=keep, workers=workers)
        for workers in (1, 2)
    ]
    assert_rows(results[1], [text for text in texts if text])
    for path in results[0].folder.iterdir():
        assert path.read_bytes() == (results[1].folder / path.name).read_bytes()


def test_an_error_names_the_row_in_this_process_and_in_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared, "ROWS_BEFORE_WORKERS", 2)
    for workers in (1, 2):
        with pytest.raises(UserError, match="words:4: this cannot be encoded"):
            prepare(Words(["a", "b", "c", "poison"]), encode, length_of, tmp_path, "f", workers=workers)
    assert not (tmp_path / "f.partial").exists()


def test_two_processes_prepare_once(tmp_path):
    code = """
        import sys, time
        from pathlib import Path
        from tests.data.test_prepared import Words, encode, length_of
        from zoo.data.prepared import prepare

        def slow(values):
            print("encoding", flush=True)
            time.sleep(0.5)
            return encode(values)

        print(len(prepare(Words(["a", "b"]), slow, length_of, Path(sys.argv[1]), "f")))
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = sorted(process.communicate(timeout=60)[0].split() for process in both)
    assert printed == [["2"], ["encoding", "encoding", "2"]]


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    (tmp_path / "slow_encoding.py").write_text(
        textwrap.dedent("""
        import multiprocessing, sys, threading, time
        from pathlib import Path
        from tests.data.test_prepared import Words, length_of
        from zoo.data import prepared

        def encode(values):
            time.sleep(0.2)
            return {"ids": [1], "count": 1}

        def tell():
            while len(children := multiprocessing.active_children()) < 2:
                time.sleep(0.1)
            time.sleep(2)
            print(*(child.pid for child in children), flush=True)

        if __name__ == "__main__":
            prepared.ROWS_BEFORE_WORKERS = 0
            threading.Thread(target=tell, daemon=True).start()
            prepared.prepare(Words(["a"] * 5000), encode, length_of, Path(sys.argv[1]), "f", workers=2)
        """)
    )
    command = [sys.executable, str(tmp_path / "slow_encoding.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(workers) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_rows_must_be_alike_and_flat(tmp_path):
    with pytest.raises(TypeError, match="words:2: every row must have the same fields"):
        prepare(Words(["a", "b"]), lambda v: {v["text"]: 1}, lambda row: (1,), tmp_path, "f")
    with pytest.raises(TypeError, match="words:2: every row must have the same fields"):
        types = {"a": np.int32, "b": np.int64}
        prepare(Words(["a", "b"]), lambda v: {"x": types[v["text"]](1)}, lambda row: (1,), tmp_path, "f")
    with pytest.raises(TypeError, match='field "x" must be'):
        prepare(Words(["a"]), lambda v: {"x": np.zeros((2, 2))}, lambda row: (1,), tmp_path, "f")


def test_a_disk_that_takes_no_more_is_a_user_error(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            prepare(Words(["x" * 100] * 1000), encode, length_of, tmp_path, "f")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [tmp_path / "f.lock"]


def test_prepared_travels_to_other_processes_by_name(tmp_path):
    result = prepare(Words(["a" * 1000] * 100), encode, length_of, tmp_path, "f")
    assert len(pickle.dumps(result)) < 1000
    assert_rows(pickle.loads(pickle.dumps(result)), ["a" * 1000] * 100)
    with pytest.raises(IndexError):
        result[100]
    with pytest.raises(ValueError, match="read-only"):
        result[0]["ids"][0] = 7


def test_fingerprints_depend_on_content_parts_and_code(tmp_path, monkeypatch):
    files = [tmp_path / name for name in "ab"]
    for path in files:
        path.write_text(path.name)
    first = fingerprint_of(files, "x", "y")
    assert first == fingerprint_of([str(path) for path in files], "x", "y")
    assert len(first) == 16
    others = {fingerprint_of(files[::-1], "x", "y"), fingerprint_of(files, "xy"), fingerprint_of(files, "y", "x")}
    files[1].write_text("c")
    others.add(fingerprint_of(files, "x", "y"))
    monkeypatch.setattr(prepared, "CODE_VERSION", 2)
    others.add(fingerprint_of(files, "x", "y"))
    assert len({first, *others}) == 6


@pytest.mark.slow
def test_a_corpus_larger_than_memory(tmp_path):
    """300 MB of prepared rows are written, planned and read in a process that may take 64 MB more than at its start."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("needs /proc")
    lines = 100_000
    (tmp_path / "long.txt").write_text("".join(f"{'word ' * (50 + line % 300)}\n" for line in range(lines)))
    code = """
        import json, resource, sys
        from pathlib import Path
        import numpy as np
        from zoo.data.loading import updates
        from zoo.data.plan import Plan
        from zoo.data.prepared import prepare
        from zoo.data.readers import open_table

        folder = Path(sys.argv[1])
        encode = lambda values: {"ids": np.frombuffer(values["text"].encode(), np.uint8).astype(np.int32)}
        data = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (data + (64 << 20),) * 2)
        try:
            np.ones(80 << 20, np.uint8)
            bites = False
        except MemoryError:
            bites = True
        table = open_table({"text": folder / "long.txt"}, {"text": "text"})
        rows = prepare(table, encode, lambda row: (len(row["ids"]),), folder, "f")
        plan = Plan(rows.lengths, 100_000, 0)
        make_batch = lambda batch, shape: {"sum": sum(int(row["ids"].sum()) for row in batch), "rows": len(batch)}
        read = [next_one for _, next_one in zip(range(plan.updates), updates(rows, plan, make_batch, threads=0))]
        print(json.dumps([bites, len(rows), sum(batch["rows"] for _, (batch,) in read),
                          sum(batch["sum"] for _, (batch,) in read), rows._values[0].nbytes]))
        """
    bites, rows, drawn, total, size = json.loads(run_python(code, str(tmp_path)))
    assert bites  # the limit is one
    assert rows == drawn == lines
    words = sum(50 + line % 300 for line in range(lines))
    assert total == words * sum(b"word ")
    assert size == words * 20 > 300e6
