"""Members of an archive as a packed copy, without image files in between."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from genspot.data.settings import DEFAULT_LABELS, MAX_MEGAPIXELS, Labels
from genspot.download.directory import Directory
from genspot.download.progress import Progress
from genspot.download.source import ByteSource


@dataclass(frozen=True)
class Missing:
    """What a packed copy lacks of an archive.

    Attributes:
        root: the folder whose packed copy it is.
        wanted: the images that the copy must hold at the end.
        members: those of them that are to be packed, in the order in which they are.
    """

    root: Path
    wanted: Directory
    members: Directory


@dataclass(frozen=True)
class Packed:
    """What `pack` did.

    Attributes:
        written: number of images that it packed.
        present: number of images that were packed before.
        unreadable: number of images in the copy that cannot be decoded.
        bytes: that the copy takes on the disk.
    """

    written: int
    present: int
    unreadable: int
    bytes: int


def lock_copy(root: Path) -> AbstractContextManager[None]:
    """Return the lock that a process holds from before `find_missing` to the end of `pack`."""
    raise NotImplementedError


def find_missing(
    wanted: Directory,
    root: Path,
    labels: Labels = DEFAULT_LABELS,
    max_megapixels: int = MAX_MEGAPIXELS,
    recheck: bool = False,
) -> Missing:
    """Return what the packed copy of `root` lacks; `lock_copy` must be held.

    Args:
        wanted: the members of the label folders, with their names below `root`.
        root: the folder whose copy it is; neither it nor the copy need exist.
        labels: names of the label folders.
        max_megapixels: larger images are packed as unreadable.
        recheck: read the complete label folders of the copy too.

    Raises:
        GenspotError: a class lacks real or fake images, there is no image, or image files in
            `root` differ from the members.
    """
    raise NotImplementedError


def need(source: ByteSource, missing: Missing) -> int:
    """Return about how many bytes the missing images take in the copy.

    Some images of each label folder are read for their sizes.
    """
    raise NotImplementedError


def pack(
    source: ByteSource,
    missing: Missing,
    threads: int,
    progress: Progress,
    stop: threading.Event,
) -> Packed:
    """Write the missing images into the packed copy; `lock_copy` must be held.

    They are written in files of up to 1024 images, each of which is verified and renamed, so the
    next `find_missing` continues after the last. `progress.verified` gets the compressed bytes of
    each member; `progress.add` is left to the source.

    Raises:
        GenspotError: a member is damaged.
        OSError: a file cannot be written.
    """
    raise NotImplementedError
