"""Training and test sets as tables of samples, with a hint for each that is missing."""

from __future__ import annotations

import glob
import itertools
import logging
import os
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.common.ranks import is_rank_zero
from genspot.data.image_rows import warn_of_large_row_groups
from genspot.data.layout import Listing, join_listings
from genspot.data.packed.reader import PackedReader, open_packed, require_folder
from genspot.data.places import load_samples, missing_path
from genspot.data.settings import (
    DEFAULT_LABELS,
    SPLIT_NAMES,
    TRAINING_SPLITS,
    Classes,
    Place,
    Split,
    TestSet,
    TrainingSet,
)
from genspot.data.splits import load_part, load_parts

log = logging.getLogger(__name__)

DOWNLOAD_PAGE = (
    "Download {names} from {page} and unpack as docs/test_sets.md says, or set paths.{path}=PATH"
)
DOWNLOAD_PAGES = (
    "Their releases: {pages}; docs/test_sets.md lists all sets and where to unpack them; or set "
    "paths.{path}=PATH"
)
ELSEWHERE = "paths.{path}=PATH names another folder"
SIMULATED = "data=simulated works without any download"
NAMED = 3  # missing sets that a message names
FILES = (".zip", ".parquet", ".arrow", ".csv", ".tsv", ".txt")  # places that are no folders


def load_training_set(
    source: TrainingSet, split: Split, seed: int
) -> tuple[Listing, PackedReader | None]:
    """Return the images of a training set, and their reader if they are packed.

    Args:
        source: of the samples.
        split: "train" or "val".
        seed: of the draw of classes.

    Raises:
        GenspotError: a folder is not set, is missing, or lacks real or fake images.
    """
    if source.parts:
        _require_test_sets(source.parts)
        return load_parts(source.parts, split), None
    folder = source.train if split == "train" else source.val
    if not folder:
        raise GenspotError(f"data={source.name} needs data.train=PATH and data.val=PATH")
    reader = None
    classes = choose_classes(source, split, seed)
    if source.format == "packed":
        packed = require_folder(folder, source.name)
        listing, reader = open_packed(packed, source.name, classes, source.labels, source.offer)
    else:
        _require_training_images(source, split)
        listing = load_samples(folder, source.name, classes, source.labels)
        if split == "train":
            warn_of_large_row_groups(listing.table["path"])
    if len(listing.table["label"].unique()) < 2:
        raise GenspotError(f"{source.name}: {folder} lacks real or fake images")
    return listing, reader


def choose_classes(source: TrainingSet, split: Split, seed: int) -> Classes:
    """Return the classes to use: all that are declared, or `num_classes` of them.

    They are drawn with `seed`: which classes Wang et al. took is not published.

    Raises:
        GenspotError: there are fewer classes.
    """
    classes = source.classes
    if source.num_classes is None or (split == "val" and classes == "any"):
        return classes
    if classes == "any":
        found = load_samples(source.train or "", source.name, classes, source.labels)
        classes = sorted(found.table["class"].unique().to_pylist())
    available = len(classes or [])
    if classes is None or source.num_classes > available:
        raise GenspotError(
            f"data.num_classes={source.num_classes}: {source.name} has {available} classes"
        )
    order = np.random.default_rng(seed).permutation(available)
    return sorted(classes[number] for number in order[: source.num_classes])


def require_images(source: TrainingSet | None, test_sets: Sequence[TestSet]) -> None:
    """Raise GenspotError if images of a training or a test are missing that are not built here."""
    if source and not (source.simulator or source.parts or source.format == "packed"):
        for split in TRAINING_SPLITS:
            _require_training_images(source, split)
    parts = source.parts if source else ()
    for sets, key in ((parts, "train"), (parts, "val"), (test_sets, "path")):
        _require_test_sets([one for one in sets if not one.simulator], key)


def _require_training_images(source: TrainingSet, split: Split) -> None:
    """Raise GenspotError if the images of `split` are not named or missing."""
    folder = source.train if split == "train" else source.val
    if not folder:
        raise GenspotError(f"data={source.name} needs data.train=PATH and data.val=PATH")
    own = {source.name} if source.own else set()
    offers = {source.name: source.offer}
    require_folders({source.name: folder}, split, own, offers=offers)
    if source.offer and isinstance(folder, str):  # it may be that of other classes
        classes = source.classes if isinstance(source.classes, list) else []
        parts = {name: os.path.join(folder, name) for name in classes}
        if gone := [name for name, path in parts.items() if missing_path(path)]:
            raise GenspotError(
                f"no data for {source.name}: {folder} lacks the class folders {', '.join(gone)}. "
                f"{source.offer}"
            )


def load_test_sets(test_sets: list[TestSet]) -> Listing:
    """Return the images of all test sets, one set after the other.

    Raises:
        GenspotError: a folder is not set, is missing or has another layout.
    """
    _require_test_sets(test_sets)
    return join_listings([load_part(test_set, "test") for test_set in test_sets])


def _require_test_sets(test_sets: Sequence[TestSet], key: str = "path") -> None:
    """Raise GenspotError if the images of a set at `path`, `train` or `val` are missing.

    So it does if there is no `path`.
    """
    folders: dict[str, Place] = {}
    for test_set in test_sets:
        place = getattr(test_set, key)
        if not place and key == "path":
            raise GenspotError(f"generator={test_set.choice} has no path to its images")
        folders |= {test_set.choice: place} if place else {}
    own = {test_set.choice for test_set in test_sets if test_set.own}
    pages = {test.choice: test.download for test in test_sets if test.download}
    offers = {test.choice: test.offer for test in test_sets}
    require_folders(folders, "test", own, pages, offers)


def list_if_there(place: Place, test_sets: list[TestSet]) -> Listing | None:
    """Return the images at `place`, with the labels of `test_sets`; None if they are not there."""
    labels = test_sets[0].labels if test_sets else DEFAULT_LABELS
    if missing_path(place) is None:
        with suppress(GenspotError):  # another layout
            return load_samples(place, "training images", "any", labels)
    return None


def warn_of_skipped(listing: Listing, split: Split) -> None:
    """Log how much of the images of `split` was left out, on the first process."""
    if len(listing.skipped) and is_rank_zero():
        first = listing.skipped.slice(0, 1).to_pylist()[0]
        log.warning(
            "%d files and folders of the %s images are left out; unreadable.csv in the run's "
            "folder lists them. The first: %s (%s)",
            len(listing.skipped),
            SPLIT_NAMES[split],
            first["path"],
            first["reason"],
        )


def describe_shared_images(listings: Mapping[Split, Listing]) -> list[str]:
    """Return one line on the splits that share files, and one on test sets that share fakes.

    Links and hard links to one file are that file; a copy of it is another.
    """
    splits = [split for split in SPLIT_NAMES if split in listings]
    shared = {
        (one, other): np.intersect1d(listings[one].file_ids, listings[other].file_ids)
        for one, other in itertools.combinations(splits, 2)
    }
    lines = []
    involved = {split for pair, ids in shared.items() if ids.size for split in pair}
    if involved:
        common = np.unique(np.concatenate(list(shared.values())))
        *others, last = (split for split in splits if split in involved)
        row = np.flatnonzero(np.isin(listings[last].file_ids, common))[0]
        names = ", ".join(SPLIT_NAMES[split] for split in others)
        lines.append(
            f"The {names} and {SPLIT_NAMES[last]} sets share images: {common.size} files, the "
            f"first {listings[last].table['path'][row]}. The figures do not hold for other images."
        )
    if "test" in listings and (sets := _sharing_fakes(listings["test"])):
        lines.append(f"The test sets {', '.join(sets[:-1])} and {sets[-1]} share fake images.")
    return lines


def _sharing_fakes(listing: Listing) -> list[str]:
    """Return the names of the test sets that have a fake image in common with another one."""
    fakes = listing.table["label"].to_numpy() == 1
    names = listing.table["generator"].cast(pa.string()).to_numpy()[fakes]
    names, codes = np.unique(names.astype(str), return_inverse=True)
    ids, codes = np.unique(np.stack([listing.file_ids[fakes], codes]), axis=1)
    found, counts = np.unique(ids, return_counts=True)
    return names[np.unique(codes[np.isin(ids, found[counts > 1])])].tolist()


def require_folders(
    folders: Mapping[str, Place],
    path: str,
    own: Set[str],
    pages: Mapping[str, str] | None = None,
    offers: Mapping[str, str] | None = None,
) -> None:
    """Raise if images are missing: all sets at once, and before any training.

    Args:
        folders: where the images of each data set are.
        path: the setting below `paths` that says where the data sets are.
        own: the data sets of the user's own, which nobody can download.
        pages: data set → page of its release, where that is known.
        offers: data set → the command that fetches it, see `TrainingSet.offer`; "": none does.

    Raises:
        GenspotError: with what to do about it.
    """
    missing = {name: gone for name, place in folders.items() if (gone := missing_path(place))}
    if not missing:
        return
    missing = dict(sorted(missing.items(), key=lambda one: one[0] not in own))
    first = next(iter(missing))
    if first in own:
        hint = _where_it_may_be(folders[first])
    else:
        hint = _where_to_get(missing, path, pages or {}, offers or {})
        if len(missing) < len(folders):
            present = ",".join(name for name in folders if name not in missing)
            hint = f"To test on what is here: generator=[{present}]. {hint}"
    if len(missing) <= NAMED:
        gone = f"{', '.join(missing)}: no {_kind_of(missing[first])} {missing[first]}"
    else:
        named = itertools.islice(missing.items(), NAMED)
        few = ", ".join(f"{name} (no {_kind_of(gone)} {gone})" for name, gone in named)
        gone = f"{len(missing)} sets: {few} and {len(missing) - NAMED} more"
    raise GenspotError(f"no data for {gone}. {hint}")


def _where_it_may_be(place: Place) -> str:
    """Return what to do about a missing set of the user's own."""
    if isinstance(place, str) and _kind_of(place) == "folder":
        return "Give the folder that holds 0_real/ and 1_fake/, or another form of docs/data.md"
    return f"Check the path; the working directory is {os.getcwd()}"


def _kind_of(path: str) -> str:
    if glob.has_magic(path):
        return "file matches"
    return "file" if os.path.splitext(path)[1].lower() in FILES else "folder"


def _where_to_get(
    missing: Mapping[str, str], path: str, pages: Mapping[str, str], offers: Mapping[str, str]
) -> str:
    """Return how to get the missing data sets: one sentence for each command and release."""
    commands: dict[str, list[str]] = {}
    releases: dict[str, list[str]] = {}
    for name in missing:
        if offer := offers.get(name):
            commands.setdefault(offer, []).append(name)
        elif page := pages.get(name):
            releases.setdefault(page, []).append(name)
    hints = [offer.replace("{names}", ",".join(names)) for offer, names in commands.items()]
    if len(missing) > NAMED and releases:
        hints.append(DOWNLOAD_PAGES.format(pages=", ".join(releases), path=path))
        releases = {}
    for page, names in releases.items():
        which = "them" if len(names) == len(missing) else ", ".join(names)
        hints.append(DOWNLOAD_PAGE.format(names=which, page=page, path=path))
    if commands or not hints:
        hints.append(ELSEWHERE.format(path=path) + (f"; {SIMULATED}" if path != "test" else ""))
    return ". ".join(hints)
