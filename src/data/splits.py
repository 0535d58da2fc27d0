"""Training, validation and test parts of one set of images.

All images of a scene, that is of one class and one stem of the file's name, are in one part: a
real image and a fake of it stay together. The scenes with a real image are put in the order of a
digest of their names, and so are those without; the first 80% of each order train, the next 10%
validate, and the last 10% are tested. So the part of a real image depends on the names of the
set's real images alone: sets that share these divide them the same way, whatever their fakes. It
does not depend on the machine, or on where the set lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genspot.common.errors import GenspotError
from genspot.data.layout import Listing, join_listings
from genspot.data.places import load_samples
from genspot.data.settings import SPLIT_NAMES, Split, TestSet

TRAIN, VAL, TEST = range(3)
TENTH = 10  # 1 / TENTH of the scenes validate, and as many are tested
MIN_SCENES = 3  # from which on each part has one
# Which of them make up each part of a set that is divided.
PARTS: Mapping[Split, tuple[int, ...]] = {"train": (TRAIN,), "val": (VAL,), "test": (TEST,)}
# The same of training images that have test images beside them.
TRAINING_PARTS: Mapping[Split, tuple[int, ...]] = {"train": (TRAIN, TEST), "val": (VAL,)}


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
    found = listing if taken is None else take_parts(listing, taken, one.by_class)
    _check_labels(one, split, listing, found)
    return found


def _check_labels(one: TestSet, split: Split, whole: Listing, part: Listing) -> None:
    """Raise GenspotError if `part` of `whole` has no real images, or no fakes."""
    expected = {0, 1} if split != "test" else set(whole.table["label"].to_pylist())
    lacking = expected - set(part.table["label"].to_pylist())
    if not lacking:
        return
    total, kind = len(whole.table), " and ".join(("real", "fake")[label] for label in lacking)
    which = f"the {SPLIT_NAMES[split]} images"
    if len(part.table) < total:
        unit = "classes" if one.by_class else "scenes (class and file name)"
        which += f" ({len(part.table)} of the {total} of the set, which is divided by {unit})"
    advice = "give more images, or name its training and validation images in a file, as"
    advice += ' docs/testing.md says in "A test set of your own"'
    if split != "test":
        advice += f"; or leave it out of the training: data.hold_out=[{one.name}]"
    raise GenspotError(f"{one.name}: {which} lack {kind} images; {advice}")


def take_parts(listing: Listing, taken: Iterable[int], by_class: bool = False) -> Listing:
    """Return the images of `listing` in the parts `taken`, and of what is left out the same.

    Args:
        listing: of one set.
        taken: some of `TRAIN`, `VAL` and `TEST`.
        by_class: whether a class counts as one scene.
    """
    count, ids = len(listing.table), listing.file_ids
    labels = listing.table["label"].to_numpy()
    # What is left out has no label that counts: it must not change where images belong.
    labels = np.concatenate([labels, np.full(len(listing.skipped), -1)])
    scenes = _scenes(listing.table, by_class) + _scenes(listing.skipped, by_class)
    wanted = np.isin(divide(scenes, labels), list(taken))
    return replace(
        listing,
        table=listing.table.filter(pa.array(wanted[:count])),
        skipped=listing.skipped.filter(pa.array(wanted[count:])),
        file_ids=ids[wanted[:count]] if ids.size else ids,
    )


def divide(scenes: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Return the part, `TRAIN`, `VAL` or `TEST`, that each of N images belongs to.

    Scenes without a real image, and scenes without any image that counts, are divided apart from
    the others. If fakes were then missing in a part though `MIN_SCENES` have some, real images
    alone and real images with a fake are divided apart, too.

    Args:
        scenes: the scene of each image.
        labels: of each image: 0 real, 1 fake; others do not count.
    """
    names = pa.array(scenes, pa.large_string()).dictionary_encode()
    codes, found = names.indices.to_numpy(), names.dictionary.to_pylist()
    has = np.zeros((2, len(found)), bool)  # real images and fakes
    for label in (0, 1):
        has[label, codes[labels == label]] = True
    digests = [hashlib.sha256(name.encode()).digest() for name in found]
    order = np.array(sorted(range(len(found)), key=digests.__getitem__), int)
    parts = _by_rank(order, 2 * has[0] + (~has[0] & has[1]))
    if has[1].sum() >= MIN_SCENES and len(np.unique(parts[has[1]])) < len(PARTS):
        parts = _by_rank(order, 2 * has[0] + has[1])
    return parts[codes]


def describe_divided(samples: pa.Table, names: Sequence[str]) -> list[str]:
    """Return one line on the test sets `names`, of which `samples` has the test part alone.

    Without any, no line.
    """
    counts = []
    for name in names:
        part = samples.filter(pc.equal(samples["generator"], name))
        labels = part["label"].to_numpy()
        real, fake = (int((labels == label).sum()) for label in (0, 1))
        counts.append(f"{name} ({real} real and {fake} fake images)")
    if not counts:
        return []
    return [
        "Of sets without training images of their own, only the test part is scored, about a "
        f"tenth: {', '.join(counts)}."
    ]


def _by_rank(order: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Return the part of each scene: each stratum is divided in `order`, a row of scenes."""
    parts = np.full(len(strata), TRAIN, np.int8)
    for stratum in np.unique(strata):
        ranked = order[strata[order] == stratum]
        nearest = (len(ranked) + TENTH // 2) // TENTH
        count = max(1, nearest) if len(ranked) >= MIN_SCENES else 0
        train = len(ranked) - 2 * count
        parts[ranked[train : train + count]] = VAL
        parts[ranked[train + count :]] = TEST
    return parts


def _scenes(samples: pa.Table, by_class: bool) -> list[str]:
    """Return the scene of each of N images: "CLASS/STEM", or its class alone.

    STEM is the name of the file without its folder and extension.
    """
    classes: list[str] = samples["class"].cast(pa.string()).to_pylist()
    if by_class:
        return classes
    paths = samples["path"].to_pylist()
    return [f"{name}/{_stem(path)}" for name, path in zip(classes, paths, strict=True)]


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name
