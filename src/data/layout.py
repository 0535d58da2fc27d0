"""Folders of real and fake images as tables of samples.

The released layout: `0_real/` and `1_fake/`, directly in a folder or in one folder per class.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.data.settings import Classes

log = logging.getLogger(__name__)

LABELS = {"0_real": 0, "1_fake": 1}
PACKED_SUFFIX = ".packed"  # of the folder of a packed copy, which has the same layout
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".tif", ".tiff")

# Arrow keeps all paths in one buffer. A list of Python strings would be copied into every worker,
# page by page, because reading an object changes its reference count.
SAMPLE_SCHEMA = pa.schema(
    [
        ("path", pa.large_string()),
        ("generator", pa.dictionary(pa.int32(), pa.string())),
        ("class", pa.dictionary(pa.int32(), pa.string())),
        ("label", pa.int8()),  # 0 real, 1 fake, -1 unknown
    ]
)


def sample_table(rows: Iterable[tuple[str, str, str, int]]) -> pa.Table:
    """Return a table of `SAMPLE_SCHEMA` of (path, generator, class, label) rows."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return pa.table([list(column) for column in columns], schema=SAMPLE_SCHEMA)


def load_samples(folder: str | Path, generator: str, classes: Classes) -> pa.Table:
    """Return the table of samples below `folder`; see `label_folders`. No image is opened.

    Raises:
        GenspotError: a folder is missing or cannot be listed.
    """
    folders = label_folders(os.path.abspath(folder), generator, classes)
    progress = tqdm(folders, desc=f"listing {generator}", unit="folder", delay=2)
    return join_samples(
        folders,
        [pa.array(list_images(one.path), pa.large_string()) for one in progress],
        generator,
    )


def join_samples(folders: list[LabelFolder], paths: list[pa.Array], generator: str) -> pa.Table:
    """Return the table of samples of label folders with these images."""
    rows = [len(part) for part in paths]
    class_names = list(dict.fromkeys(folder.class_name for folder in folders))
    codes = [class_names.index(folder.class_name) for folder in folders]
    columns = [
        pa.chunked_array(paths, pa.large_string()),
        pa.DictionaryArray.from_arrays(np.zeros(sum(rows), np.int32), pa.array([generator])),
        pa.DictionaryArray.from_arrays(
            np.repeat(np.array(codes, np.int32), rows), pa.array(class_names, pa.string())
        ),
        np.repeat(np.array([folder.label for folder in folders], np.int8), rows),
    ]
    return pa.table(columns, schema=SAMPLE_SCHEMA)


def utf8_path(path: str | Path) -> str:
    r"""Return `path` with each byte that is not UTF-8 written as \xE9.

    Arrow and CSV hold UTF-8 only. No file has the resulting name; `genspot.data.image_io.read`
    explains that to the user.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def list_images(folder: str | Path) -> list[str]:
    """Return the paths of all entries of `folder` that are named like images, sorted by name.

    Folders and dangling links with such names are included, to be reported as unreadable.

    Raises:
        GenspotError: the folder cannot be listed.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if _is_image_name(name))
    except OSError as error:
        raise GenspotError(f"{utf8_path(folder)} cannot be listed: {error.strerror}") from error
    return [utf8_path(os.path.join(folder, name)) for name in names]


def _is_image_name(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


class LabelFolder(NamedTuple):
    """A folder of images of one label: `0_real/` or `1_fake/` of a class."""

    path: str
    class_name: str
    label: int


def label_folders(folder: str | Path, generator: str, classes: Classes) -> list[LabelFolder]:
    """Return the label folders of all classes below `folder`, sorted by class.

    Args:
        folder: root of the released layout.
        generator: its name in messages.
        classes: the class folders to take, "any" for all there are at any depth, or None if
            `0_real/` and `1_fake/` are directly in `folder`.

    Raises:
        GenspotError: the folder, a class, or one of `0_real/` and `1_fake/` is missing.
    """
    root = Path(os.path.abspath(folder))
    if not root.is_dir():
        raise GenspotError(f"{generator}: no folder {utf8_path(folder)}")
    found = []
    for class_name, parent in _class_folders(root, generator, classes):
        for name, label in LABELS.items():
            if not (parent / name).is_dir():
                raise GenspotError(
                    f"{generator}: {utf8_path(parent)} has no folder {name}; "
                    "real images go into 0_real/ and generated ones into 1_fake/"
                )
            found.append(LabelFolder(str(parent / name), utf8_path(class_name), label))
    return found


def _class_folders(root: Path, generator: str, classes: Classes) -> Iterator[tuple[str, Path]]:
    """Yield (name, folder) of each class below `root`, sorted; the name of `root` is empty."""
    if classes is None:
        yield "", root
    elif classes != "any":
        if missing := [name for name in classes if not (root / name).is_dir()]:
            raise GenspotError(f"{generator}: {root} lacks the class folders {', '.join(missing)}")
        yield from ((name, root / name) for name in sorted(classes))
    else:
        found = set()
        for parent, folders, _ in os.walk(root):
            if LABELS.keys() & set(folders):
                found.add(Path(parent))
            others = set(folders) - LABELS.keys()
            folders[:] = [name for name in others if not name.endswith(PACKED_SUFFIX)]
        if not found:
            raise GenspotError(
                f"{generator}: no folders 0_real/ and 1_fake/ below {root}; real images go into "
                "0_real/ and generated ones into 1_fake/"
            )
        for path in sorted(found):
            yield ("" if path == root else path.relative_to(root).as_posix()), path


def list_inputs(inputs: str | Path) -> pa.Table:
    """Return the table of one photo, or of all images below a folder, with unknown labels.

    Raises:
        GenspotError: `inputs` does not exist or contains no image.
    """
    path = Path(str(inputs)).expanduser()
    if not path.exists():
        raise GenspotError(f"inputs={inputs}: no such file or folder")
    if path.is_file():
        files = [utf8_path(path)]
    else:
        folders = sorted(os.walk(path))
        files = [file for folder, _, _ in folders for file in list_images(folder)]
        skipped = Counter(
            utf8_path(Path(name).suffix) or "without extension"
            for _, _, names in folders
            for name in names
            if not _is_image_name(name) and not name.startswith(".")
        )
        if skipped:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(skipped.items()))
            log.warning("skipped files that are not named as images: %s", kinds)
    if not files:
        raise GenspotError(f"inputs={inputs}: no images there ({', '.join(EXTENSIONS)})")
    return sample_table((file, "", "", -1) for file in files)
