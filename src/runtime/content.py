"""What a run reads, by content: the same images are known again wherever they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genspot.common.files import sha256_of, utf8_path

if TYPE_CHECKING:  # the command line imports this module, also for --help
    import pyarrow as pa

SIZES = 16  # images, evenly spread, of which the size of the file is compared too

Content = dict[str, Any]


def describe_images(samples: pa.Table, roots: Sequence[str]) -> Content:
    """Return a description of the images of a set, the same for a moved or copied one.

    Args:
        samples: a table with the columns `path` and `label`.
        roots: folders and containers that the images lie below; an image may lie elsewhere.

    Returns:
        The number of images, a digest of names below `roots` and labels, and sizes of files in
        bytes, null where only a packed copy is here.
    """
    starts = [os.path.join(utf8_path(os.path.abspath(root)), "") for root in roots]
    starts.sort(key=len, reverse=True)
    paths = samples["path"].to_pylist()
    names = (path[len(_first_start(path, starts)) :] for path in paths)
    digest = hashlib.sha256("\0".join(names).encode())
    digest.update(samples["label"].to_numpy().astype("int8").tobytes())
    picked = {step * (len(paths) - 1) // (SIZES - 1) for step in range(SIZES if paths else 0)}
    sizes = [_size(paths[row]) for row in sorted(picked)]
    return {"images": len(paths), "names": digest.hexdigest(), "sizes": sizes}


def _first_start(path: str, starts: Sequence[str]) -> str:
    return next((start for start in starts if path.startswith(start)), "")


def describe_file(path: Path) -> Content:
    """Return the digest of a file."""
    return {"sha256": sha256_of(path)}


def difference(old: Content, new: Content) -> str:
    """Return in which way two descriptions differ, or "" if they are of the same content."""
    if old.get("images") != new.get("images"):
        return f"{old.get('images')} images, now {new.get('images')}"
    if old.get("names") != new.get("names"):
        return "images with other names or labels"
    pairs = zip(old.get("sizes", []), new.get("sizes", []), strict=False)
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return "files of other sizes"
    return "" if old.get("sha256") == new.get("sha256") else "another content"


def _size(path: str) -> int | None:
    from genspot.common.containers import file_status  # imports pyarrow

    try:
        return file_status(path).st_size
    except (OSError, UnicodeEncodeError):  # the locale's encoding may lack the name
        return None
