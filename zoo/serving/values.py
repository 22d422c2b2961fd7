"""Values that a user hands to a client, brought into the form that goes to a server: text, bytes, numbers, in lists.

Files are read, and images and sounds looked at: a server answers one that it cannot decode with an error for the whole
request, here it is named.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from zoo.errors import UserError

_IMAGES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF", b"BM": "BMP"}
_UNKNOWN_SIZE = (0, 0xFFFFFFFF)  # what a sound has that was written while it was heard


def plain(value: Any, name: str) -> Any:
    """A value without files and foreign types: str, bytes, numbers and lists of them; arrays of numbers as they are.

    Args:
        value: texts as str, images and sounds as bytes or as the Path of a file, numbers, arrays, sequences of these.
        name: the input that it is for. Where that ends in `image_bytes` or `audio_bytes` the bytes are looked at.
    Raises: UserError where a file cannot be read or what is in it is broken.
    """
    if isinstance(value, Path):
        try:
            return _looked_at(value.read_bytes(), name, str(value))
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}.", where=str(value)) from error
    if hasattr(value, "tolist"):
        if value.dtype.kind not in "OSUT":
            return value
        value = value.tolist()
    if isinstance(value, bytes | bytearray | memoryview):
        return _looked_at(bytes(value), name, name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each, name) for each in value]
    return value


def _looked_at(value: bytes, name: str, where: str) -> bytes:
    if name.endswith("image_bytes"):
        _check_image(value, where)
    elif name.endswith("audio_bytes") and value[:4] == b"RIFF" and value[8:12] == b"WAVE":
        _check_wav(value, where)
    return value


def _check_image(value: bytes, where: str) -> None:
    """Refuses an image of a kind that servers decode, but which cannot be decoded. Other kinds are their business."""
    kind = next((kind for magic, kind in _IMAGES.items() if value.startswith(magic)), "")
    if not kind:
        return
    try:
        from PIL import Image
    except ImportError:  # a client on a small machine
        return
    try:
        with Image.open(BytesIO(value)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken files
        raise UserError(f"this {kind} image is broken: {error}.", where=where) from error


def _check_wav(value: bytes, where: str) -> None:
    """Refuses a WAV file without sound, or that ends before its sound does."""
    place = 12
    while place + 8 <= len(value):
        size = int.from_bytes(value[place + 4 : place + 8], "little")
        if value[place : place + 4] == b"data":
            if place + 8 + size > len(value) and size not in _UNKNOWN_SIZE:
                have = len(value) - place - 8
                raise UserError(f"this WAV file is cut off: {have} of {size} bytes of sound.", where=where)
            return
        place += 8 + size + size % 2
    raise UserError("this WAV file holds no sound.", where=where)
