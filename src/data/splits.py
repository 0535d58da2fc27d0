"""Training, validation and test parts of one set of images.

Each image belongs to one of ten tenths, by a digest of its class and the stem of its file's name:
a real image and a fake of one scene stay together, and so do the real images that sets share. The
digest does not depend on the machine, on the other images, or on where the set lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.data.layout import Listing, join_listings
from genspot.data.places import load_samples
from genspot.data.settings import Split, TestSet

COUNT = 10
# The tenths of each part of a set that is divided.
PARTS: Mapping[Split, tuple[int, ...]] = {"train": tuple(range(8)), "val": (8,), "test": (9,)}
# The same of training images that have test images beside them.
TRAINING_PARTS: Mapping[Split, tuple[int, ...]] = {"train": (*range(8), 9), "val": (8,)}
PART_NAMES = {"train": "training", "val": "validation", "test": "test"}


def load_parts(sets: Iterable[TestSet], split: Split) -> Listing:
    """Return the training or validation images of all `sets`, one set after the other.

    Raises:
        GenspotError: see `load_part`.
    """
    return join_listings([load_part(one, split) for one in sets])


def load_part(one: TestSet, split: Split) -> Listing:
    """Return the training, validation or test images of one set.

    Those are the images at `train`, `val` and `path` of the set. Training images without
    validation images are divided by `TRAINING_PARTS`; a set without either by `PARTS`, where its
    test needs a part alone.

    Raises:
        GenspotError: a place is missing or has another layout; the training or validation images
            lack real or fake ones; or a test part lacks those that the set has.
    """
    place, taken = one.path, PARTS[split] if one.divided or split != "test" else None
    if split != "test" and one.train:
        place, taken = one.train, None if one.val else TRAINING_PARTS[split]
        if split == "val" and one.val:
            place = one.val
    listing = load_samples(place or "", one.name, one.classes, one.labels)
    found = listing if taken is None else take_tenths(listing, taken, one.by_class)
    _check_labels(one, split, listing, found)
    return found


def _check_labels(one: TestSet, split: Split, whole: Listing, part: Listing) -> None:
    """Raise GenspotError if `part` of `whole` has no real images, or no fakes."""
    expected = {0, 1} if split != "test" else set(whole.table["label"].to_pylist())
    lacking = expected - set(part.table["label"].to_pylist())
    if not lacking:
        return
    total, kind = len(whole.table), " and ".join(("real", "fake")[label] for label in lacking)
    which = f"the {PART_NAMES[split]} images"
    if len(part.table) < total:
        which += f" ({len(part.table)} of the {total} of the set, by a digest of "
        which += "the classes' names)" if one.by_class else "class and file name)"
    leave_out = "" if split == "test" else f", or leave it out: data.hold_out=[{one.name}]"
    raise GenspotError(
        f"{one.name}: {which} lack {kind} images; give more images, or name the parts: "
        f"generator.{one.choice}.train=PATH and .val=PATH{leave_out}"
    )


def tenths(samples: pa.Table, by_class: bool = False) -> np.ndarray:
    """Return the tenth, from 0 to 9, that each of N images belongs to.

    It is ten times the fraction that the first eight bytes of the SHA-256 of "CLASS/STEM" are of
    2^64; STEM is the name of the file without its folder and extension.

    Args:
        samples: a table with the columns `path` and `class`.
        by_class: whether all images of a class belong together: "CLASS" alone is digested.
    """
    classes = samples["class"].cast(pa.string()).to_pylist()
    if by_class:
        known = {name: _tenth(name) for name in set(classes)}
        found: Iterable[int] = (known[name] for name in classes)
    else:
        paths = samples["path"].to_pylist()
        found = (
            _tenth(f"{name}/{_stem(path)}") for name, path in zip(classes, paths, strict=True)
        )
    return np.fromiter(found, np.int8, len(samples))


def take_tenths(listing: Listing, taken: Iterable[int], by_class: bool = False) -> Listing:
    """Return the images of `listing` in the tenths `taken`, and of what is left out the same."""
    wanted = list(taken)
    of_images = np.isin(tenths(listing.table, by_class), wanted)
    of_skipped = np.isin(tenths(listing.skipped, by_class), wanted)
    ids = listing.file_ids
    return replace(
        listing,
        table=listing.table.filter(pa.array(of_images)),
        skipped=listing.skipped.filter(pa.array(of_skipped)),
        file_ids=ids[of_images] if ids.size else ids,
    )


def _tenth(name: str) -> int:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") * COUNT >> 64


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name
