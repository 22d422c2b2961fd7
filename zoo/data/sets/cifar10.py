"""A part of CIFAR-10: ten classes of things and animals, 32 x 32 in colour.

Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009). Scores on this part are no published scores:
of 50,000 training images it has 20,000, and of 10,000 test images 4,000. Rows are in random order; choices are made on
"select", the last 5 % of the training images; "test" is what is reported.
"""

import lzma
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.images import IMAGE, LABEL, encode_png
from zoo.data.registry import About
from zoo.data.sets.files import PublicFile, obtain
from zoo.data.sets.tables import carved_rows
from zoo.data.tables import Example, Table

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32  # pixels
SHA256 = {  # of the files as they are; they were packed for us, so they have no public home
    "train_images.u8diff.xz": "f16efc7a89afadf5e87f824d31ab1a3d882f332a35952db9ad06b5cf2eb005ed",
    "train_labels.npy": "68e21daccd07b79dc16afa7337e2a229e5559e0b66a4b61a82e415131935e6fe",
    "test_images.u8diff.xz": "7c685ff721b60ca38a87c36b8867930e2c147e298b9de7ca0e9a3f7a8a3bb501",
    "test_labels.npy": "7a9295b23fdf82e7da7d554d7787ed7c3cf253b8e47dbb6ab00cfd7b07dca80a",
}
BOUNDS = carved_rows(train=20_000, test=4_000)


class DifferencesTable(Table):
    """Some rows of a pair of files: images as PNG bytes and names of labels. A row's place is ``images:row``, from 1.

    The file of images is xz over three planes (R - G, G, B - G) of all images, uint8 [3, N, 32, 32], each image as the
    differences to its left and upper neighbours, modulo 256. It is one piece, so it is held while it is read (61 MB).

    Args:
        images, labels: the files; labels are an array of NumPy, uint8 [N].
        columns: for each column of the task, "image" or "label".
        first, end: the rows to give, from 0.
    """

    def __init__(self, images: Path, labels: Path, columns: Mapping[str, str], first: int, end: int) -> None:
        self.columns, self.files, self.rows = tuple(columns), (images, labels), end - first
        self._names, self._first, self._end = dict(columns), first, end

    def __iter__(self) -> Iterator[Example]:
        labels, planes = np.load(self.files[1]), None
        if IMAGE in self._names.values():
            with lzma.open(self.files[0]) as file:
                planes = np.frombuffer(file.read(), np.uint8).reshape(3, len(labels), SIDE, SIDE)
        for row in range(self._first, self._end):
            found: dict[str, Any] = {}
            for column, name in self._names.items():
                found[column] = LABELS[labels[row]] if name == LABEL else encode_png(undone(planes[:, row]))
            yield Example(found, f"{self.files[0]}:{row + 1}")


def undone(differences: np.ndarray) -> np.ndarray:
    """The image of which these, uint8 [3, Y, X], are the differences: uint8 [Y, X, 3], RGB."""
    red, green, blue = np.cumsum(np.cumsum(differences, axis=1, dtype=np.uint8), axis=2, dtype=np.uint8)
    return np.stack([red + green, green, blue + green], axis=-1)


class Cifar10:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="None is stated; collected from the web at the University of Toronto",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        description="A part of CIFAR-10, 32 x 32 in colour, ten classes: 20,000 images for training, 4,000 of test.",
    )
    splits = tuple(BOUNDS)
    columns = (IMAGE, LABEL)

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split: PNG bytes, and the label's name."""
        part = "test" if split == "test" else "train"
        images, labels = (
            obtain(PublicFile(name, "", SHA256[name], packed=True), "vision/cifar10", self.about)
            for name in (f"{part}_images.u8diff.xz", f"{part}_labels.npy")
        )
        return DifferencesTable(images, labels, columns, *BOUNDS[split])

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the labels themselves."""
        return None


SET = Cifar10()
