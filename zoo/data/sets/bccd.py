"""BCCD: blood cells under the microscope, with a box around each of three kinds; 640 x 480.

https://github.com/Shenggan/BCCD_Dataset. Choices are made on "select", every 5th training image; the test split is not
here, so "val" is what is reported. Many red cells, above all overlapping ones, carry no box: their precision is
understated. Two boxes have no area and are left out.
"""

from collections.abc import Mapping
from pathlib import Path

from zoo.data.registry import About
from zoo.data.sets.files import PublicFile, obtain
from zoo.data.sets.tables import EveryNth
from zoo.data.tables import Table
from zoo.data.voc import BOXES, IMAGE, LABELS, Voc

# Cut for us, so that it has no public home; of the uncompressed archive.
ARCHIVE = PublicFile("bccd_trainval.tar.gz", "", "b7e9117a48aced616f7cb4b8c9183dafc3673f3b9af5ad56b9d0178d47e3f8c0")
NTH = 5  # of the training images is for choices


class Bccd:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="MIT, (c) Shenggan",
        home="https://github.com/Shenggan/BCCD_Dataset",
        description="Blood cells, 640 x 480: boxes of RBC, WBC and Platelets; 205 images for training and 87 of val.",
    )
    splits = ("train", "select", "train_all", "val")
    columns = (IMAGE, BOXES, LABELS)

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split: the bytes of a JPEG, boxes y0 x0 y1 x1 in pixels, and their kinds."""
        path = obtain(ARCHIVE, "vision/bccd", self.about)
        whole = Voc(path, columns, "val" if split == "val" else "train")
        return EveryNth(whole, NTH, held=split == "select") if split in ("train", "select") else whole

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the boxes themselves."""
        return None


SET = Bccd()
