"""Files by name in a folder, a tar or a zip, read one at a time: nothing is unpacked to disk, no two are held at once.

    files = open_files("pictures.tar.gz")
    with files.reading() as read:
        for name in files.sizes:
            look(read(name))

An archive is looked through once when it is opened, which finds what is damaged and where each file begins; then any
may be read, in any order. In a compressed tar (.tar.gz, .tar.bz2, .tar.xz) going forward costs nothing extra, going
back begins anew, so read it in the order of `sizes`.

Hidden files are left out everywhere: names that begin with a dot, and what systems and archivers put beside the user's
files (__MACOSX, Thumbs.db, desktop.ini).
"""

from __future__ import annotations

import lzma
import os
import posixpath
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from zoo.errors import UserError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ENDINGS = (*TARS, ".zip")
LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, OSError)

Read = Callable[[str], bytes]


class Files(ABC):
    """Named files in one place.

    Attributes:
        path: the folder or archive.
        sizes: bytes of each file by its name, with "/" between folders; of a folder sorted by name, of an archive in
            its own order.
        folders: the names of all folders, those without files too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        self.folders: set[str] = set()

    @abstractmethod
    def place(self, name: str) -> str:
        """Where a file is, as errors name it."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Read]:
        """What reads a file by its name. UserError at what cannot be read."""

    def sources(self, names: list[str]) -> tuple[Path, ...]:
        """The files on disk that hold those of these names, for fingerprints."""
        return (self.path,)

    def _add(self, name: str, size: int) -> None:
        self.sizes[name] = size
        self._add_folder(posixpath.dirname(name))

    def _add_folder(self, name: str) -> None:
        while name and name not in self.folders:
            self.folders.add(name)
            name = posixpath.dirname(name)


def is_archive(path: str | Path) -> bool:
    """Is it an archive, by its name?"""
    return Path(path).name.lower().endswith(ENDINGS)


def open_files(path: str | Path) -> Files:
    """The files of a folder, or of a .tar (also .gz, .bz2, .xz) or .zip.

    Raises: UserError where it is missing, damaged, encrypted, or none of these.
    """
    path = Path(path)
    if path.is_dir():
        return Folder(path)
    if not is_archive(path):
        raise UserError("a folder or an archive is needed", where=str(path), remedy=f"Known: {', '.join(ENDINGS)}.")
    if not path.is_file():
        raise UserError("no such file", where=str(path), remedy="Check the path and its spelling.")
    return Zip(path) if path.suffix.lower() == ".zip" else Tar(path)


def read_file(path: Path) -> bytes:
    """A file on disk, whole. UserError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(path)) from error


class Folder(Files):
    """What lies in a folder and the folders in it; links are followed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._look(path, "")

    def _look(self, folder: Path, prefix: str) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", where=str(folder)) from error
        for entry in entries:
            name = prefix + entry.name
            if _hidden(entry.name):
                continue
            if entry.is_file():
                self._add(name, entry.stat().st_size)
            elif not entry.is_dir():
                raise UserError("neither a file nor a folder: a link to nowhere?", where=entry.path)
            elif entry.is_symlink() and folder.resolve().is_relative_to(Path(entry.path).resolve()):
                raise UserError("a link to a folder that it lies in", where=entry.path, remedy="Remove the link.")
            else:
                self._add_folder(name)
                self._look(Path(entry.path), f"{name}/")

    def place(self, name: str) -> str:
        """The path of the file."""
        return str(self.path / name)

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """What reads a file by its name."""
        yield lambda name: read_file(self.path / name)

    def sources(self, names: list[str]) -> tuple[Path, ...]:
        """The very files."""
        return tuple(self.path / name for name in names)


class _Archive(Files):
    def place(self, name: str) -> str:
        """The archive and the name in it."""
        return f"{self.path}:{name}"

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except DAMAGED as error:
            raise UserError(
                f"the archive is damaged or cut off ({error})", where=str(self.path), remedy="Fetch or pack it anew."
            ) from error


class Tar(_Archive):
    """A tar, plain or compressed, whatever its name says of that. A file that is packed twice counts as packed last."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._starts: dict[str, int] = {}  # bytes before the file, in the uncompressed archive
        links: dict[str, str] = {}
        with self._guarded(), tarfile.open(path) as tar:
            while (member := tar.next()) is not None:
                self._take(member, links)
                tar.members.clear()  # type: ignore[attr-defined]  # else it holds a kilobyte a file for nothing
            # tarfile takes a broken header within the archive for its end, which is marked by zeros.
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError(f"no header of a file at byte {tar.offset:,}")
        for name, target in links.items():
            self._link(name, target)

    def _take(self, member: tarfile.TarInfo, links: dict[str, str]) -> None:
        name = _named(member.name)
        if _hidden(name):
            return
        if member.isdir():
            self._add_folder(name)
        elif member.islnk():  # the same file under a second name
            links[name] = _named(member.linkname)
        elif member.issym():
            links[name] = _named(posixpath.join(posixpath.dirname(name), member.linkname))
        elif member.isreg() and not member.issparse():
            self._add(name, member.size)
            self._starts[name] = member.offset_data

    def _link(self, name: str, target: str) -> None:
        if target not in self.sizes:
            raise UserError(
                f"a link to {target}, which is no file of this archive",
                where=self.place(name),
                remedy="Pack what links lead to, not the links: tar --dereference.",
            )
        self._add(name, self.sizes[target])
        self._starts[name] = self._starts[target]

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """What reads a file by its name."""
        with ExitStack() as opened:
            with self._guarded():
                file = opened.enter_context(tarfile.open(self.path)).fileobj

            def read(name: str) -> bytes:
                with self._guarded():
                    file.seek(self._starts[name])
                    return file.read(self.sizes[name])

            yield read


class Zip(_Archive):
    """A zip of files that are not encrypted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        with self._guarded(), zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        for member in members:
            # Some archivers on Windows write "\" between folders, against the format.
            name = _named(member.filename.replace("\\", "/"))
            if _hidden(name):
                continue
            if member.flag_bits & 1:
                raise UserError("encrypted", where=self.place(name), remedy="Pack it without a password.")
            if member.is_dir():
                self._add_folder(name)
            else:
                self._add(name, member.file_size)
                self._members[name] = member

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """What reads a file by its name."""
        with ExitStack() as opened:
            with self._guarded():
                archive = opened.enter_context(zipfile.ZipFile(self.path))

            def read(name: str) -> bytes:
                try:
                    with self._guarded():
                        return archive.read(self._members[name])
                except NotImplementedError as error:
                    raise UserError(f"cannot be unpacked ({error})", where=self.place(name)) from error

            yield read


def _named(name: str) -> str:
    """A member's name as that of a file in a folder: "./cat/a.jpg" and "/cat/a.jpg" are "cat/a.jpg"."""
    return posixpath.normpath(name).lstrip("/")


def _hidden(name: str) -> bool:
    """Is a name, or a folder on the way to it, among those left out? Archives' "." and "../x" are, too."""
    return any(part.startswith(".") or part in LITTER for part in name.split("/"))
