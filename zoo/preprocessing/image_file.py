"""Image files to upright RGB, by Pillow; `zoo.preprocessing.image` says what happens to an image."""

from __future__ import annotations

import io
import struct

import numpy as np
import PIL.Image
import PIL.ImageFile

from zoo.errors import UserError

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
# libjpeg's own limit, and below that of libpng, so that no decoder of the graph finds an image too long by itself.
LONGEST_SIDE = 65_500
BMP_BITS = (8, 24, 32)
PNG_END = b"IEND\xaeB`\x82"
# What makes an image upright, by the number of its EXIF orientation.
TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
REMEDY = "Give a whole JPEG, PNG, BMP or GIF file, or take it out."


def read(data: bytes, most_pixels: int) -> PIL.Image.Image:
    """The image of a file in RGB, upright, on white where it is transparent.

    Args:
        data: the bytes of a JPEG, PNG, BMP or GIF file.
        most_pixels: an image of more is refused before anything is decoded.

    Raises: UserError, without a place, for what is no such file, is damaged or cut off, or has too many pixels.
    """
    smaller = f"At most {most_pixels:,} pixels in all and {LONGEST_SIDE:,} a side are read: scale it down."
    try:
        with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > most_pixels or max(width, height) > LONGEST_SIDE:
                raise UserError(f"the image is {width:,} pixels wide and {height:,} high", remedy=smaller)
            _check_whole(image, data)
            area, turn = image.tile[0].extents, _turn(image)
            opaque = _opaque(image, data).crop(area)  # the first frame of a GIF may be less than all of it
            return opaque.transpose(turn) if turn is not None else opaque
    except UserError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise UserError("the image has too many pixels to be read", remedy=smaller) from error
    except PIL.UnidentifiedImageError as error:
        problem = "the file is empty" if not data else "neither a JPEG nor a PNG, BMP or GIF that can be read"
        raise UserError(problem, remedy=REMEDY) from error
    except Exception as error:  # Pillow's readers meet damage with nearly any exception
        raise UserError(f"the image is damaged or cut off ({error})", remedy=REMEDY) from error


def _check_whole(image: PIL.ImageFile.ImageFile, data: bytes) -> None:
    """Refuses what Pillow would take and the decoders of TensorFlow would not, so that both faces say the same."""
    if image.format == "PNG" and PNG_END not in data:
        raise UserError("the PNG is cut off", remedy=REMEDY)
    if image.format in ("JPEG", "MPO") and b"\xff\xd9" not in data[image.fp.tell() :]:
        raise UserError("the JPEG is cut off", remedy=REMEDY)
    if image.format == "BMP":
        header, _, _, _, bits, compression = struct.unpack_from("<IiiHHI", data, 14)
        if header < 40 or bits not in BMP_BITS or compression:
            raise UserError(f"a BMP of {bits} bits a pixel, compressed or of an odd kind", remedy="Save it as PNG.")


def _opaque(image: PIL.Image.Image, data: bytes) -> PIL.Image.Image:
    """The image in RGB, on white where it is transparent."""
    if image.mode.startswith("I"):  # 16 bits of grey; Pillow would cut them at 255
        image = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.format == "PNG" and data[24] == 16:
        image.info.pop("transparency", None)  # a colour of 16 bits, and the pixels have 8 by now
    if not image.has_transparency_data:
        return image.convert("RGB")
    pixels = np.array(image.convert("RGBA"))
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = (pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return PIL.Image.fromarray(mixed.astype(np.uint8))


def _turn(image: PIL.Image.Image) -> PIL.Image.Transpose | None:
    """What makes a JPEG upright; None for nothing."""
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0") if image.format in ("JPEG", "MPO") else b""
    return TURNS.get(_orientation(exif))


def _orientation(exif: bytes) -> int:
    """The orientation of EXIF data, 1 to 8, or 0 where there is none.

    Pillow's own would look into XMP too, which costs a graph a search through all of the file.
    """
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, first)
        for place in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, place)
            if (tag, kind) == (0x0112, 3):
                return value
    except struct.error:  # cut off
        pass
    return 0
