"""Text files as they come: plain, gzip, bzip2 or xz; UTF-8 with or without a byte order mark; \\n or \\r\\n.

Files are read as bytes and decoded line by line, so that a wrong byte is reported with its line, and only ``\\n`` ends
a line: ``str.splitlines`` and text mode also break at U+2028, form feed and others, which shifts line-aligned files.
"""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from zoo.errors import UserError

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BROKEN_ARCHIVE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
CHUNK = 1 << 20  # bytes read at once when a file is only looked through
SAVE_AS_UTF8 = "Save the file as UTF-8, for example: iconv -f LATIN1 -t UTF-8 old > new"


def format_of(path: str | Path) -> str:
    """The suffix that tells the format, without the compression: ``.tsv`` for ``a.tsv.gz``; lower case."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in OPENERS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def open_bytes(path: str | Path) -> IO[bytes]:
    """Open a file for reading its uncompressed bytes. UserError if it is missing, a folder, or not readable."""
    path = Path(path)
    if path.is_dir():
        raise UserError("this is a folder, a file is needed", where=str(path))
    try:
        return OPENERS.get(path.suffix.lower(), open)(path, "rb")
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), remedy="Check the path and its spelling.") from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(path)) from error


def chunks(path: str | Path) -> Iterator[bytes]:
    """The uncompressed bytes of a file, piece by piece. UserError where an archive is cut off or damaged."""
    with open_bytes(path) as file:
        while chunk := _guarded(file.read, path, CHUNK):
            yield chunk


def survey(path: str | Path) -> int:
    """Number of lines of a text file, after one look through it that finds what would stop a long work later.

    A last line without newline counts. UserError for an empty file and for bytes that are not UTF-8, with the line.
    """
    lines, last = 0, b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks(path):
            decoder.decode(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        deque(read_lines(path), maxlen=0)  # raises at the line
    if not last:
        raise UserError("the file is empty", where=str(path))
    return lines + (last != b"\n")


def read_lines(path: str | Path) -> Iterator[str]:
    """The lines of a text file without their ends, one after the other. UserError at bytes that are not UTF-8."""
    with open_bytes(path) as file:
        number = 0
        while raw := _guarded(file.readline, path):
            number += 1
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _not_utf8(path, number, raw, error) from None
            yield line.removesuffix("\n").removesuffix("\r")


def _guarded(read: Callable[..., bytes], path: str | Path, *arguments: int) -> bytes:
    """One read from a file that may be a damaged archive."""
    try:
        return read(*arguments)
    except BROKEN_ARCHIVE as error:
        raise UserError(
            f"the compressed file is damaged or cut off ({error})", where=str(path), remedy="Fetch or compress it anew."
        ) from error
    except OSError as error:  # a wrong bzip2 header among them
        raise UserError(f"cannot be read ({error})", where=str(path)) from error


def _not_utf8(path: str | Path, number: int, raw: bytes, error: UnicodeDecodeError) -> UserError:
    if number == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return UserError(
            "this is UTF-16, not UTF-8",
            where=str(path),
            remedy="Save the file as UTF-8, for example: iconv -f UTF-16 -t UTF-8 old > new",
        )
    problem = f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1} of the line"
    return UserError(problem, where=f"{path}:{number}", remedy=SAVE_AS_UTF8)
