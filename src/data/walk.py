"""Walking a folder of images: links are followed, and what is left out is named with a reason."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
from PIL import Image, UnidentifiedImageError

from genspot.common.containers import ZipImages, container_of, is_container, zip_of
from genspot.data.encoded import find_content
from genspot.data.image_io import FORMATS, describe_error

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".bmp"),
    *(".ppm", ".tif", ".tiff", ".gif", ".avif"),
)
PACKED_SUFFIX = ".packed"  # of the folder of a packed copy
PACKED_LIST = "genspot-packed.json"  # in it: the label folders that the copy must have
PASSED_OVER = "__MACOSX"  # what macOS adds to a ZIP file: a file of metadata for each image
LOOP = "a link to a folder that contains it"
DANGLING = "a link to nothing"
CONTAINER = "a ZIP, Parquet or Arrow file: it is read if it is named itself"
NOT_UTF8 = "its name is not UTF-8: rename it"
UNKNOWN_INODES = (0, 2**32 - 1)  # what FUSE lists for files whose inode it does not know

LeftOut = tuple[str, str]  # path, and the reason


class Folder(NamedTuple):
    """One folder of a walk, without what is passed over. All names are sorted."""

    path: str
    mtime_ns: int  # modification time before it was listed
    images: dict[str, int]  # name → `file_id` of the images by their extension
    others: list[str]  # names of other entries that are no folders
    folders: list[str]  # names of folders, but for links to a folder that contains them

    def join(self, name: str) -> str:
        """Return the path of the entry `name`."""
        return os.path.join(self.path, name)


@dataclass(frozen=True)
class Images:
    """The images at any depth below a folder, in the order of the folders, then of the names."""

    folders: list[Folder]  # sorted by path; `images` are all images there, `others` is empty
    left_out: list[LeftOut]  # sorted by path

    @cached_property
    def names(self) -> pa.Array:
        """Return the paths of the images relative to the folder."""
        parts = [pa.array([], pa.large_string())]
        start = len(os.path.join(self.folders[0].path, "")) if self.folders else 0
        for folder in self.folders:
            names = pa.array(list(folder.images), pa.large_string())
            below = folder.path[start:]
            parts.append(join_paths(below, names) if below else names)
        return pa.concat_arrays(parts)

    @cached_property
    def file_ids(self) -> np.ndarray:
        """Return the `file_id` of each image, int64."""
        parts = (list(folder.images.values()) for folder in self.folders)
        return join_ids(np.array(part, np.int64) for part in parts)


def join_paths(folder: str, names: pa.Array) -> pa.Array:
    """Return the paths of `names` in `folder`."""
    prefix, nothing = (
        pa.scalar(text, pa.large_string()) for text in (os.path.join(folder, ""), "")
    )
    return pa.compute.binary_join_element_wise(prefix, names, nothing)


def walk(
    root: str, left_out: list[LeftOut], is_leaf: Callable[[str], bool] = lambda _: False
) -> Iterator[Folder]:
    """Yield `root` and the folders at any depth below it; `root` may be a ZIP file or within one.

    Links to folders are followed, except into a folder that contains the link. Each folder is
    entered once, whatever links lead to it; one that holds leaves is yielded for each of them.
    Hidden entries, `__MACOSX` and packed copies are passed over. No file is opened, and a status
    is read of links only.

    Args:
        root: the folder; it may be a link.
        left_out: gets what cannot be listed, the links that are not followed, and names that are
            not UTF-8.
        is_leaf: whether a folder of a name is named in `Folder.folders` and not entered.
    """
    if archive := zip_of(root):
        yield from _walk_zip(root, *archive, is_leaf)
        return
    if not _is_utf8(root):
        left_out.append((root, NOT_UTF8))
        return
    entered: dict[str, Folder] = {}  # by their real paths
    # Real paths lead to a folder: of the folder itself, and of each that holds a link on the way.
    queue: deque[tuple[str, tuple[str, ...]]] = deque([(root, (os.path.realpath(root),))])
    while queue:
        path, way = queue.popleft()
        if first := entered.get(way[-1]):
            known = [name for name in first.folders if is_leaf(name)]
            again = first._replace(path=path, images={}, others=[], folders=known)
            others = [name for name in first.folders if not is_leaf(name)]
            if known:
                yield again
                left_out += [(again.join(name), same_as(first.join(name))) for name in others]
            else:
                left_out.append((path, same_as(first.path)))
            continue
        try:
            folder, links = _list_folder(path, left_out)
        except OSError as error:
            left_out.append((path, f"cannot be listed: {error.strerror}"))
            continue
        entered[way[-1]] = folder
        inside = []
        for name in tuple(folder.folders):
            child = folder.join(name)
            real = os.path.realpath(child) if name in links else os.path.join(way[-1], name)
            if name in links and any(_contains(real, place) for place in way):
                left_out.append((child, LOOP))
                folder.folders.remove(name)
            elif name in links and not is_leaf(name):
                queue.append((child, (*way, real)))  # after the folders that are no links
            elif not is_leaf(name):
                inside.append((child, (*way[:-1], real)))
        queue.extendleft(reversed(inside))
        yield folder


def _walk_zip(
    root: str, archive: ZipImages, name: str, is_leaf: Callable[[str], bool]
) -> Iterator[Folder]:
    """Yield the folder `name` of `archive`, with the path `root`, and those below; see `walk`."""
    files, folders = archive.folders[name]
    status = os.stat(container_of(root))
    prefix = f"{name}/" if name else ""
    kept = [[one for one in names if not is_passed_over(one)] for names in (files, folders)]
    images = {
        one: hash((status.st_dev, status.st_ino, prefix + one))
        for one in kept[0]
        if one.lower().endswith(EXTENSIONS)
    }
    folder = Folder(root, 0, images, [one for one in kept[0] if one not in images], kept[1])
    yield folder
    for one in folder.folders:
        if not is_leaf(one):
            yield from _walk_zip(folder.join(one), archive, prefix + one, is_leaf)


def is_passed_over(name: str) -> bool:
    """Return whether an entry is hidden, or what macOS adds to ZIP files."""
    return name[0] == "." or name == PASSED_OVER


def _list_folder(path: str, left_out: list[LeftOut]) -> tuple[Folder, set[str]]:
    """Return the folder at `path`, and which of its folders are links.

    Raises:
        OSError: it cannot be listed.
    """
    images, others, folders, links = dict[str, int](), list[str](), list[str](), set[str]()
    status = os.stat(path)
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if is_passed_over(name):
                continue
            if not _is_utf8(name):
                left_out.append((os.path.join(path, name), NOT_UTF8))
            elif entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif name.lower().endswith(EXTENSIONS):
                images[name] = _entry_id(entry, status.st_dev)
            elif _links_to_folder(entry):
                folders.append(name)
                links.add(name)
            else:
                others.append(name)
    folders = [name for name in folders if not is_packed_copy(os.path.join(path, name))]
    images = dict(sorted(images.items()))
    return Folder(path, status.st_mtime_ns, images, sorted(others), sorted(folders)), links


def is_packed_copy(folder: str) -> bool:
    """Return whether `folder` is a packed copy, be it complete or not."""
    return os.path.exists(os.path.join(folder, PACKED_LIST))


def same_as(path: str) -> str:
    """Return the reason for a further way to the folder at `path`."""
    return f"the same folder as {path}, which is there already"


def file_id(path: str) -> int:
    """Return a number that is the same for all paths of one file, links and hard links.

    Each image within a container has a number of its own.
    """
    container = container_of(path)
    try:
        status = os.stat(container)
    except OSError:
        return hash((0, path))
    place = path[len(container) + 1 :]
    return hash((status.st_dev, status.st_ino, *([place] if place else [])))


def join_ids(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return all `parts` one after the other, int64."""
    return np.concatenate([np.array([], np.int64), *parts])


def _entry_id(entry: os.DirEntry[str], device: int) -> int:
    """Return the `file_id` of a file in a folder on `device`; no status is read but of links."""
    inode = entry.inode()
    if inode in UNKNOWN_INODES or entry.is_symlink():
        return file_id(entry.path)
    return hash((device, inode))


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _links_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or below a folder that may not be entered
        return False


def _contains(folder: str, path: str) -> bool:
    """Return whether the real path `path` is `folder` or lies below it."""
    return path == folder or path.startswith(os.path.join(folder, ""))


def find_images(root: str) -> Images:
    """Return the images at any depth below `root`; see `walk`.

    A file with the extension of an image is one. Of every other file the content decides, of
    which the header is read.
    """
    left_out: list[LeftOut] = []
    folders = []
    for folder in sorted(walk(root, left_out), key=lambda folder: folder.path):
        reasons = {name: reason_not_an_image(folder.join(name)) for name in folder.others}
        left_out += [(folder.join(name), reason) for name, reason in reasons.items() if reason]
        more = {name: file_id(folder.join(name)) for name, reason in reasons.items() if not reason}
        images = dict(sorted((folder.images | more).items()))
        folders.append(folder._replace(images=images, others=[]))
    return Images(folders, sorted(left_out))


def reason_not_an_image(path: str) -> str | None:
    """Return why the file at `path` is left out; None if its content is that of an image."""
    if reason := broken_link(path):
        return reason
    try:
        content = find_content(path, sys.maxsize)  # its size is judged when it is read
        with Image.open(BytesIO(content) if isinstance(content, bytes) else path, formats=FORMATS):
            return None
    except Image.DecompressionBombError:
        return None  # an image, whatever comes of reading it
    except OSError as error:
        return CONTAINER if is_container(path) else describe_error(error)
    except Exception:  # PIL's plugins raise nearly anything on other content
        return describe_error(UnidentifiedImageError())


def broken_link(path: str) -> str | None:
    """Return why the link at `path` cannot be followed; None if it can, or is no link."""
    if not os.path.islink(path):
        return None
    try:
        os.stat(path)
    except FileNotFoundError:
        return DANGLING
    except OSError as error:
        return f"a link that cannot be followed: {error.strerror}"
    return None
