"""Image files of every kind, for tests of both faces."""

import io
import struct
import tarfile
import zlib
from collections.abc import Iterator

import numpy as np
import PIL.Image

from tests.conftest import data


def saved(image: PIL.Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(height: int = 37, width: int = 53, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth picture with hard corners, uint8 [Y, X, C]: nothing of it is the same when it is turned."""
    y, x = np.mgrid[:height, :width]
    parts = [127 + 120 * np.sin(0.1 * (seed + 1 + part) * x + 0.07 * (part + 2) * y) for part in range(channels)]
    image = np.stack(parts, axis=-1).astype(np.uint8)
    image[: height // 3, : width // 4] = 255
    image[height // 2 :, width // 2 : width // 2 + 3] = 0
    return image


def colour(height: int = 37, width: int = 53) -> PIL.Image.Image:
    return PIL.Image.fromarray(picture(height, width))


def with_orientation(number: int, order: str = "<") -> bytes:
    """A JPEG whose EXIF data says how it is to be turned, in either byte order."""
    entries = [struct.pack(order + "HHIHH", 0x010F, 3, 1, 7, 0), struct.pack(order + "HHIHH", 0x0112, 3, 1, number, 0)]
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    exif = b"Exif\0\0" + head + struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0" * 4
    return saved(colour(), "JPEG", quality=90, exif=exif)


def gif_of_a_part() -> bytes:
    """An animation whose first frame is smaller than its screen; 37 of its 53 columns, moved by 5."""
    first, second = colour(30, 37).quantize(32), colour(30, 37).quantize(16)
    file = bytearray(saved(first, "GIF", save_all=True, append_images=[second], duration=50, loop=0))
    file[6:10] = struct.pack("<HH", 60, 50)
    at = file.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 37, 30))
    file[at + 1 : at + 5] = struct.pack("<HH", 5, 4)
    return bytes(file)


def files() -> dict[str, bytes]:
    """A file of each kind that is read."""
    image, grey = colour(), PIL.Image.fromarray(picture(channels=1)[..., 0])
    alpha = PIL.Image.fromarray(picture(channels=4, seed=3))
    deep = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 65536, (37, 53)).astype(np.uint16))
    few = image.quantize(20)
    made = {
        "jpeg": saved(image, "JPEG", quality=85),
        "jpeg, whole colour": saved(image, "JPEG", quality=95, subsampling=0),
        "jpeg, progressive": saved(image, "JPEG", progressive=True, optimize=True),
        "jpeg, grey": saved(grey, "JPEG"),
        "jpeg, cmyk": saved(image.convert("CMYK"), "JPEG"),
        "jpeg, something behind it": saved(image, "JPEG") + b"more",
        "jpeg, 1 x 1": saved(colour(1, 1), "JPEG"),
        "png": saved(image, "PNG"),
        "png, grey": saved(grey, "PNG"),
        "png, 1 bit": saved(grey.convert("1"), "PNG"),
        "png, 2 bits": saved(few.quantize(4), "PNG", bits=2),
        "png, palette": saved(few, "PNG"),
        "png, alpha": saved(alpha, "PNG"),
        "png, grey and alpha": saved(alpha.convert("LA"), "PNG"),
        "png, palette and alpha": saved(few, "PNG", transparency=bytes(range(0, 200, 10))),
        "png, a transparent colour": saved(image, "PNG", transparency=(255, 255, 255)),
        "png, a transparent grey": saved(grey, "PNG", transparency=255),
        "png, 16 bits": saved(deep, "PNG"),
        "png, 1 x 1": saved(colour(1, 1), "PNG"),
        "png, high": saved(colour(3000, 2), "PNG"),
        "png, wide": saved(colour(1, 4001), "PNG"),
        "bmp": saved(image, "BMP"),
        "bmp, something behind it": saved(image, "BMP") + b"\0\0",
        "bmp, grey": saved(grey, "BMP"),
        "bmp, palette": saved(few, "BMP"),
        "bmp, 32 bits": saved(alpha, "BMP"),
        "gif": saved(few, "GIF"),
        "gif, grey": saved(grey, "GIF"),
        "gif, transparent": saved(few, "GIF", transparency=3),
        "gif, interlaced": saved(few, "GIF", interlace=1),
        "gif, a part of its screen": gif_of_a_part(),
    }
    for number in range(10):
        made[f"jpeg, orientation {number}"] = with_orientation(number, "<>"[number % 2])
    return made


def huge_png() -> bytes:
    """A header that says 20,000 x 20,000 pixels, and little behind it."""
    file = bytearray(saved(colour(), "PNG"))
    file[16:24] = struct.pack(">II", 20_000, 20_000)
    file[29:33] = struct.pack(">I", zlib.crc32(file[12:29]))
    return bytes(file)


def bad_files() -> dict[str, bytes]:
    """Files that both faces refuse by their headers, blocks or ends."""
    good = files()
    cut = {f"{kind}, cut": good[kind][:-20] for kind in ("jpeg", "png", "bmp", "gif")}
    empty = {f"{kind}, its first bytes": good[kind][:12] for kind in ("jpeg", "png", "bmp", "gif")}
    few_bits = saved(colour().convert("1"), "BMP")
    return {
        **cut,
        **empty,
        "nothing": b"",
        "text": b"This is a text file that someone named cat.jpg.",
        "huge": huge_png(),
        "bmp of 1 bit": few_bits,
        "tiff": saved(colour(), "TIFF"),
    }


def real_files(part: str, every: int) -> Iterator[tuple[str, bytes]]:
    """Every so many of the JPEGs of a part of Imagenette."""
    with tarfile.open(data(f"vision/imagenette/imagenette_{part}.tar.gz")) as archive:
        names = sorted(each.name for each in archive if each.name.endswith(".jpg"))
        for name in names[::every]:
            yield name, archive.extractfile(name).read()
