"""Image files to arrays of one size: the host face, with Pillow.

The twin that runs inside an exported graph is `zoo.preprocessing.image_graph`; tests hold the two equal.

What happens to an image, on both faces and in this order. JPEG, PNG, BMP (8, 24 and 32 bits a pixel, not compressed)
and the first frame of a GIF are read, others refused; so is a file whose header says that it has too many pixels. A
JPEG is turned as its EXIF orientation says; other formats have none that programs agree on. 16 bits become the upper 8.
What is transparent lies on white, as on a page; CMYK becomes RGB; grey is the luma of ITU-R 601. Then a part of the
image is resized into the frame by Pillow's antialiased filters, and the frame is normalised. Colour profiles and gamma
are not looked at.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import PIL.Image

from zoo.errors import UserError
from zoo.preprocessing.image_file import read
from zoo.recipe import option

if TYPE_CHECKING:
    from zoo.preprocessing.image_graph import GraphImage

FILE = "image.json"
FORMAT = 1
FILTERS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class ImageChoices:
    """What an image file becomes: the `[preprocessing]` section of an image recipe.

    Raises: UserError for a mean or deviation that does not fit the channels, or a crop share that nothing would read.
    """

    height: int = option(224, "rows of pixels that the model sees", low=1, high=4096)
    width: int = option(224, "columns of pixels that the model sees", low=1, high=4096)
    channels: int = option(3, "3: colour; 1: grey", choices=(1, 3))
    fit: str = option(
        "crop",
        "how an image of another shape is made to fit; crop: its middle, in its own shape; stretch: all of it, in the "
        "model's shape; pad: all of it, in its own shape, the mean colour below and to the right",
        choices=("crop", "stretch", "pad"),
    )
    crop_share: float = option(
        1.0,
        "share of the (cropped or stretched) image's sides that is kept, from its middle: 0.875 resizes to 256 and "
        "keeps 224",
        low=0.1, high=1.0,
    )  # fmt: skip
    interpolation: str = option("bilinear", "how pixels are resized", choices=FILTERS)
    mean: tuple[float, ...] = option(
        (0.5,), "of each channel, from 0 to 1: taken off; one for all will do", low=0, high=1
    )
    deviation: tuple[float, ...] = option(
        (0.5,), "of each channel: divided by; one for all will do", low=1e-3, high=100
    )
    most_pixels: int = option(
        50_000_000, "an image of more is refused before it is decoded", low=1, high=80_000_000
    )  # Pillow itself warns beyond 89 million

    def __post_init__(self) -> None:
        for name in ("mean", "deviation"):
            if len(numbers := getattr(self, name)) not in (1, self.channels):
                raise UserError(
                    f"{len(numbers)} numbers for {self.channels} channels",
                    where=name,
                    remedy="Give one number a channel, or one for all.",
                )
        if self.fit == "pad" and self.crop_share != 1:
            raise UserError(
                "padding keeps the whole image", where="crop_share", remedy='Leave it out, or set fit = "crop".'
            )


class Geometry(NamedTuple):
    """Where the frame lies in the image that it was made of.

    A pixel of the frame at (y, x) covers (top + y * y_scale, left + x * x_scale) of the image, in continuous
    coordinates: the middle of the first pixel is 0.5.
    """

    height: int  # of the image, upright, in pixels
    width: int
    top: float
    left: float
    y_scale: float  # pixels of the image for one of the frame
    x_scale: float

    def to_original(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes float32 [N, 4] (y0 x0 y1 x1) in pixels of the frame, in pixels of the image and cut at its border."""
        scale, first = self._scale_and_first()
        sides = np.array([self.height, self.width] * 2, np.float32)
        return np.clip(boxes * scale + first, 0, sides).astype(np.float32)

    def to_frame(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes float32 [N, 4] (y0 x0 y1 x1) in pixels of the image, in pixels of the frame; they may leave it."""
        scale, first = self._scale_and_first()
        return ((boxes - first) / scale).astype(np.float32)

    def _scale_and_first(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([self.y_scale, self.x_scale] * 2), np.array([self.top, self.left] * 2)


class Image:
    """Image files to frames of one size, without TensorFlow. Nothing is learned.

    Args:
        choices: size, fit and normalisation. Frames have H = `choices.height`, W = `choices.width` and C =
            `choices.channels`.
    """

    def __init__(self, choices: ImageChoices) -> None:
        self.choices = choices

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that decides the pixels of a frame; data prepared with another one must not be used."""
        return hashlib.sha256(json.dumps([FORMAT, asdict(self.choices)]).encode()).hexdigest()[:16]

    def read(self, data: bytes) -> np.ndarray:
        """The pixels of an image file, upright, uint8 [Y, X, C].

        Args:
            data: the bytes of a JPEG, PNG, BMP or GIF file.

        Raises: UserError, without a place, for what is no such file, is damaged or cut off, or has too many pixels;
            the last before anything is decoded.
        """
        image = read(data, self.choices.most_pixels)
        return np.array(image.convert("L"))[..., None] if self.choices.channels == 1 else np.array(image)

    def frame(self, image: np.ndarray) -> tuple[np.ndarray, Geometry]:
        """An image uint8 [Y, X, C] made to fit: uint8 [H, W, C], and the way back."""
        height, width = image.shape[:2]
        geometry, (rows, columns) = place(self.choices, height, width)
        placed = resized(image, geometry, rows, columns, self.choices.interpolation)
        missing = ((0, self.choices.height - rows), (0, self.choices.width - columns))
        if missing == ((0, 0), (0, 0)):
            return placed, geometry
        canvas = np.empty((self.choices.height, self.choices.width, self.choices.channels), np.uint8)
        canvas[:] = padding(self.choices)
        canvas[:rows, :columns] = placed
        return canvas, geometry

    def frame_mask(self, mask: np.ndarray, outside: int) -> np.ndarray:
        """The mask uint8 [Y, X] of an image in its frame, uint8 [H, W]: the nearest pixels; `outside` is padding."""
        geometry, (rows, columns) = place(self.choices, *mask.shape)
        canvas = np.full((self.choices.height, self.choices.width), outside, np.uint8)
        canvas[:rows, :columns] = resized(mask, geometry, rows, columns, "nearest")
        return canvas

    def encode(self, data: bytes) -> tuple[np.ndarray, Geometry]:
        """The frame of an image file, uint8 [H, W, C], and the way back; raises as `read` does."""
        return self.frame(self.read(data))

    def normalise(self, pixels: np.ndarray) -> np.ndarray:
        """What a model gets of pixels uint8 [..., C]: float32, less the mean and divided by the deviation."""
        mean, deviation = (np.asarray(each, np.float32) for each in (self.choices.mean, self.choices.deviation))
        return (pixels / np.float32(255) - mean) / deviation

    def save(self, folder: Path | str) -> None:
        """Writes `image.json` into the folder, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, **asdict(self.choices)}
        (folder / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Image:
        """Reads what `save` wrote.

        Raises: UserError where the file is missing, no such file, or of a newer format.
        """
        path = Path(folder) / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            newer = content.pop("format") > FORMAT
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"cannot be read as the choices of images ({error})", where=str(path)) from error
        if newer:
            raise UserError("made by a newer zoo", where=str(path), remedy="Install that version.")
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in content.items()}
        return cls(ImageChoices(**fields))

    def graph(self) -> GraphImage:
        """Returns the graph face; needs TensorFlow."""
        from zoo.preprocessing.image_graph import GraphImage

        return GraphImage(self.choices)


def place(choices: ImageChoices, height: int, width: int) -> tuple[Geometry, tuple[int, int]]:
    """Where the frame of an image lies in it, and the rows and columns of the frame that it fills, from the top left.

    Sizes are cut to whole pixels as transformers and torchvision cut them.
    """
    rows, columns = choices.height, choices.width
    if choices.fit == "pad":
        if height * columns >= width * rows:
            columns = max(1, (2 * width * rows + height) // (2 * height))
        else:
            rows = max(1, (2 * height * columns + width) // (2 * width))
        return Geometry(height, width, 0.0, 0.0, height / rows, width / columns), (rows, columns)
    whole_rows, whole_columns = larger(choices)
    if choices.fit == "crop":  # the smallest size of the image's own shape that covers this one
        if height * whole_columns <= width * whole_rows:
            whole_columns = whole_rows * width // height
        else:
            whole_rows = whole_columns * height // width
    y_scale, x_scale = height / whole_rows, width / whole_columns
    top, left = (whole_rows - rows) // 2 * y_scale, (whole_columns - columns) // 2 * x_scale
    return Geometry(height, width, top, left, y_scale, x_scale), (rows, columns)


def larger(choices: ImageChoices) -> tuple[int, int]:
    """Rows and columns of the image whose middle the frame is: 256 for 224 and a share of 0.875."""
    return int(choices.height / choices.crop_share + 1e-6), int(choices.width / choices.crop_share + 1e-6)


def padding(choices: ImageChoices) -> np.ndarray:
    """The colour nearest the mean, uint8 [C], which becomes nearly 0."""
    return np.broadcast_to(np.rint(255 * np.array(choices.mean)), choices.channels).astype(np.uint8)


def resized(pixels: np.ndarray, geometry: Geometry, rows: int, columns: int, filter: str) -> np.ndarray:
    """The part of an image uint8 [Y, X, C] or a mask uint8 [Y, X] that fills so many rows and columns of a frame.

    First the columns, then the rows, as Pillow itself does up to version 12; later ones begin with either.

    Args:
        filter: "bilinear", "bicubic" or, for masks, "nearest".
    """
    height, width = pixels.shape[:2]
    bottom = min(geometry.top + rows * geometry.y_scale, height)
    right = min(geometry.left + columns * geometry.x_scale, width)
    across, down = (geometry.left, 0, right, height), (0, geometry.top, columns, bottom)
    if (height, width) == (rows, columns) and across == down == (0, 0, width, height):
        return pixels
    method = PIL.Image.Resampling[filter.upper()]
    image = to_pillow(pixels).resize((columns, height), method, box=across).resize((columns, rows), method, box=down)
    return np.array(image).reshape(rows, columns, *pixels.shape[2:])


def to_pillow(pixels: np.ndarray) -> PIL.Image.Image:
    """Pillow's image of pixels uint8 [Y, X] or [Y, X, C]."""
    return PIL.Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
