"""The label folders of an archive, in the order in which its unpacked files would be listed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genspot.common.errors import GenspotError
from genspot.common.text import safe_repr
from genspot.data.label_folders import OUTSIDE, first_of
from genspot.data.settings import Labels
from genspot.data.walk import EXTENSIONS, LeftOut, is_passed_over

OTHER_NAME = f"a member whose name ends in none of {', '.join(EXTENSIONS)}"


@dataclass(frozen=True)
class MemberFolder:
    """The images of one label folder of an archive, at any depth below it.

    Attributes:
        folder: its name in the archive.
        class_name: the name of the folder that it lies in; "" at the top.
        label: 0 real, 1 fake.
        names: of the images, relative to it, in the order of `genspot.data.walk.find_images`.
        rows: of the images in the table of members.
        left_out: other members, relative to it.
    """

    folder: str
    class_name: str
    label: int
    names: pa.Array
    rows: np.ndarray
    left_out: list[LeftOut]


def find_member_folders(
    names: pa.Array, title: str, labels: Labels
) -> tuple[list[MemberFolder], list[LeftOut]]:
    """Return the label folders among the members of an archive, and what lies outside of them.

    Hidden members and `__MACOSX` are passed over, as in folders. A member is an image by its name
    alone.

    Args:
        names: of the members, with slashes.
        title: of the archive, for messages.
        labels: names of the label folders.

    Raises:
        GenspotError: there is no image, or a class lacks real or fake ones.
    """
    parents = pc.replace_substring_regex(names, r"/?[^/]*$", "").dictionary_encode()
    folders = parents.dictionary.to_pylist()
    codes = parents.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(folders)))
    inner: dict[str, dict[str, np.ndarray]] = defaultdict(dict)  # by label folder, then by folder
    outside: list[LeftOut] = []
    known = _label_names(folders, labels)
    for folder, rows in zip(folders, np.split(order, ends[:-1]), strict=True):
        parts = folder.split("/")
        if any(part and is_passed_over(part) for part in parts):
            continue
        found = [depth for depth, part in enumerate(parts) if part.casefold() in known]
        if len(found) == 1:
            inner["/".join(parts[: found[0] + 1])][folder] = rows
        else:
            outside += [(name, OUTSIDE) for name in names.take(rows).to_pylist()]
    found_folders = [
        _make_folder(folder, known[folder.rpartition("/")[2].casefold()], parts, names)
        for folder, parts in sorted(inner.items())
    ]
    _check_labels(found_folders, title, outside)
    return found_folders, sorted(outside)


def _label_names(folders: list[str], labels: Labels) -> dict[str, int]:
    """Return the names that count: the first ones alone where one of them is there."""
    first = {name.casefold(): label for name, label in labels.first.items()}
    parts = {part.casefold() for folder in folders for part in folder.split("/")}
    return first if parts & first.keys() else labels.values


def _make_folder(
    folder: str, label: int, parts: dict[str, np.ndarray], names: pa.Array
) -> MemberFolder:
    """Return a label folder with the members of it and of the folders below it, `parts`."""
    images: list[str] = []
    rows: list[int] = []
    left_out: list[LeftOut] = []
    for place in sorted(parts):
        pairs = sorted(zip(names.take(parts[place]).to_pylist(), parts[place], strict=True))
        for path, row in pairs:
            name = path[len(folder) + 1 :]
            if is_passed_over(path[len(place) + 1 :]):
                continue
            if not path.lower().endswith(EXTENSIONS):
                left_out.append((name, OTHER_NAME))
                continue
            images.append(name)
            rows.append(row)
    return MemberFolder(
        folder,
        folder.rpartition("/")[0],
        label,
        pa.array(images, pa.large_string()),
        np.array(rows, np.int64),
        sorted(left_out),
    )


def _check_labels(folders: list[MemberFolder], title: str, outside: list[LeftOut]) -> None:
    """Raise GenspotError if there is no image, or a class lacks real or fake ones."""
    if not any(len(one.names) for one in folders):
        raise GenspotError(f"{title}: it holds no images in label folders{first_of(outside)}")
    there = {(one.class_name, one.label) for one in folders if len(one.names)}
    for class_name in sorted({one.class_name for one in folders}):
        for label, kind in enumerate(("real", "fake")):
            if (class_name, label) not in there:
                where = f"its folder {safe_repr(class_name)}" if class_name else "it"
                raise GenspotError(f"{title}: {where} holds no {kind} images")
