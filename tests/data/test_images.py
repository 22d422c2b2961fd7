"""Images in class folders and in tables: labels, order, places, and every layout that is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.test_archives import lay, pack
from zoo.data.choices import DataChoices, open_part
from zoo.data.images import ClassFolders, encode_png
from zoo.data.readers import open_table
from zoo.errors import UserError

BOTH = {"image": "image", "label": "label"}
PETS = {
    "dog/1.jpg": b"rex",
    "cat/2.PNG": b"tom",
    "cat/siamese/3.jpeg": b"mia",
    "cat/10.gif": b"ada",
    "notes.txt": b"whose they are",
}


def rows(table) -> list[tuple]:
    return [tuple(example.values.values()) for example in table]


@pytest.mark.parametrize("ending", ["", ".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("around", ["", "pets/", "data/pets/"])
def test_labels_are_the_class_folders(tmp_path, ending, around):
    folder = lay(tmp_path / "x", {around + name: data for name, data in PETS.items()})
    path = pack(tmp_path / f"x{ending}", folder) if ending else folder
    table = open_table(path, BOTH)
    assert (table.labels, table.rows, table.left_out) == (("cat", "dog"), 4, {".txt": 1})
    assert sorted(rows(table)) == [(b"ada", "cat"), (b"mia", "cat"), (b"rex", "dog"), (b"tom", "cat")]
    assert rows(table) == rows(table)
    place = f"{path}:{around}dog/1.jpg" if ending else f"{path}/{around}dog/1.jpg"
    assert [place] == [example.place for example in table if example.values["label"] == "dog"]


def test_a_folder_is_read_in_the_order_of_names_and_columns_as_asked(tmp_path):
    table = open_table(lay(tmp_path, PETS), {"class": "label", "image": "image"})
    assert table.columns == ("class", "image")
    assert rows(table) == [("cat", b"ada"), ("cat", b"tom"), ("cat", b"mia"), ("dog", b"rex")]
    assert table.files == tuple(
        tmp_path / name for name in ("cat/10.gif", "cat/2.PNG", "cat/siamese/3.jpeg", "dog/1.jpg")
    )
    with pytest.raises(UserError, match='no column "labels". There are: image, label'):
        open_table(tmp_path, {"image": "image", "label": "labels"})


def test_left_out_files_are_said(tmp_path, capsys):
    open_table(lay(tmp_path, {**PETS, "dog/4.webp": b"x"}), BOTH)
    assert "are left out (1 .webp, 1 .txt)" in capsys.readouterr().err


def test_a_class_folder_with_folders_in_it_may_be_the_only_one(tmp_path):
    assert open_table(lay(tmp_path, {"cat/1.jpg": b"1", "cat/siamese/2.jpg": b"2"}), BOTH).labels == ("cat",)


def test_without_labels_any_layout_will_do(tmp_path):
    lay(tmp_path, {"1.jpg": b"1", "deep/er/2.jpg": b"2", "train/3.jpg": b"3"})
    assert rows(open_table(tmp_path, {"image": "image"})) == [(b"1",), (b"2",), (b"3",)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a.txt": b"x"}, r"pets: there is no image in it\n  Images end in \.jpg"),
        ({"1.jpg": b"x", "2.jpg": b"x"}, r"pets: there are images, but no class folders\n.*pictures/cat/1\.jpg"),
        ({"a/1.jpg": b"x", "b/1.jpg": b"x", "3.jpg": b"x"}, "images lie beside class folders: 3.jpg beside a, b"),
        ({"x/a/1.jpg": b"x", "x/b/1.jpg": b"x", "y/3.webp": b"x"}, r"pets.y: a class folder without images"),
        ({"a/1.jpg": b"x", "b/1.webp": b"x"}, r"pets.b: a class folder without images, but files that end in \.webp"),
        ({"a/1.jpg": b"x", "b/.keep": b"", "c/.keep": b""}, r"pets.b: a class folder without images; so are c"),
        ({"a/1.jpg": b"x", "b/1.jpg": b"", "b/2.jpg": b""}, r"pets.b/1\.jpg: the file is empty, and so are .*b/2\.jpg"),
        (
            {"train/a/1.jpg": b"x", "val/a/1.jpg": b"x"},
            "the class folders are called train, val: they look like the parts",
        ),
        ({f"{n}/1.jpg": b"" for n in range(9)}, r"4/1.jpg, .*5/1\.jpg and 3 more"),
    ],
)
def test_refused_layouts(tmp_path, content, expected):
    folder = lay(tmp_path / "pets", content)
    with pytest.raises(UserError, match=f"(?s){expected}"):
        open_table(folder, BOTH)


def test_an_empty_class_folder_of_an_archive(tmp_path):
    folder = lay(tmp_path / "x", PETS)
    (folder / "bird").mkdir()
    with pytest.raises(UserError, match=r"x\.tgz:bird: a class folder without images"):
        open_table(pack(tmp_path / "x.tgz", folder), BOTH)


def test_moving_an_image_to_another_class_changes_the_layout(tmp_path):
    first = ClassFolders(lay(tmp_path / "x", {"a/1.jpg": b"1", "a/2.jpg": b"2", "b/3.jpg": b"3"}), BOTH)
    moved = ClassFolders(lay(tmp_path / "y", {"a/1.jpg": b"1", "b/2.jpg": b"2", "b/3.jpg": b"3"}), BOTH)
    assert [path.read_bytes() for path in first.files] == [path.read_bytes() for path in moved.files]
    assert first.layout != moved.layout
    again = ClassFolders(lay(tmp_path / "z", {"a/1.jpg": b"1", "a/2.jpg": b"2", "b/3.jpg": b"3"}), BOTH)
    assert first.layout == again.layout


def test_equal_images_never_stand_in_training_and_validation(tmp_path):
    content = {f"{'ab'[number % 2]}/{number:03}.jpg": bytes([number // 4]) for number in range(200)}
    choices = DataChoices(train=str(lay(tmp_path, content)), validation_share=0.5)
    train, validation = (
        {example.values["image"] for example in open_part(choices, part, ("image", "label"))}
        for part in ("train", "validation")
    )
    assert not train & validation and len(train | validation) == 50 and min(len(train), len(validation)) > 10
    assert open_part(choices, "train", ("image", "label")).layout == open_table(tmp_path, BOTH).layout


TABLES = {
    "t.csv": 'file,breed\na/1.jpg,"big, dog"\n2.png,cat\n',
    "t.tsv": "file\tbreed\na/1.jpg\tbig, dog\n2.png\tcat\n",
    "t.jsonl": '{"file": "a/1.jpg", "breed": "big, dog"}\n\n{"file": "2.png", "breed": "cat"}\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_name_images_relative_to_themselves(tmp_path, name):
    lay(tmp_path / "x", {"a/1.jpg": b"one", "2.png": b"two", name: TABLES[name].encode()})
    table = open_table(tmp_path / "x" / name, {"image": "file", "label": "breed"})
    assert (rows(table), table.rows) == ([(b"one", "big, dog"), (b"two", "cat")], 2)
    assert table.files == tuple(tmp_path / "x" / each for each in (name, "a/1.jpg", "2.png"))
    assert next(iter(table)).place == f"{tmp_path / 'x' / name}:{1 if name == 't.jsonl' else 2}"


def test_line_aligned_files_name_images_too(tmp_path):
    lay(tmp_path, {"1.jpg": b"one", "paths.txt": b"1.jpg\n1.jpg\n", "labels.txt": b"a\nb\n"})
    files = {"image": tmp_path / "paths.txt", "label": tmp_path / "labels.txt"}
    assert rows(open_table(files, BOTH)) == [(b"one", "a"), (b"one", "b")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("none.jpg", r"t\.jsonl:2: there is no image .*none\.jpg\n  Paths of images are relative"),
        ("a", r"t\.jsonl:2: there is no image .*a\n"),
        ("empty.jpg", r"t\.jsonl:2: the image .*empty\.jpg is empty"),
        ("", r"t\.jsonl:2: the path of an image is needed, this is ''"),
        (7, r"t\.jsonl:2: the path of an image is needed, this is 7"),
    ],
)
def test_a_missing_image_is_named_before_the_first_row_is_read(tmp_path, path, expected):
    lay(tmp_path, {"a/1.jpg": b"one", "empty.jpg": b""})
    lines = [json.dumps({"image": each}) for each in ("a/1.jpg", path)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=expected):
        open_table(tmp_path / "t.jsonl", {"image": "image"})


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (5, 7, 3)])
def test_png_and_back(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(pixels))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_a_removed_image_is_named(tmp_path: Path):
    table = open_table(lay(tmp_path, {"a/1.jpg": b"1"}), BOTH)
    (tmp_path / "a/1.jpg").unlink()
    with pytest.raises(UserError, match=r"a/1\.jpg: cannot be read \(No such file"):
        list(table)
