"""Files of public data sets: where they are, and how they come here."""

import hashlib
import http.client
import os
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from zoo.data.registry import About
from zoo.data.textfiles import chunks
from zoo.errors import UserError
from zoo.progress import track

SECONDS_TO_CONNECT = 30.0
CHUNK = 1 << 16


@dataclass(frozen=True)
class PublicFile:
    """A file of a data set.

    Attributes:
        name: its place below the folder of its set, in ZOO_DATA and in the cache, as its home names it. Under
            ZOO_DATA it may also be compressed, with .gz after this name.
        url: its public home; empty where these very bytes have none, since the set was cut or joined for us: such a
            file is only read from ZOO_DATA.
        sha256: of the uncompressed bytes, in hexadecimal, so that it holds however the file is compressed.
        packed: the hash is of the file as it lies there, compressed, since that is the one that was published.
    """

    name: str
    url: str
    sha256: str
    packed: bool = False


def obtain(file: PublicFile, folder: str, about: About) -> Path:
    """Find a file under ZOO_DATA or in the cache, or download it into the cache; checked by SHA-256 in each case.

    Args:
        file: the file wanted.
        folder: the folder of its set below ZOO_DATA and the cache, such as ``text/multi30k``.
        about: the set, for the error that says how to come by the file.

    UserError where the file cannot be had, or is not what it should be.
    """
    given = Path(os.environ.get("ZOO_DATA") or "../shared/data") / folder
    cached = Path(os.environ.get("ZOO_CACHE") or Path.home() / ".cache" / "zoo").expanduser() / folder / file.name
    for path in (given / file.name, given / f"{file.name}.gz", cached):
        if path.is_file():
            _verify(path, file)
            return path
    _download(file, cached, given, about)
    return cached


@cache
def _sha256(path: Path, size: int, changed: int, packed: bool) -> str:
    """Hash of a file's bytes, uncompressed unless `packed`; size and time of change make the cached answer that of this
    content."""
    if packed:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _verify(path: Path, file: PublicFile) -> None:
    stat = path.stat()
    found = _sha256(path, stat.st_size, stat.st_mtime_ns, file.packed)
    if found != file.sha256:
        raise UserError(
            f"this is not the file it should be: its SHA-256 is {found}, not {file.sha256}",
            where=str(path),
            remedy=f"Remove it and fetch it anew from {file.url}" if file.url else "Put the right one in its place.",
        )


def _download(file: PublicFile, target: Path, given: Path, about: About) -> None:
    home = f"Home: {about.home}. Licence: {about.licence}"
    remedy = f"Put it at {given / file.name} (ZOO_DATA says where data sets are). {home}"
    if not file.url:
        raise UserError(
            f"not found under {given}, and in this form it has no public home", where=file.name, remedy=remedy
        )
    # The process number keeps two downloads apart; the suffix stays last, as it tells the compression.
    partial = target.with_name(f"partial-{os.getpid()}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(file.url, timeout=SECONDS_TO_CONNECT) as answer, partial.open("wb") as out:
            size = answer.headers.get("Content-Length")
            _copy(answer, out, f"downloading {target.name}", int(size) if size else None)
        _verify(partial, file)
        partial.replace(target)
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"not found under {given} and not to be had from {file.url} ({reason})",
            where=target.name,
            remedy=remedy,
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: IO[bytes], target: IO[bytes], description: str, size: int | None) -> None:
    with track(description, total=size, unit="bytes") as progress:
        while chunk := source.read(CHUNK):
            target.write(chunk)
            progress.advance(len(chunk))
