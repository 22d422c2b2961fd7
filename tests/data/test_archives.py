"""Files by name, whatever they lie in: the same names and bytes from a folder, every tar and zip; what is damaged."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.archives import ENDINGS, is_archive, open_files
from zoo.errors import UserError

CONTENT = {"cat/a.jpg": b"one", "cat/deep/b.jpg": b"\0" * 5_000, "dog/c d.png": b"three", "empty": b"", "ü.jpg": b"4"}
MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tbz2": "w:bz2"}
MODES |= {".tar.xz": "w:xz", ".txz": "w:xz"}


def lay(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def pack(path: Path, folder: Path, prefix: str = "") -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(folder.rglob("*")):
                archive.write(each, prefix + each.relative_to(folder).as_posix())
    else:
        with tarfile.open(
            path, next(MODES[end] for end in sorted(MODES, key=len)[::-1] if path.name.endswith(end))
        ) as tar:
            tar.add(folder, prefix or ".")
    return path


def everything(path: Path) -> dict[str, bytes]:
    files = open_files(path)
    with files.reading() as read:
        return {name: read(name) for name in files.sizes}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_archive_has_what_the_folder_has_in_any_order(tmp_path, ending):
    folder = lay(tmp_path / "x", CONTENT)
    (folder / "nothing").mkdir()
    path = pack(tmp_path / f"x{ending}", folder)
    assert is_archive(path) and not is_archive(folder)
    assert everything(path) == everything(folder) == CONTENT
    files = open_files(path)
    assert files.folders == open_files(folder).folders == {"cat", "cat/deep", "dog", "nothing"}
    assert files.sizes == {name: len(data) for name, data in CONTENT.items()}
    with files.reading() as read:
        for name in [*reversed(files.sizes), *files.sizes]:
            assert read(name) == CONTENT[name]
    assert files.place("cat/a.jpg") == f"{path}:cat/a.jpg"
    assert files.sources(["cat/a.jpg"]) == (path,)
    assert open_files(folder).sources(["cat/a.jpg"]) == (folder / "cat/a.jpg",)


NAMES = st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)


@settings(max_examples=20)
@given(content=st.dictionaries(NAMES, st.binary(max_size=2_000), min_size=1), ending=st.sampled_from([".tgz", ".zip"]))
def test_what_was_packed_is_read(content, ending, tmp_path_factory):
    files = {name: data for name, data in content.items() if not any(other.startswith(f"{name}/") for other in content)}
    home = tmp_path_factory.mktemp("packed")
    path = pack(home / f"x{ending}", lay(home / "x", files))
    assert everything(path) == everything(home / "x") == files


def test_a_folder_is_sorted_and_an_archive_in_its_own_order(tmp_path):
    folder = lay(tmp_path / "x", {"b": b"1", "a": b"2", "c/d": b"3"})
    assert list(open_files(folder).sizes) == ["a", "b", "c/d"]
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("b", "c/d", "a"):
            tar.add(folder / name, f"/abs/../{name}")
    assert list(open_files(tmp_path / "x.tar").sizes) == ["b", "c/d", "a"]


def test_hidden_files_and_litter_are_left_out(tmp_path):
    hidden = {".DS_Store": b"x", "cat/._a.jpg": b"x", "__MACOSX/cat/a.jpg": b"x", "cat/Thumbs.db": b"x", ".git/a": b"x"}
    folder = lay(tmp_path / "x", {**hidden, "cat/a.jpg": b"y"})
    for path in (folder, pack(tmp_path / "x.tar.gz", folder), pack(tmp_path / "x.zip", folder)):
        assert list(open_files(path).sizes) == ["cat/a.jpg"]


def test_no_name_leads_out_of_an_archive(tmp_path):
    folder = lay(tmp_path / "x", {"a": b"1"})
    path = pack(tmp_path / "x.zip", folder, prefix="../up/")
    assert list(open_files(path).sizes) == []


def test_zips_of_windows_and_second_names_of_a_tar(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = "cat\\a.jpg"
        archive.writestr(info, b"1")
    assert everything(tmp_path / "x.zip") == {"cat/a.jpg": b"1"}
    folder = lay(tmp_path / "x", {"a": b"same"})
    os.link(folder / "a", folder / "b")
    lay(folder, {"z/real": b"far"})
    (folder / "c").symlink_to("z/real")
    assert everything(pack(tmp_path / "x.tar", folder)) == {"a": b"same", "b": b"same", "c": b"far", "z/real": b"far"}
    (folder / "z/up").symlink_to("../../elsewhere")
    with pytest.raises(UserError, match=r"x\.tar:z/up: a link to \.\./elsewhere, which is no file of this archive"):
        open_files(pack(tmp_path / "x.tar", folder))


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.7])
def test_an_archive_that_is_cut_off(tmp_path, ending, part):
    content = {f"{number}.jpg": os.urandom(3_000) for number in range(20)}
    path = pack(tmp_path / f"x{ending}", lay(tmp_path / "x", content))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(UserError, match=rf"x{ending}: the archive is damaged or cut off"):
        open_files(path)


def test_an_archive_that_is_damaged_within(tmp_path):
    folder = lay(tmp_path / "x", {name: name.encode() * 600 for name in "abc"})
    plain = tmp_path / "x.tar"
    with tarfile.open(plain, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(folder, ".")
    whole = bytearray(plain.read_bytes())
    whole[whole.index(b"./b\0")] ^= 1  # the header's sum does not fit, which tarfile takes for the end
    plain.write_bytes(whole)
    with pytest.raises(UserError, match=r"damaged or cut off \(no header of a file at byte"):
        open_files(plain)
    packed = pack(tmp_path / "x.zip", folder)
    raw = bytearray(packed.read_bytes())
    raw[34] ^= 255  # behind the header of "a"
    packed.write_bytes(raw)
    files = open_files(packed)
    with files.reading() as read, pytest.raises(UserError, match=r"x\.zip: the archive is damaged"):
        read("a")


def test_what_is_no_place_of_files(tmp_path):
    with pytest.raises(UserError, match=r"none\.tar: no such file"):
        open_files(tmp_path / "none.tar")
    with pytest.raises(UserError, match=r"a folder or an archive is needed\n  Known: \.tar"):
        open_files(lay(tmp_path, {"a.rar": b"x"}) / "a.rar")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jpg", b"x")
    raw = (tmp_path / "x.zip").read_bytes()
    at = raw.index(b"PK\x01\x02") + 8  # the flags in the central directory
    (tmp_path / "x.zip").write_bytes(raw[:at] + b"\1" + raw[at + 1 :])
    with pytest.raises(UserError, match=r"x\.zip:a\.jpg: encrypted"):
        open_files(tmp_path / "x.zip")


def test_links_in_folders(tmp_path):
    folder = lay(tmp_path / "x", {"cat/a": b"1"})
    (folder / "dog").symlink_to(folder / "cat")
    assert everything(folder) == {"cat/a": b"1", "dog/a": b"1"}
    (folder / "cat/up").symlink_to(folder)
    with pytest.raises(UserError, match=r"cat/up: a link to a folder that it lies in"):
        open_files(folder)
    (folder / "cat/up").unlink()
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"x/gone: neither a file nor a folder"):
        open_files(folder)
