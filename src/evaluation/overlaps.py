"""What duplicates mean for the sets of images that hold them, judged by fixed rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genspot.evaluation.duplicates import Pairs, copies_by_group
from genspot.evaluation.shortcuts import Judgement


class Rule(NamedTuple):
    """From which share of a set's images on an overlap is slight, and decisive."""

    slight: float  # a share above it
    decisive: float  # a share above it
    counted: str  # what the share is of
    finding: str  # of an image that counts
    fix: str


NEVER = 1.0  # no share is above it
TEST_IN_TRAINING = "test images in the training set"
TEST_IN_VALIDATION = "test images in the validation set"
VALIDATION_IN_TRAINING = "validation images in the training set"
BOTH_LABELS = "images under both labels"
REPEATED = "repeated images"
NEARLY_REPEATED = "nearly repeated images"
SHARED_FAKES = "fakes of another test set"
SHARED_REALS = "real images of another test set"
SAME_SCENE = "same scene as real and fake"
RULES = {
    TEST_IN_TRAINING: Rule(
        0,
        0.01,
        "images",
        "are in the training set too",
        "Remove them from the training set and train again, or remove them from the test set.",
    ),
    TEST_IN_VALIDATION: Rule(
        0,
        0.1,
        "images",
        "are in the validation set too, which chooses the epoch and the threshold",
        "Remove them from the validation set or from the test set.",
    ),
    VALIDATION_IN_TRAINING: Rule(
        0,
        0.1,
        "images",
        "are in the training set too",
        "Remove them from the validation set: it would not show when a training begins to learn "
        "its images by heart.",
    ),
    BOTH_LABELS: Rule(
        0,
        0.01,
        "images",
        "are there with the other label too, pixel by pixel",
        "Find out which label is right, and remove the other copy.",
    ),
    REPEATED: Rule(
        0.01, 0.5, "images", "are in this set more than once", "Keep one of each group."
    ),
    NEARLY_REPEATED: Rule(
        0.01,
        NEVER,
        "images",
        "have a near duplicate in this set",
        "Keep one of each group, or take the intervals for too narrow.",
    ),
    SHARED_FAKES: Rule(
        0.01,
        NEVER,
        "fakes",
        "are fakes of another test set too",
        "Leave one of the sets out of a mean, which counts them twice.",
    ),
    SHARED_REALS: Rule(NEVER, NEVER, "real images", "are real images of another test set too", ""),
    SAME_SCENE: Rule(
        NEVER, NEVER, "images", "show a scene that is in this set as real and as fake", ""
    ),
}
SPLITS = {"test": "test", "train": "training", "val": "validation"}  # in words
LEAKS = {  # of the first split into the second
    ("test", "train"): TEST_IN_TRAINING,
    ("test", "val"): TEST_IN_VALIDATION,
    ("val", "train"): VALIDATION_IN_TRAINING,
}


class ImageSet(NamedTuple):
    """A set of images by name and split ("train", "val" or "test")."""

    name: str
    split: str


@dataclass(frozen=True)
class Overlap:
    """Images of one set that have copies where they matter.

    Attributes:
        rule: key of `RULES`.
        where: the set whose images are counted.
        others: the other sets with copies.
        equal: images with a copy of equal pixels.
        near: images whose copies all differ: in their compression, their size or a little more.
        total: images that could have such copies.
        rows: of these images in the table of probes, those with equal pixels first.
    """

    rule: str
    where: ImageSet
    others: tuple[ImageSet, ...]
    equal: int
    near: int
    total: int
    rows: np.ndarray

    @property
    def images(self) -> int:
        """Images with copies."""
        return self.equal + self.near

    @property
    def share(self) -> float:
        """Share of `total` that has copies."""
        return self.images / self.total

    @property
    def judgement(self) -> Judgement:
        """By `RULES`."""
        rule = RULES[self.rule]
        if self.share > rule.decisive:
            return "decisive"
        return "slight" if self.share > rule.slight else "none"

    @property
    def text(self) -> str:
        """What was found, in a sentence with figures."""
        rule = RULES[self.rule]
        text = (
            f"{self.images:,} of {self.total:,} {rule.counted} ({self.share:.1%}) {rule.finding}"
        )
        if self.others and self.rule not in LEAKS.values():
            text += f" ({', '.join(other.name for other in self.others)})"
        if self.equal and self.near:
            text += f": {self.equal:,} pixel by pixel, {self.near:,} nearly"
        return f"{text}."

    @property
    def fix(self) -> str:
        """What to do about it; "" for nothing."""
        return RULES[self.rule].fix


def find_overlaps(
    pairs: Pairs, sets: Sequence[ImageSet], set_of: np.ndarray, labels: np.ndarray
) -> list[Overlap]:
    """Return the overlaps within and between sets, in the order of `sets` and of `RULES`.

    Args:
        pairs: among N images.
        sets: all of them.
        set_of: place in `sets` of the set of each image, N.
        labels: of the images, N: 0 real, 1 fake.
    """
    copies = copies_by_group(pairs, 2 * set_of + labels, 2 * len(sets))
    by_label = [one.reshape(len(labels), len(sets), 2) for one in copies]
    rows = np.arange(len(labels))
    same, other = (
        _Matrices(*(one[rows, :, label] for one in by_label)) for label in (labels, 1 - labels)
    )
    nothing = np.zeros_like(same.near)
    evidence = {
        "same label": same,
        "equal": _Matrices(same.equal, nothing),
        "near": _Matrices(nothing, same.near & ~same.equal),
        "other label": _Matrices(other.equal, nothing),
        "scene": _Matrices(nothing, other.near & ~other.equal),
        # An image that has another label in the training set was trained on all the same.
        "leak": _Matrices(same.equal | other.equal, same.near),
    }
    found = []
    for number in range(len(sets)):
        for rule, kind, counted, others in _questions(sets, number):
            chosen = (set_of == number) & np.isin(labels, counted)
            overlap = _overlap(rule, sets, number, chosen, evidence[kind], others)
            if overlap.images:
                found.append(overlap)
    return found


class _Question(NamedTuple):
    rule: str
    evidence: str
    labels: tuple[int, ...]  # of the images that are counted
    places: list[int]  # of the sets in which copies are looked for


def _questions(sets: Sequence[ImageSet], number: int) -> list[_Question]:
    """Return what is asked of a set."""
    split, real, fake, both = sets[number].split, (0,), (1,), (0, 1)
    others = [place for place in range(len(sets)) if place != number]
    peers = [place for place in others if sets[place].split == split]
    asked = []
    for (one, against), rule in LEAKS.items():
        if one == split:
            places = [place for place in others if sets[place].split == against]
            asked.append(_Question(rule, "leak", both, places))
    asked += [
        _Question(BOTH_LABELS, "other label", both, [number, *others]),
        _Question(REPEATED, "equal", both, [number]),
        _Question(NEARLY_REPEATED, "near", both, [number]),
    ]
    if split == "test":  # several generators may render one scene alike: equal fakes alone count
        asked.append(_Question(SHARED_FAKES, "equal", fake, peers))
        asked.append(_Question(SHARED_REALS, "same label", real, peers))
    return [*asked, _Question(SAME_SCENE, "scene", both, [number])]


class _Matrices(NamedTuple):
    """For N images and S sets, whether the set has copies of the image: N×S truth values."""

    equal: np.ndarray
    near: np.ndarray


def _overlap(
    rule: str,
    sets: Sequence[ImageSet],
    number: int,
    chosen: np.ndarray,
    matrices: _Matrices,
    others: list[int],
) -> Overlap:
    """Return the `chosen` images of the set `number` that have copies in the sets `others`."""
    equal, near = (one[:, others] & chosen[:, None] for one in matrices)
    used = (equal | near).any(axis=0)
    with_copies = [
        sets[place] for place, has in zip(others, used, strict=True) if has and place != number
    ]
    is_equal = equal.any(axis=1)
    is_near = near.any(axis=1) & ~is_equal
    return Overlap(
        rule,
        sets[number],
        tuple(with_copies),
        int(is_equal.sum()),
        int(is_near.sum()),
        int(chosen.sum()),
        np.concatenate([np.flatnonzero(is_equal), np.flatnonzero(is_near)]),
    )
