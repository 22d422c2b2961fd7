"""Fashion-MNIST: clothes in ten classes, 28 x 28 grey.

Xiao, Rasul, Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms (2017). Choices
are made on "select", the last 5 % of the training images; "test" is what is reported.
"""

from collections.abc import Mapping
from pathlib import Path

from zoo.data.idx import Idx
from zoo.data.registry import About
from zoo.data.sets.files import PublicFile, obtain
from zoo.data.sets.tables import carved_rows
from zoo.data.tables import Table

FOLDER = "vision/fashion_mnist"
BASE = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"
LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SHA256 = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
BOUNDS = carved_rows(train=60_000, test=10_000)


class FashionMnist:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="MIT, (c) 2017 Zalando SE",
        home="https://github.com/zalandoresearch/fashion-mnist",
        description="Clothes in ten classes, 28 x 28 grey: 60,000 images for training (6,000 a class), 10,000 of test.",
    )
    splits = tuple(BOUNDS)
    columns = ("image", "label")

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split: PNG bytes, and the label's name."""
        part = "t10k" if split == "test" else "train"
        images, labels = (
            obtain(PublicFile(name, f"{BASE}/{name}", SHA256[name]), FOLDER, self.about)
            for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz")
        )
        return Idx(images, labels, columns, LABELS, *BOUNDS[split])

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the labels themselves."""
        return None


SET = FashionMnist()
