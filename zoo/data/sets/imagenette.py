"""A part of Imagenette: ten classes of ImageNet that are easily told apart, photographs of 128 x 128.

Howard: Imagenette (2019), https://github.com/fastai/imagenette. Scores on this part are no published scores: of 9,469
training images it has 1,500. Choices are made on "select", every 20th of these (they are sorted by class, so each has
7 or 8 in it); "val" is what is reported.
"""

from collections.abc import Mapping
from pathlib import Path

from zoo.data.images import ClassFolders
from zoo.data.registry import About
from zoo.data.sets.files import PublicFile, obtain
from zoo.data.sets.tables import EveryNth
from zoo.data.tables import Table

SHA256 = {  # of the archives, uncompressed
    "train": "ec7f6baa992e682e247e012f1df7ab4f13c8a0809891063429e2a798207ec739",
    "val": "a7392242bc738c0e6d609a2a8c611f570a02dd5acc718f79c4536ff6e36a7091",
}
NAMES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
NTH = 20  # of the training images is for choices


class Imagenette:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="ImageNet's terms of use: research, non-commercial",
        home="https://github.com/fastai/imagenette",
        description="A part of Imagenette: photographs of 128 x 128 in ten classes, 1,500 for training and 400 of val.",
    )
    splits = ("train", "select", "train_all", "val")
    columns = ("image", "label")

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split: the bytes of a JPEG, colour or grey, and the name of its class in English."""
        part = "val" if split == "val" else "train"
        # The archives were cut for us, so they have no public home.
        path = obtain(PublicFile(f"imagenette_{part}.tar.gz", "", SHA256[part]), "vision/imagenette", self.about)
        whole = ClassFolders(path, columns, NAMES)
        return EveryNth(whole, NTH, held=split == "select") if split in ("train", "select") else whole

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the labels themselves."""
        return None


SET = Imagenette()
