"""Copies of sets of images in which all are changed by one protocol: PNG files without metadata.

The copy of a set has the released layout, `SET/[CLASS/]{0_real,1_fake}/NAME.png`. Beside it,
`SET.csv` says for each image of the source where its copy is, or why there is none; `recipe.json`
says by which protocol the copies were made.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from torch.utils.data import Dataset

from genspot.common.containers import container_of
from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write, read_json, write_json
from genspot.common.tables import decode_dictionaries, write_csv
from genspot.data import image_io
from genspot.data.label_folders import LABELS
from genspot.data.loaders import read_in_order

RECIPE = "recipe.json"
LOCK = ".lock"
OTHER_FOLDER = "give another folder, task.output=PATH"
VERSION = 1  # of the recipe's form
LABEL_FOLDERS = tuple(LABELS)  # by their labels
MAX_STEM = 200  # bytes of a file's name, to which a number and endings are added
COMPRESSION = 3  # of zlib: 6 takes twice the time for files of the same size
SAMPLE = 32  # images of a set that are encoded to estimate the size of its copy
BATCH = 16

Load = Callable[[int], np.ndarray]


class CopyDataset(Dataset[Any]):
    """Writes the copy of an image where there is none; indexed by row.

    An item is (row, reason): why there is no copy, or "".

    Args:
        paths: of the images.
        copies: paths of their copies, relative to `folder`.
        folder: of the copy of the set.
        load: a function from a row to the pixels of its copy.
    """

    def __init__(self, paths: Any, copies: pa.Array, folder: Path, load: Load) -> None:
        self.paths, self.copies, self.folder, self.load = paths, copies, folder, load

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[int, str]:
        copy = self.folder / self.copies[row].as_py()
        if is_current(copy, self.paths[row].as_py()):
            return row, ""
        try:
            content = encode(self.load(row))
        except Exception as error:  # a broken file can raise nearly anything
            return row, image_io.describe_error(error)
        try:
            with atomic_write(copy) as partial:
                partial.write_bytes(content)
        except OSError as error:
            raise GenspotError(
                f"{copy} cannot be written: {error.strerror}; the same command continues"
            ) from error
        return row, ""


def encode(pixels: np.ndarray) -> bytes:
    """Return `pixels` (`uint8`, H×W×3) as a PNG file without metadata."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=COMPRESSION)
    return file.getvalue()


def is_current(copy: Path, source: str) -> bool:
    """Return whether there is a copy that is no older than its source."""
    try:
        status = os.stat(copy)
        return status.st_size > 0 and status.st_mtime_ns >= _modified(source)
    except OSError:
        return False


def _modified(path: str) -> int:
    return os.stat(container_of(path)).st_mtime_ns


def name_copies(table: pa.Table) -> pa.Array:
    """Return the path of the copy of each image of a table of samples, below its set's folder.

    A copy has the name of its source. Where two of one folder have one name, as a.jpg and a.png,
    the later ones get a number, a_2.png; upper and lower case do not distinguish them.
    """
    table = decode_dictionaries(table)
    columns = (table[name].to_pylist() for name in ("path", "class", "label"))
    taken: set[str] = set()
    copies = []
    for path, class_name, label in zip(*columns, strict=True):
        folder = "/".join([*_class_folders(class_name or ""), LABEL_FOLDERS[label]])
        stem = _safe(os.path.splitext(os.path.basename(path))[0])
        name, number = stem, 1
        while f"{folder}/{name}".casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(f"{folder}/{name}".casefold())
        copies.append(f"{folder}/{name}.png")
    return pa.array(copies, pa.large_string())


def _class_folders(name: str) -> list[str]:
    """Return the folders of a class, which stay below that of the set whatever its name is."""
    parts = [part for part in name.split("/") if part]
    return [f"_{part}" if part in LABEL_FOLDERS else _safe(part) for part in parts]


def _safe(name: str) -> str:
    """Return `name` as that of a file that is not hidden, passed over or too long."""
    name = "".join(one if one.isprintable() and one not in "/\\" else "_" for one in name)
    name = name.encode()[:MAX_STEM].decode(errors="ignore")
    return f"_{name}" if not name or name[0] == "." or name == "__MACOSX" else name


def refuse_foreign(folder: Path) -> None:
    """Raise GenspotError if `folder` holds something else than copies."""
    if folder.is_dir():
        names = {one.name for one in folder.iterdir()}
        if names - {LOCK} and RECIPE not in names:
            raise GenspotError(f"{folder} holds something else than copies; {OTHER_FOLDER}")
    elif os.path.lexists(folder):
        raise GenspotError(f"{folder} is no folder; {OTHER_FOLDER}")


def open_recipe(
    folder: Path, protocol: str, sets: Mapping[str, tuple[str, int]]
) -> dict[str, Any]:
    """Return the recipe of the copies in `folder`, with these sets, and write it there.

    Args:
        folder: of all copies; it may be new, or have copies by the same protocol.
        protocol: by which the copies are made.
        sets: name → digest of its images, and their number.

    Raises:
        GenspotError: the folder holds copies by another protocol or of other images, or a set has
            the name of one of its files.
    """
    file = folder / RECIPE
    other = OTHER_FOLDER
    recipe: dict[str, Any] = {"version": VERSION, "protocol": protocol, "sets": {}}
    if file.is_file():
        try:
            recipe = read_json(file)
            found, known = recipe["protocol"], recipe["sets"]
            digests = {name: known[name]["images_digest"] for name in known}
            if recipe["version"] != VERSION:
                raise ValueError("it was written by another version")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GenspotError(f"{file} cannot be used: {error}; {other}") from error
        if found != protocol:
            raise GenspotError(f"{folder} has copies by protocol={found}, not {protocol}; {other}")
        for name, (digest, _) in sets.items():
            if digests.get(name, digest) != digest:
                raise GenspotError(
                    f"{folder / name} is the copy of other images, or of fewer; remove it and its "
                    f"entry in {RECIPE}, or {other}"
                )
    for name, (digest, count) in sets.items():
        if name not in recipe["sets"] and os.path.lexists(folder / name):
            raise GenspotError(f"{folder / name} exists and is no copy; {other}")
        recipe["sets"].setdefault(
            name, {"images": count, "images_digest": digest, "complete": False}
        )
    files = {RECIPE, *(f"{name}.csv" for name in recipe["sets"])}
    for name in files & set(sets):
        raise GenspotError(f"{folder / name} is a file beside the copies: name the set otherwise")
    write_json(recipe, file)
    return recipe


def digest_of(table: pa.Table, copies: pa.Array) -> str:
    """Return a digest of the images of a table and the names of their copies."""
    digest = hashlib.sha256()
    for column in (table["path"].to_pylist(), copies.to_pylist()):
        digest.update(json.dumps(column).encode())
    return digest.hexdigest()


def check_space(folder: Path, missing: Mapping[str, tuple[Load, list[int]]]) -> int:
    """Return about how many bytes the copies will take that are missing.

    Args:
        folder: of all copies.
        missing: name of the set → function from a row to its pixels, and the rows.

    Raises:
        GenspotError: the disk has less space.
    """
    needed = 0
    for load, rows in missing.values():
        sizes = []
        for row in rows[:: max(1, len(rows) // SAMPLE)]:
            try:
                sizes.append(len(encode(load(row))))
            except Exception:  # reported when it is copied
                continue
        needed += int(np.mean(sizes) * len(rows)) if sizes else 0
    free = shutil.disk_usage(folder).free
    if needed > 0.95 * free:
        raise GenspotError(
            f"{folder} needs about {needed / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB "
            f"free; make room, or {OTHER_FOLDER}"
        )
    return needed


def missing_rows(table: pa.Table, copies: pa.Array, folder: Path) -> list[int]:
    """Return the rows of `table` without a current copy in `folder`."""
    pairs = zip(table["path"].to_pylist(), copies.to_pylist(), strict=True)
    return [row for row, (path, copy) in enumerate(pairs) if not is_current(folder / copy, path)]


def copy_set(
    table: pa.Table, copies: pa.Array, folder: Path, load: Load, workers: int | None
) -> dict[int, str]:
    """Write the copies of a set that are missing, and its list, `folder`.csv.

    Args:
        table: of samples.
        copies: see `name_copies`.
        folder: of the copy of the set.
        load: a function from a row to the pixels of its copy.
        workers: see `genspot.data.loaders.loader_options`.

    Returns:
        row → reason of the images without a copy.

    Raises:
        GenspotError: a copy cannot be written.
    """
    for copy in {os.path.dirname(copy) for copy in copies.to_pylist()}:
        (folder / copy).mkdir(parents=True, exist_ok=True)
    dataset = CopyDataset(table["path"], copies, folder, load)
    failed: dict[int, str] = {}
    for batch in read_in_order(dataset, workers, f"copying {folder.name}", BATCH):
        failed |= {row: reason for row, reason in batch["items"] if reason}
    reasons = [failed.get(row, "") for row in range(len(table))]
    names = [
        "" if reason else f"{folder.name}/{copy}"
        for copy, reason in zip(copies.to_pylist(), reasons, strict=True)
    ]
    columns = {"source": table["path"], "copy": names, "reason": reasons}
    write_csv(pa.table(columns), folder.with_name(f"{folder.name}.csv"))
    return failed


def close_recipe(folder: Path, recipe: dict[str, Any], name: str, copied: int) -> None:
    """Write into the recipe that the copy of the set `name` is complete."""
    recipe["sets"][name] |= {"copied": copied, "complete": True}
    write_json(recipe, folder / RECIPE)
