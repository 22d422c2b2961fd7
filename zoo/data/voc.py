"""Images with boxes, in the XML of Pascal VOC (Everingham et al., 2010), as labelling programs write it too."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from zoo.data.archives import Files, Read, open_files
from zoo.data.images import ENDINGS, IMAGE, layout_of, listed
from zoo.data.tables import Example, Table, known_column
from zoo.errors import UserError
from zoo.progress import say

BOXES, LABELS = "boxes", "labels"
IMAGES, LISTS = "JPEGImages", "ImageSets/Main"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
TOLERANCE = 1.0  # pixels that a box may lie outside: whether programs count from 0 or 1 differs


class Annotation(NamedTuple):
    """What a file of XML says.

    Attributes:
        boxes: y0 x0 y1 x1 in pixels, from 0, the last one excluded, cut at the border of the image.
        labels: of the boxes.
        empty: what was left out, since it has no area.
    """

    boxes: list[list[float]]
    labels: list[str]
    empty: list[str]


class Voc(Table):
    """Images with boxes, from a folder or an archive of it.

    The image of ``Annotations/name.xml`` is ``JPEGImages/name.jpg``, or lies beside the XML; images without XML are
    left out. VOC counts pixels from 1 and the last one belongs to the box, so 1 is taken off xmin and ymin. Boxes
    whose corners are one point or on one line have no area: they are left out, and a line names them. Rows come in the
    order of the images (see `zoo.data.archives`), a row's place is the file of XML. Annotations are all held, images
    one at a time.

    Args:
        path: the folder, .zip, or .tar (also .gz, .bz2, .xz).
        columns: for each column of the task, "image" (bytes), "boxes" (lists of y0 x0 y1 x1 in pixels) or "labels".
        part: only the names listed in ``ImageSets/Main/PART.txt``; empty: all.

    Raises: UserError for what is no XML of VOC, for a box outside its image, and for an image that is missing or empty.
    """

    def __init__(self, path: str | Path, columns: Mapping[str, str], part: str = "") -> None:
        self.columns = tuple(columns)
        self._names = {
            column: known_column(name, (IMAGE, BOXES, LABELS), str(path)) for column, name in columns.items()
        }
        self._source = open_files(path)
        with self._source.reading() as read:
            names = _annotations(self._source, read, part)
            images = _images(self._source, names)
            found = {name: parse(read(name), self._source.place(name)) for name in names}
        order = {name: number for number, name in enumerate(self._source.sizes)}
        self._rows = sorted(((images[name], name, found[name]) for name in names), key=lambda row: order[row[0]])
        self.rows = len(names)
        self.files = self._source.sources([name for image, annotation, _ in self._rows for name in (image, annotation)])
        self.layout = layout_of([part, *(image for image, _, _ in self._rows)])
        empty = [f"{self._source.place(name)}: {each}" for name in names for each in found[name].empty]
        if empty:
            say(f"boxes without area are left out: {listed(empty)}")

    def __iter__(self) -> Iterator[Example]:
        with self._source.reading() as read:
            for image, name, annotation in self._rows:
                known: dict[str, list[Any]] = {BOXES: annotation.boxes, LABELS: annotation.labels}
                values = {
                    column: read(image) if wanted == IMAGE else list(known[wanted])
                    for column, wanted in self._names.items()
                }
                yield Example(values, self._source.place(name))


def parse(data: bytes, place: str) -> Annotation:
    """The boxes of a file of XML. UserError, with the place, for what is none, and for a box outside the image."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise UserError(f"not XML ({error})", where=place) from None
    if root.tag != "annotation":
        raise UserError(f"<annotation> is expected, this is <{root.tag}>", where=place)
    sides = [_number(root.findtext(f"size/{side}")) for side in ("width", "height")]
    known = all(math.isfinite(side) and side > 0 for side in sides)  # some programs write no size, or 0
    annotation = Annotation([], [], [])
    for number, thing in enumerate(root.findall("object"), 1):
        label = (thing.findtext("name") or "").strip()
        corners = [_number(thing.findtext(f"bndbox/{corner}")) for corner in CORNERS]
        shown = f"box {number}, {label or 'without a name'}, {' '.join(f'{each:g}' for each in corners)}"
        if not label or not all(map(math.isfinite, corners)):
            raise UserError(f"{shown}: a <name> and a <bndbox> of {', '.join(CORNERS)} are needed", where=place)
        x0, y0, x1, y1 = corners
        if x1 < x0 or y1 < y0:
            raise UserError(f"{shown}: a maximum below its minimum", where=place)
        if x1 == x0 or y1 == y0:
            annotation.empty.append(shown)
            continue
        right, bottom = sides if known else (math.inf, math.inf)
        if min(x0, y0) < 1 - TOLERANCE or x1 > right + TOLERANCE or y1 > bottom + TOLERANCE:
            size = f"{right:g} x {bottom:g} pixels" if known else "unknown size"
            raise UserError(f"{shown}: outside the image of {size}", where=place, remedy="Was the image resized?")
        annotation.boxes.append([max(y0 - 1, 0.0), max(x0 - 1, 0.0), min(y1, bottom), min(x1, right)])
        annotation.labels.append(label)
    return annotation


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _annotations(source: Files, read: Read, part: str) -> list[str]:
    """Names of the files of XML, of a part or all."""
    names = [name for name in source.sizes if name.lower().endswith(".xml")]
    if not names:
        raise UserError("there are no annotations (.xml) in it", where=str(source.path))
    if not part:
        return names
    lists = {posixpath.basename(name).removesuffix(".txt"): name for name in source.sizes if f"{LISTS}/" in f"/{name}"}
    place = source.place(lists[known_column(part, lists, f"{source.path}, {LISTS}")])
    by_stem = {_stem(name): name for name in names}
    chosen: dict[str, None] = {}
    for line, text in enumerate(read(lists[part]).decode("utf-8", "replace").splitlines(), 1):
        if text.strip():
            wanted = text.split()[0]
            if wanted not in by_stem:
                raise UserError(f"there is no annotation of {wanted}", where=f"{place}:{line}")
            chosen[by_stem[wanted]] = None
    if not chosen:
        raise UserError("there is no name in it", where=place)
    return [name for name in names if name in chosen]


def _images(source: Files, annotations: list[str]) -> dict[str, str]:
    """The name of the image of each file of XML."""
    known = {name.rpartition(".")[0]: name for name in source.sizes if name.lower().endswith(ENDINGS)}
    found: dict[str, str] = {}
    for name in annotations:
        folder = posixpath.dirname(name)
        homes = (posixpath.join(posixpath.dirname(folder), IMAGES), folder)
        images = [known[path] for home in homes if (path := posixpath.join(home, _stem(name))) in known]
        if not images:
            raise UserError(f"its image is neither in {IMAGES} nor beside it", where=source.place(name))
        if not source.sizes[images[0]]:
            raise UserError("the file is empty", where=source.place(images[0]))
        found[name] = images[0]
    return found


def _stem(name: str) -> str:
    return posixpath.basename(name).rpartition(".")[0]
