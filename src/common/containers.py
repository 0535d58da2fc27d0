"""Images within containers: ZIP files, and Parquet and Arrow files of encoded images.

The path of such an image is that of the container, a slash, and its place within: the name of a
member (`/d/set.zip/1_fake/a.png`), or the number of a row (`/d/test.parquet/12`). Where the column
of the images was chosen, the place is `COLUMN/ROW`.

Containers stay open, also in the processes that this one forks: they are read through memory maps,
which have no position in the file that processes could share.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
import zipfile
from collections.abc import Callable
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from genspot.common.image_tables import ArrowImages, ParquetImages
from genspot.common.images import UnreadableError, check_size
from genspot.common.text import printable

MAX_BYTES = 2**30  # of one encoded image, unless the caller says otherwise
SMALL_BYTES = 2**10
MAX_OPEN = 32  # containers that stay open
# What the system says of a path that leads into a file; the second of a very long one.
INSIDE = (errno.ENOTDIR, errno.ENAMETOOLONG)
ENCRYPTED = 0x1  # flags of a ZIP member
UTF8 = 0x800


class Container(Protocol):
    """A file of many encoded images."""

    def read(self, place: str, max_bytes: int) -> bytes:
        """Return the encoded image at `place`.

        Raises:
            UnreadableError: there is none, it is damaged, or larger than `max_bytes`.
        """


class ZipFolder(NamedTuple):
    """A folder of a ZIP file; the names are sorted."""

    files: list[str]
    folders: list[str]


class ZipImages:
    """The members of a ZIP file, by their names with slashes: some archives have backslashes.

    Args:
        path: of the file.

    Raises:
        zipfile.BadZipFile and others: it is no ZIP file, or its index is damaged.
    """

    def __init__(self, path: str) -> None:
        # Some seeks beyond the ends, which zipfile makes in small files, Arrow refuses.
        is_small = os.path.getsize(path) < SMALL_BYTES
        source = BytesIO(Path(path).read_bytes()) if is_small else pa.memory_map(path)
        self.archive = zipfile.ZipFile(source)

        self.left_out: list[tuple[str, str]] = []  # names and reasons
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in self.archive.infolist():
            name = member_name(info).replace("\\", "/")
            parts = [part for part in name.split("/") if part not in ("", ".")]
            place = "/".join(parts)
            if name.startswith("/") or name[1:2] == ":" or ".." in parts:
                self.left_out.append((place, "its name leads out of the ZIP file"))
            elif stat.S_ISLNK(info.external_attr >> 16):
                self.left_out.append((place, "a link within the ZIP file"))
            elif parts:
                if place in self.members and not info.is_dir():
                    self.left_out.append((place, "another file of this name follows it"))
                self.members[place] = info

    @cached_property
    def folders(self) -> dict[str, ZipFolder]:
        """The folders by their names, that of the archive itself being empty."""
        found = {"": ZipFolder([], [])}

        def add(name: str) -> ZipFolder:
            if name not in found:
                found[name] = ZipFolder([], [])
                parent, _, last = name.rpartition("/")
                add(parent).folders.append(last)
            return found[name]

        for name, info in self.members.items():
            parent, _, last = name.rpartition("/")
            if info.is_dir():
                add(name)
            else:
                add(parent).files.append(last)
        for folder in found.values():
            folder.files.sort()
            folder.folders.sort()
        return found

    def read(self, place: str, max_bytes: int = MAX_BYTES) -> bytes:
        """Return the content of a member; see `Container.read`."""
        info = self.members.get(place)
        if info is None or info.is_dir():
            raise UnreadableError("the ZIP file has no such member")
        if info.flag_bits & ENCRYPTED:
            raise UnreadableError("encrypted within the ZIP file: unpack it")
        # The decoders of the other methods return all at once, however much it is.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableError(
                f"compressed by method {info.compress_type} within the ZIP file, of which only "
                "stored and deflated images are read: unpack it"
            )
        check_size(info.file_size, max_bytes)
        try:
            with self.archive.open(info) as file:
                return file.read(info.file_size + 1)  # bounds what is decompressed at a time
        except MemoryError:
            raise
        except Exception as error:  # damaged archives raise nearly anything
            raise UnreadableError(
                f"damaged within the ZIP file: {printable(str(error))}"
            ) from None


def member_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member as text.

    Names without the flag of UTF-8 are code page 437 by the standard, but UTF-8 in many archives.
    """
    if not info.flag_bits & UTF8:
        try:
            return info.filename.encode("cp437").decode()
        except UnicodeError:
            pass
    return info.filename


KINDS: dict[str, Callable[[str], Container]] = {
    ".zip": ZipImages,
    ".parquet": ParquetImages,
    ".arrow": ArrowImages,
}
_open: dict[str, tuple[object, Container]] = {}  # by path, the last used at the end


def container_of(path: str) -> str:
    """Return the file that holds the image at `path`: a container, or `path` itself.

    A container is looked for where the system says that a part of `path` is no folder.
    """
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in INSIDE:
            end = path.rfind("/")
            while end > 0:
                if os.path.isfile(path[:end]):
                    return path[:end]
                end = path.rfind("/", 0, end)
    return path


def file_status(path: str) -> os.stat_result:
    """Return the status of the file that holds the image at `path`, a container or itself.

    Raises:
        OSError: there is no such file.
    """
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno not in INSIDE:
            raise
        return os.stat(container_of(path))


def is_inside(path: str) -> bool:
    """Return whether `path` is that of an image within a container."""
    return container_of(path) != path


def is_container(file: str) -> bool:
    """Return whether the name of `file` is that of a container."""
    return os.path.splitext(file)[1].lower() in KINDS


def matches(path: str) -> list[str]:
    """Return `path` if it leads to a file, a folder or into a container; else what it matches.

    What a pattern matches is sorted.
    """
    if os.path.lexists(path) or (is_inside(path) and is_container(container_of(path))):
        return [path]
    return sorted(glob.glob(path, recursive=True))


def open_container(path: str) -> Container:
    """Return the container at `path`, which stays open.

    Raises:
        UnreadableError: it is no container, or damaged.
    """
    status = os.stat(path)
    stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    known = _open.pop(path, None)
    if known is None or known[0] != stamp:
        ending = os.path.splitext(path)[1].lower()
        if not is_container(path):
            raise UnreadableError(f"{path} is neither a folder nor one of {', '.join(KINDS)}")
        try:
            known = stamp, KINDS[ending](path)
        except MemoryError:
            raise
        except Exception as error:  # zipfile and Arrow raise nearly anything on damaged files
            reason = printable(str(error))
            raise UnreadableError(f"{path} cannot be read as {ending[1:]}: {reason}") from None
    _open[path] = known
    for oldest in tuple(_open)[:-MAX_OPEN]:
        _open.pop(oldest, None)
    return known[1]


def zip_of(path: str) -> tuple[ZipImages, str] | None:
    """Return the ZIP file in which the folder `path` is looked for, and its name there, or None.

    Raises:
        UnreadableError: the ZIP file is damaged.
    """
    file = container_of(path)
    if not file.lower().endswith(".zip") or not os.path.isfile(file):
        return None
    archive = open_container(file)
    assert isinstance(archive, ZipImages)
    return archive, path[len(file) + 1 :].strip("/")


def read_bytes(path: str, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the encoded image at `path`, which is within a container.

    Raises:
        FileNotFoundError: there is no such container.
        UnreadableError: the image is missing, damaged or larger than `max_bytes`.
    """
    container = container_of(path)
    if container == path:
        raise FileNotFoundError(errno.ENOENT, "no such image", path)
    return open_container(container).read(path[len(container) + 1 :], max_bytes)


def encoded_size(path: str) -> int:
    """Return the number of bytes of the encoded image at `path`, a file or within a container.

    Raises:
        OSError: it cannot be read.
    """
    return len(read_bytes(path)) if is_inside(path) else os.path.getsize(path)
