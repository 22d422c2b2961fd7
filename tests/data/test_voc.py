"""Pascal VOC's XML: boxes in pixels from 0, images found by name, and what is left out or refused."""

import pytest

from tests.conftest import needs_data
from tests.data.test_archives import lay, pack
from zoo.data import registry
from zoo.data.readers import open_table
from zoo.data.voc import Voc, parse
from zoo.errors import UserError

ALL = {"image": "image", "boxes": "boxes", "labels": "labels"}


def xml(*boxes: tuple, size: tuple[int, int] | None = (60, 40)) -> bytes:
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    things = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, x0, y0, x1, y1 in boxes
    )
    return f"<annotation><filename>other.jpg</filename>{sides}{things}</annotation>".encode()


CONTENT = {
    "Annotations/a.xml": xml(("cat", 1, 1, 60, 40), ("dog", 11.5, 21, 30, 40)),
    "Annotations/b.xml": xml(),
    "Annotations/c.xml": xml(("cat", 5, 6, 7, 8)),
    "JPEGImages/a.jpg": b"A",
    "JPEGImages/b.PNG": b"B",
    "JPEGImages/c.jpeg": b"C",
    "JPEGImages/unlabelled.jpg": b"D",
    "SegmentationClass/a.png": b"mask",
    "ImageSets/Main/train.txt": b"c\na -1\n\n",
    "ImageSets/Main/val.txt": b"b\n",
}
A, B, C = (b"A", [[0, 0, 40, 60], [20, 10.5, 40, 30]], ["cat", "dog"]), (b"B", [], []), (b"C", [[5, 4, 8, 7]], ["cat"])


def rows(table) -> list[tuple]:
    return [tuple(example.values.values()) for example in table]


@pytest.mark.parametrize("ending", ["", ".zip", ".tar.gz"])
@pytest.mark.parametrize("around", ["", "VOC2012/"])
def test_images_boxes_and_labels(tmp_path, ending, around):
    folder = lay(tmp_path / "x", {around + name: data for name, data in CONTENT.items()})
    path = pack(tmp_path / f"x{ending}", folder) if ending else folder
    table = open_table(path, ALL)
    assert (table.rows, table.columns, rows(table)) == (3, tuple(ALL), [A, B, C])
    assert rows(table) == rows(table)
    assert next(iter(table)).place == f"{path}{':' if ending else '/'}{around}Annotations/a.xml"
    train, val = (Voc(path, ALL, part) for part in ("train", "val"))
    assert (rows(train), rows(val)) == ([A, C], [B])
    assert train.layout != val.layout != table.layout


def test_the_files_of_a_folder_are_those_that_are_read(tmp_path):
    table = Voc(lay(tmp_path, CONTENT), {"boxes": "boxes"}, "val")
    assert table.files == (tmp_path / "JPEGImages/b.PNG", tmp_path / "Annotations/b.xml")
    assert [row.values for row in table] == [{"boxes": []}]


def test_images_beside_their_xml(tmp_path):
    content = {"deep/a.jpg": b"A", "deep/a.xml": CONTENT["Annotations/a.xml"]}
    assert rows(open_table(lay(tmp_path, content), ALL)) == [A]


def test_boxes_without_area_are_named_and_left_out(tmp_path, capsys):
    boxes = [("cat", 9, 9, 9, 9), ("dog", 5, 5, 6, 6), ("cat", 3, 4, 8, 4)]
    table = open_table(lay(tmp_path, {"a.jpg": b"A", "a.xml": xml(*boxes)}), ALL)
    assert rows(table) == [(b"A", [[4, 4, 6, 6]], ["dog"])]
    said = f"left out: {tmp_path}/a.xml: box 1, cat, 9 9 9 9, {tmp_path}/a.xml: box 3, cat, 3 4 8 4"
    assert said in capsys.readouterr().err


def test_a_box_may_lie_a_pixel_outside_and_is_cut():
    assert parse(xml(("cat", 0, 0, 61, 41)), "").boxes == [[0, 0, 40, 60]]
    assert parse(xml(("cat", 5, 5, 900, 900), size=None), "").boxes == [[4, 4, 900, 900]]
    assert parse(xml(("cat", 5, 5, 900, 900), size=(0, 0)), "").boxes == [[4, 4, 900, 900]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<annotation>", r"^a\.xml: not XML \(no element found"),
        (b"<html/>", "<annotation> is expected, this is <html>"),
        (xml(("cat", 1, 1, 62, 9)), r"box 1, cat, 1 1 62 9: outside the image of 60 x 40 pixels"),
        (xml(("cat", 1, 1, 9, 42)), "outside the image"),
        (xml(("cat", -1, 1, 9, 9)), "outside the image"),
        (xml(("cat", 1, -0.5, 9, 9), size=None), "outside the image of unknown size"),
        (xml(("dog", 1, 1, 9, 9), ("cat", 9, 1, 1, 9)), "box 2, cat, 9 1 1 9: a maximum below its minimum"),
        (xml(("", 1, 1, 9, 9)), "box 1, without a name, 1 1 9 9: a <name> and a <bndbox> of xmin, ymin"),
        (xml(("cat", "x", 1, 9, 9)), "box 1, cat, nan 1 9 9: a <name> and a <bndbox>"),
        (xml(("cat", 1, 1, "inf", 9)), "a <name> and a <bndbox>"),
    ],
)
def test_refused_annotations(data, expected):
    with pytest.raises(UserError, match=expected):
        parse(data, "a.xml")


@pytest.mark.parametrize(
    ("changes", "part", "expected"),
    [
        ({"JPEGImages/b.PNG": None}, "", r"Annotations/b\.xml: its image is neither in JPEGImages nor beside it"),
        ({"JPEGImages/b.PNG": b""}, "", r"JPEGImages/b\.PNG: the file is empty"),
        ({"JPEGImages/b.PNG": None}, "train", None),
        ({"ImageSets/Main/train.txt": b"a\nz\n"}, "train", r"Main/train\.txt:2: there is no annotation of z"),
        ({"ImageSets/Main/train.txt": b"\n"}, "train", r"Main/train\.txt: there is no name in it"),
        ({}, "trian", r'no column "trian".*There are: train, val.*"train"'),
        ({f"Annotations/{name}.xml": None for name in "abc"}, "", r"there are no annotations \(\.xml\) in it"),
        ({"Annotations/c.xml": b"<"}, "", r"Annotations/c\.xml: not XML"),
    ],
)
def test_refused_folders(tmp_path, changes, part, expected):
    folder = lay(tmp_path, {name: data for name, data in (CONTENT | changes).items() if data is not None})
    if expected is None:
        assert Voc(folder, ALL, part).rows == 2
        return
    with pytest.raises(UserError, match=expected):
        Voc(folder, ALL, part)


@needs_data("vision/bccd")
def test_bccd_has_its_boxes(capsys):
    splits = {"train": 164, "select": 41, "train_all": 205, "val": 87}
    assert registry.splits("bccd") == list(splits)
    tables = {split: registry.load("bccd", split, {"boxes": "boxes", "labels": "labels"}) for split in splits}
    found = {split: list(table) for split, table in tables.items()}
    assert {split: table.rows for split, table in tables.items()} == splits
    assert {split: len(rows) for split, rows in found.items()} == splits
    names = ("RBC", "WBC", "Platelets")
    counts = {
        split: [sum(row.values["labels"].count(name) for row in rows) for name in names]
        for split, rows in found.items()
    }
    assert counts["train_all"] == [2_381, 214, 209] and counts["val"] == [967, 87, 83]  # without the two of no area
    said = capsys.readouterr().err
    assert "BloodImage_00343.xml: box" in said and "BloodImage_00338.xml: box" in said
    assert {row.place for row in found["train"]} | {row.place for row in found["select"]} == {
        row.place for row in found["train_all"]
    }
    for row in found["train_all"]:
        for y0, x0, y1, x1 in row.values["boxes"]:
            assert 0 <= y0 < y1 <= 480 and 0 <= x0 < x1 <= 640


@needs_data("vision/bccd")
def test_bccd_has_jpegs():
    row = next(iter(registry.load("bccd", "val", {"image": "image", "labels": "labels"})))
    assert row.values["image"].startswith(b"\xff\xd8") and "RBC" in row.values["labels"]
