"""Walking a folder of images: links are followed, and what is left out is named with a reason."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute
from PIL import Image, UnidentifiedImageError

from genspot.data import image_io

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".bmp"),
    *(".ppm", ".tif", ".tiff", ".gif", ".avif"),
)
PACKED_SUFFIX = ".packed"  # of the folder of a packed copy
PASSED_OVER = "__MACOSX"  # what macOS adds to a ZIP file: a file of metadata for each image
LOOP = "a link to a folder that contains it"
DANGLING = "a link to nothing"

LeftOut = tuple[str, str]  # path, and the reason


class Folder(NamedTuple):
    """One folder of a walk, without what is passed over. All names are sorted."""

    path: str
    real_path: str
    mtime_ns: int  # modification time before it was listed
    images: list[str]  # names of images by their extension
    others: list[str]  # names of other entries that are no folders
    folders: list[str]  # names of folders, but for links to a folder that contains them

    def join(self, name: str) -> str:
        """Return the path of the entry `name`."""
        return os.path.join(self.path, name)


class Images(NamedTuple):
    """The images at any depth below a folder."""

    folders: list[Folder]  # sorted by path; `images` are all images there, `others` is empty
    left_out: list[LeftOut]  # sorted by path

    def names(self) -> pa.Array:
        """Return the paths of the images relative to the folder, as `utf8_path` writes them.

        They are sorted by folder, then by name.
        """
        parts = [pa.array([], pa.large_string())]
        start = len(os.path.join(self.folders[0].path, "")) if self.folders else 0
        for folder in self.folders:
            names = text_array(folder.images)
            below = folder.path[start:]
            parts.append(join_paths(below, names) if below else names)
        return pa.concat_arrays(parts)


def text_array(texts: list[str]) -> pa.Array:
    """Return paths or names as Arrow's text; see `utf8_path`."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:  # not UTF-8
        return pa.array(map(utf8_path, texts), pa.large_string())


def join_paths(folder: str, names: pa.Array) -> pa.Array:
    """Return the paths of `names` in `folder`."""
    prefix, nothing = (
        pa.scalar(text, pa.large_string()) for text in (utf8_path(os.path.join(folder, "")), "")
    )
    return pa.compute.binary_join_element_wise(prefix, names, nothing)


def walk(root: str, left_out: list[LeftOut], leaves: Collection[str] = ()) -> Iterator[Folder]:
    """Yield `root` and the folders at any depth below it.

    Links to folders are followed, except into a folder that contains the link. Hidden entries,
    `__MACOSX` and packed copies are passed over. No file is opened, and no status is read of a
    file with the extension of an image.

    Args:
        root: the folder; it may be a link.
        left_out: gets the folders that cannot be listed, and the links that are not followed.
        leaves: names of folders that are named in `Folder.folders` and not entered.
    """
    real_root = os.path.realpath(root)
    stack: list[tuple[str, tuple[str, ...]]] = [(root, (real_root,))]
    while stack:
        path, way = stack.pop()  # `way`: real paths from the root to this folder
        images, others, links, folders = [], [], set(), []
        try:
            mtime_ns = os.stat(path).st_mtime_ns
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    if name[0] == "." or name == PASSED_OVER or name.endswith(PACKED_SUFFIX):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                    elif name.lower().endswith(EXTENSIONS):
                        images.append(name)
                    elif _links_to_folder(entry):
                        links.add(name)
                    else:
                        others.append(name)
        except OSError as error:
            left_out.append((path, f"cannot be listed: {error.strerror}"))
            continue
        followed = []
        for name in sorted([*folders, *links]):
            child = os.path.join(path, name)
            real = os.path.realpath(child) if name in links else os.path.join(way[-1], name)
            if name in links and any(_contains(real, folder) for folder in way):
                left_out.append((child, LOOP))
                continue
            followed.append(name)
            if name not in leaves:
                stack.append((child, (*way, real)))
        yield Folder(path, way[-1], mtime_ns, sorted(images), sorted(others), followed)


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
        names = [*folder.images, *(name for name, reason in reasons.items() if not reason)]
        folders.append(folder._replace(images=sorted(names), others=[]))
    return Images(folders, sorted(left_out))


def reason_not_an_image(path: str) -> str | None:
    """Return why the file at `path` is left out; None if its content is that of an image."""
    if reason := broken_link(path):
        return reason
    try:
        image_io.check_file(path)
        with Image.open(path, formats=image_io.FORMATS):
            return None
    except Image.DecompressionBombError:
        return None  # an image, whatever comes of reading it
    except OSError as error:
        return image_io.describe_error(error)
    except Exception:  # PIL's plugins raise nearly anything on other content
        return image_io.describe_error(UnidentifiedImageError())


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


def utf8_path(path: str | Path) -> str:
    r"""Return `path` with each byte that is not UTF-8 written as \xE9.

    Arrow and CSV hold UTF-8 only. No file has the resulting name; `genspot.data.image_io.read`
    explains that to the user.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")
