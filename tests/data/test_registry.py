import gzip
import hashlib
import shutil
import urllib.error
import urllib.request
from io import BytesIO

import pytest

from tests.conftest import data, needs_data
from zoo.data import registry
from zoo.data.sets import multi30k
from zoo.data.sets.files import PublicFile, obtain
from zoo.errors import UserError

ABOUT = registry.About("free", "https://example.org", "a set")


@needs_data("text/multi30k")
def test_multi30k_is_found_with_all_its_splits():
    sizes = {"train": 29_000, "val": 1_014, "test_2016_flickr": 1_000, "test_2017_flickr": 1_000}
    assert registry.splits("multi30k") == list(sizes)
    for split, rows in sizes.items():
        table = registry.load("multi30k", split, {"source": "en", "target": "fr"})
        assert (table.rows, table.columns) == (rows, ("source", "target"))
    first = next(iter(registry.load("multi30k", "test_2016_flickr", {"source": "en", "target": "de"})))
    assert first.values == {
        "source": "A man in an orange hat starring at something.",
        "target": "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    }
    assert first.place.endswith("test_2016_flickr.en.gz:1")


@needs_data("text/multi30k")
def test_multi30k_has_tokenized_references():
    path = registry.reference_file("multi30k", "test_2016_flickr", "de")
    text = gzip.decompress(path.read_bytes()).decode()
    assert text.startswith("ein mann mit einem orangefarbenen hut , der etwas anstarrt .\n")
    assert len(text.split()) == 12_103  # the reference length of published scores
    assert registry.reference_file("multi30k", "train", "de") is None


@pytest.mark.parametrize(
    ("name", "split", "column", "expected"),
    [
        ("multi3k", "train", "en", 'there is no data set "multi3k".*multi30k'),
        ("multi30k", "valid", "en", 'multi30k has no split "valid". There are: train, val, .*Did you mean "val"'),
        ("multi30k", "train", "cs", 'multi30k has no column "cs". There are: en, de, fr'),
    ],
)
def test_unknown_names_are_answered_with_the_known(name, split, column, expected):
    with pytest.raises(UserError, match=expected):
        registry.load(name, split, {"text": column})
    with pytest.raises(UserError, match=expected):
        registry.reference_file(name, split, column)


def test_every_set_says_what_it_is():
    for name in registry.names():
        about = registry.about(name)
        assert about.licence and about.home and about.description
        assert registry.splits(name)[0] == "train"
        assert registry.columns(name)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Empty folders for data and cache, and a network that answers what the test lays into the list."""
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    answers: list[bytes | Exception] = []

    def urlopen(url, timeout):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        stream = BytesIO(answer)
        stream.headers = {"Content-Length": str(len(answer))}
        return stream

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return tmp_path, answers


def public(text: bytes, name: str = "raw/a.gz") -> PublicFile:
    return PublicFile(name, f"https://example.org/{name}", hashlib.sha256(text).hexdigest())


def test_a_download_is_checked_and_cached(nowhere):
    folder, answers = nowhere
    answers.append(gzip.compress(b"hello\n"))
    path = obtain(public(b"hello\n"), "text/set", ABOUT)
    assert path == folder / "cache/text/set/raw/a.gz"
    assert gzip.decompress(path.read_bytes()) == b"hello\n"
    assert obtain(public(b"hello\n"), "text/set", ABOUT) == path  # no second answer is there to be had
    assert [each.name for each in path.parent.iterdir()] == ["a.gz"]


@pytest.mark.parametrize("answer", [gzip.compress(b"another\n"), gzip.compress(b"hello\n")[:-9], b""])
def test_a_download_that_is_not_the_file_leaves_nothing_behind(nowhere, answer):
    folder, answers = nowhere
    answers += [answer, gzip.compress(b"hello\n")]
    with pytest.raises(UserError, match=r"SHA-256|damaged"):
        obtain(public(b"hello\n"), "text/set", ABOUT)
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert obtain(public(b"hello\n"), "text/set", ABOUT).is_file()  # and the next one succeeds


def test_without_network_the_error_says_what_to_put_where(nowhere):
    folder, answers = nowhere
    answers.append(urllib.error.URLError("no route to host"))
    with pytest.raises(UserError) as caught:
        registry.load("multi30k", "val", {"source": "en", "target": "de"})
    message = str(caught.value)
    for part in ("no route to host", str(folder / "data/text/multi30k/raw/val.en.gz"), "ZOO_DATA", "non-commercial"):
        assert part in message


@needs_data("text/multi30k")
def test_a_changed_file_under_zoo_data_is_refused(nowhere):
    folder, _ = nowhere
    target = folder / "data/text/multi30k/raw/val.en.gz"
    target.parent.mkdir(parents=True)
    target.write_bytes(gzip.compress(b"other sentences\n"))
    with pytest.raises(UserError, match=r"val\.en\.gz: this is not the file it should be"):
        registry.load("multi30k", "val", {"text": "en"})


@needs_data("text/multi30k")
def test_tokenized_references_may_be_plain_or_compressed(nowhere, monkeypatch):
    folder, _ = nowhere
    monkeypatch.undo()
    source = data("text/multi30k/tok/val.lc.norm.tok.de.gz")
    monkeypatch.setenv("ZOO_DATA", str(folder / "data"))
    target = folder / "data" / multi30k.FOLDER / "tok"
    target.mkdir(parents=True)
    shutil.copy(source, target)
    assert registry.reference_file("multi30k", "val", "de") == target / source.name
    (target / source.stem).write_bytes(gzip.decompress(source.read_bytes()))
    assert registry.reference_file("multi30k", "val", "de") == target / source.stem
