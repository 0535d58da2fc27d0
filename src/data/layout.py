"""Folders of real and fake images → one table of samples.

The released layout: `0_real/` and `1_fake/`, directly in a folder or in one folder a class.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from genspot.common.errors import GenspotError

log = logging.getLogger(__name__)

LABELS = {"0_real": 0, "1_fake": 1}
PACKED = ".packed"  # ends the name of a store, which has the same layout
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".tif", ".tiff")

# Arrow keeps the paths in one buffer: a list of as many Python strings would be copied into
# every worker, page by page, by mere reference counting.
SCHEMA = pa.schema(
    [
        ("path", pa.large_string()),
        ("generator", pa.dictionary(pa.int32(), pa.string())),
        ("class", pa.dictionary(pa.int32(), pa.string())),
        ("label", pa.int8()),  # 0 real, 1 fake, -1 unknown
    ]
)


def table(rows: Iterable[tuple[str, str, str, int]]) -> pa.Table:
    """A table of `SCHEMA` of (path, generator, class, label) rows."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def utf8(path: str | Path) -> str:
    r"""`path`, with each byte that is not UTF-8 written out as \xE9.

    Arrow and CSV hold no other text. No file has that name: `genspot.data.image_io.read` says so.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def images_in(folder: str | Path) -> list[str]:
    """Paths of what is named as an image directly in `folder`, as `utf8`, sorted by name.

    Folders and dangling links of such names are listed as well, to be reported as unreadable.

    Raises:
        GenspotError: the folder cannot be listed.
    """
    try:
        names = sorted(
            name
            for name in os.listdir(folder)
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        )
    except OSError as error:
        raise GenspotError(f"{utf8(folder)} cannot be listed: {error.strerror}") from error
    return [utf8(os.path.join(folder, name)) for name in names]


class Half(NamedTuple):
    """A folder of images of one label: `0_real/` or `1_fake/` of a class."""

    folder: str
    name: str  # of the class
    label: int


def halves(folder: str | Path, generator: str, classes: list[str] | str | None) -> list[Half]:
    """The halves of every class below `folder`, sorted by class.

    Args:
        folder: where the released layout begins.
        generator: its name in messages.
        classes: the class folders to take, "any" for all there are however deep, or None where
            `0_real/` and `1_fake/` stand directly in `folder`.

    Raises:
        GenspotError: the folder, a class, or one of `0_real/` and `1_fake/` is missing.
    """
    root = Path(os.path.abspath(folder))
    if not root.is_dir():
        raise GenspotError(f"{generator}: no folder {utf8(folder)}")
    found = []
    for name, parent in _classes(root, generator, classes):
        for half, label in LABELS.items():
            if not (parent / half).is_dir():
                raise GenspotError(
                    f"{generator}: {utf8(parent)} has no folder {half}; "
                    "real images go into 0_real/ and generated ones into 1_fake/"
                )
            found.append(Half(str(parent / half), utf8(name), label))
    return found


def _classes(
    root: Path, generator: str, classes: list[str] | str | None
) -> Iterator[tuple[str, Path]]:
    """(name, folder) of each class below `root`, sorted; the name of `root` itself is empty."""
    if classes is None:
        yield "", root
        return
    if classes != "any":
        missing = [name for name in classes if not (root / name).is_dir()]
        if missing:
            raise GenspotError(f"{generator}: {root} lacks the class folders {', '.join(missing)}")
        yield from ((name, root / name) for name in sorted(classes))
        return
    found = set()
    for here, folders, _ in os.walk(root):
        if LABELS.keys() & set(folders):
            found.add(Path(here))
        below = set(folders) - LABELS.keys()
        folders[:] = sorted(name for name in below if not name.endswith(PACKED))
    if not found:
        raise GenspotError(
            f"{generator}: no folders 0_real/ and 1_fake/ below {root}; real images go into "
            "0_real/ and generated ones into 1_fake/"
        )
    for parent in sorted(found):
        yield ("" if parent == root else parent.relative_to(root).as_posix()), parent


def find(inputs: str | Path) -> pa.Table:
    """The table of one photo, or of every image below a folder, with unknown labels.

    Raises:
        GenspotError: `inputs` does not exist or holds no image.
    """
    path = Path(str(inputs)).expanduser()
    if not path.exists():
        raise GenspotError(f"inputs={inputs}: no such file or folder")
    if path.is_file():
        files = [utf8(path)]
    else:
        files = [file for here, _, _ in sorted(os.walk(path)) for file in images_in(Path(here))]
        others = Counter(
            utf8(Path(name).suffix) or "no ending"
            for _, _, names in os.walk(path)
            for name in names
            if not name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        )
        if others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
            log.warning("not looked at: %s", kinds)
    if not files:
        raise GenspotError(f"inputs={inputs}: no images there ({', '.join(EXTENSIONS)})")
    return table((file, "", "", -1) for file in files)
