"""Tables of images: class folders, in a folder or an archive, and the files that a table names.

Their column "image" has the bytes of an encoded image file (JPEG, PNG, BMP or GIF, told by the name's ending). They are
not decoded here: that a file is empty is seen, that it is broken is not. One image is held at a time.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from zoo.data.archives import Files, open_files, read_file
from zoo.data.tables import Example, Table, known_column
from zoo.errors import UserError
from zoo.progress import say

IMAGE, LABEL = "image", "label"
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
LAYOUT = "Images lie in one folder for each class, as in pictures/cat/1.jpg, pictures/dog/1.jpg."
PARTS = {"train", "training", "val", "valid", "validation", "dev", "test"}
NAMED = 5  # of many that are wrong, in an error


def encode_png(pixels: np.ndarray) -> bytes:
    """Pixels, uint8 [Y, X] (grey, or class ids) or [Y, X, 3] (RGB), as the bytes of a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def layout_of(names: list[str]) -> tuple[str, ...]:
    """The names of files as `Table.layout`: moving one to another class changes a row although no file changes."""
    return (hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest(),)


def listed(names: list[str]) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


class ClassFolders(Table):
    """Images whose class is the folder they lie in, ``pictures/LABEL/name.jpg``, from a folder or an archive of it.

    Folders within a class folder belong to the class. A folder that holds one folder of folders and nothing else, as
    archives often do, is passed through. Files that are no images, by their endings, are left out, and a line says
    which; hidden ones silently. Without the column "label", all images are taken, however they lie.

    Rows of a folder come sorted by name, those of an archive in its order (see `zoo.data.archives`). A row's place is
    the path of the file, or ``archive:name``.

    Args:
        path: the folder, .zip, or .tar (also .gz, .bz2, .xz).
        columns: for each column of the task, "image" or "label".
        names: what each class folder means, where its name does not say it.

    Attributes:
        labels: the names of the class folders, sorted; empty without the column "label".
        left_out: how many files are not images, by ending.

    Raises: UserError for an empty image, a class folder without images, no class folders, images beside them,
            and for class folders that are called train, test and the like.
    """

    def __init__(self, path: str | Path, columns: Mapping[str, str], names: Mapping[str, str] | None = None) -> None:
        self.columns, self._meanings = tuple(columns), names
        self._names = {column: known_column(name, (IMAGE, LABEL), str(path)) for column, name in columns.items()}
        self._source = open_files(path)
        self._images, self.left_out = _images(self._source)
        labelled = LABEL in self._names.values()
        self._root = _root(self._source, self._images) if labelled else ""
        self.labels = _classes(self._source, self._images, self._root) if labelled else ()
        self.rows = len(self._images)
        self.files = self._source.sources(self._images)
        self.layout = layout_of(self._images)
        if self.left_out:
            kinds = ", ".join(f"{count:,} {ending or 'without ending'}" for ending, count in self.left_out.items())
            say(f"{path}: files that are no {', '.join(ENDINGS)} are left out ({kinds})")

    def __iter__(self) -> Iterator[Example]:
        with self._source.reading() as read:
            for name in self._images:
                found: dict[str, Any] = {}
                for column, wanted in self._names.items():
                    found[column] = read(name) if wanted == IMAGE else self._label(name)
                yield Example(found, self._source.place(name))

    def _label(self, name: str) -> str:
        folder = name.removeprefix(self._root).split("/", 1)[0]
        return self._meanings[folder] if self._meanings else folder


def _images(source: Files) -> tuple[list[str], Counter[str]]:
    """Names of the images in a place, and how many files are none, by ending."""
    images: list[str] = []
    others: Counter[str] = Counter()
    for name in source.sizes:
        ending = PurePosixPath(name).suffix.lower()
        if ending in ENDINGS:
            images.append(name)
        else:
            others[ending] += 1
    if not images:
        raise UserError(
            "there is no image in it", where=str(source.path), remedy=f"Images end in {', '.join(ENDINGS)}. {LAYOUT}"
        )
    empty = [source.place(name) for name in images if not source.sizes[name]]
    if empty:
        more = f", and so are {listed(empty[1:])}" if empty[1:] else ""
        raise UserError(f"the file is empty{more}", where=empty[0], remedy="Remove it, or fetch it anew.")
    return images, others


def _root(source: Files, images: list[str]) -> str:
    """What the names of all images begin with before the class folder: "" or folders, each with "/" behind."""
    root = ""
    while True:
        inside = [name.removeprefix(root) for name in source.folders if name.startswith(root)]
        top = {name for name in inside if name and "/" not in name}
        direct = [name for name in images if name.startswith(root) and "/" not in name.removeprefix(root)]
        if direct and top:
            raise UserError(
                f"images lie beside class folders: {listed(direct)} beside {listed(sorted(top))}",
                where=str(source.path),
                remedy=LAYOUT,
            )
        if direct:
            raise UserError("there are images, but no class folders", where=str(source.path), remedy=LAYOUT)
        below = f"{root}{min(top)}/"
        holds_images = any(name.startswith(below) and "/" not in name.removeprefix(below) for name in images)
        if len(top) > 1 or holds_images:
            return root
        root = below


def _classes(source: Files, images: list[str], root: str) -> tuple[str, ...]:
    """The names of the class folders, sorted; UserError where one has no image."""
    folders = {name.removeprefix(root).split("/", 1)[0] for name in source.folders if name.startswith(root)} - {""}
    filled = {name.removeprefix(root).split("/", 1)[0] for name in images}
    empty = sorted(folders - filled)
    if empty:
        endings = {PurePosixPath(name).suffix for name in source.sizes if name.startswith(f"{root}{empty[0]}/")}
        holds = f", but files that end in {listed(sorted(endings))}" if endings else ""
        more = f"; so are {listed(empty[1:])}" if empty[1:] else ""
        raise UserError(
            f"a class folder without images{holds}{more}",
            where=source.place(f"{root}{empty[0]}"),
            remedy=f"Remove it, or put images in it, which end in {', '.join(ENDINGS)}.",
        )
    labels = tuple(sorted(filled))
    if {label.lower() for label in labels} <= PARTS:
        raise UserError(
            f"the class folders are called {listed(list(labels))}: they look like the parts of a data set",
            where=str(source.path),
            remedy="Name the folder of each part, as in train = pictures/train and test = pictures/test.",
        )
    return labels


class ImagePaths(Table):
    """A table whose column "image" has paths relative to the folder of the table's file; rows have the files' bytes.

    All rows are looked through at once, without reading the images.

    Args:
        table: with the column "image" of the task.

    Raises: UserError at the row whose image is missing or empty.
    """

    def __init__(self, table: Table) -> None:
        self.columns = table.columns
        self._table, self._folder = table, table.files[0].parent
        self.rows = 0
        named: dict[Path, None] = {}  # in their order
        for values, place in table:
            path = self._path(values, place)
            if not path.is_file():
                raise UserError(
                    f"there is no image {path}",
                    where=place,
                    remedy="Paths of images are relative to the folder of the table. Does the column hold them?",
                )
            if not path.stat().st_size:
                raise UserError(f"the image {path} is empty", where=place)
            named[path] = None
            self.rows += 1
        self.files = (*table.files, *named)

    def __iter__(self) -> Iterator[Example]:
        for values, place in self._table:
            yield Example({**values, IMAGE: read_file(self._path(values, place))}, place)

    def _path(self, values: Mapping[str, Any], place: str) -> Path:
        name = values[IMAGE]
        if not isinstance(name, str) or not name:
            raise UserError(f"the path of an image is needed, this is {name!r:.80}", where=place)
        return self._folder / name
