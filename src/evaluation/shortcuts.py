"""What tells the real images of a set from the fakes without looking at generation.

For each trait of the files a small classifier learns to tell the classes apart on four fifths of
the images and scores the others, in turn. The average precision of these out-of-fold scores, its
interval and its distance from chance decide:

- "decisive": the lower end of the interval lies at least half the way from chance to 1. A
  detector that learnt this trait alone would look good.
- "slight": the lower end lies above chance.
- "none": it does not.

The lower end is the higher of two: that of the jackknife's interval (`intervals`), and that of
the decisions at a probability of 0.5 (`decisions`), which is less far away where nearly all
decisions are right. It counts only if at least `SURE` of them are: the classifier chooses between
many values of a trait, and of few images some choice often looks a little better than chance. The
intervals hold for all traits at once (Bonferroni: each has the error probability divided by the
number of traits), so that a set without any difference has a trait that is not "none" with at most
about the error probability asked for. Of few images a difference may remain "none".

Images that belong together, such as a photo and its translation, or copies of one image, stay in
one fold: else the classifier would know those that it scores. Where several images of one class
belong together, the intervals are over such groups, not over images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from genspot.evaluation.clusters import ClusterContributions, sums_over_clusters
from genspot.evaluation.decisions import lowest_average_precision
from genspot.evaluation.folds import fold_numbers
from genspot.evaluation.intervals import (
    DEFAULT_CONFIDENCE,
    Term,
    check_confidence,
    mean_interval,
)
from genspot.evaluation.jackknife import ImageContributions, contributions
from genspot.evaluation.shares import effective_number
from genspot.evaluation.shortcut_traits import (
    DEFINITIONS,
    Definition,
    features,
    present,
    read_values,
)

Judgement = Literal["none", "slight", "decisive"]
ALL = "all of them"  # name of the classifier of all traits together
DECISIVE = 0.5  # of the way from chance to 1
SURE = 0.75  # share of decisions that are right, the mean of both classes
MIN_GROUPS = 10  # in which each class has images; fewer prove nothing
MAX_TRAINED = 2000  # images of a training: enough for these few features
TREES = 50
MIN_LEAF = 5  # images of a leaf
ALL_FIX = "see what to do about the traits above; those of the content come last"


@dataclass(frozen=True)
class Trait:
    """How well one trait of the files tells real from fake in one set.

    Attributes:
        name: "format", "size", "aspect", "file size", "compression", "subsampling", "metadata",
            "colour", "sharpness", "JPEG history", "grid phase", or `ALL`.
        columns: of the table of probes, or derived from them, which the trait is made of.
        ap: average precision of out-of-fold scores, in [0, 1]; the chance level for a constant
            trait. Compression and subsampling are of the JPEG files alone, the phase of the grid
            is of the images that bear one.
        interval: [lowest, highest] of `ap`, at the confidence asked for, over all traits at once.
        chance: the AP of random scores: the share of fakes.
        judgement: "none", "slight" or "decisive"; see this module.
        content: whether the trait is of what is shown, which the generator itself may cause.
        text: what differs, in a sentence with figures.
        fix: what to do about it; "" where the judgement is "none".
        scores: N out-of-fold probabilities that an image is fake, one for each row of the probes;
            0.5 where there is none.
    """

    name: str
    columns: tuple[str, ...]
    ap: float
    interval: list[float]
    chance: float
    judgement: Judgement
    content: bool
    text: str
    fix: str
    scores: np.ndarray = field(repr=False, compare=False)


def judge(
    probes: pa.Table,
    labels: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    confidence: float = DEFAULT_CONFIDENCE,
    seed: int = 0,
) -> list[Trait]:
    """Return the traits of one set, that of all together last.

    There are none where a class has fewer than `MIN_GROUPS` different images.

    Args:
        probes: table of N probes (PROBE_SCHEMA in genspot.data.audit.schema).
        labels: N of them, 0 real and 1 fake: of the rows of `probes`.
        groups: N names or numbers, equal for images that belong together; see this module.
        confidence: of the intervals, over all traits at once, in (0, 1).
        seed: of the folds and classifiers.

    Raises:
        GenspotError: the confidence is no number in (0, 1).
    """
    check_confidence(confidence)
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    if min(len(np.unique(numbers[labels == label])) for label in (0, 1)) < MIN_GROUPS:
        return []
    values = read_values(probes)
    folds = fold_numbers(labels, numbers, seed)
    each = 1 - (1 - confidence) / (len(DEFINITIONS) + 1)
    found = []
    for one in DEFINITIONS:
        rows = np.ones(len(labels), bool)
        if one.only:
            rows = present(values[one.only])
        own = {name: column[rows] for name, column in values.items()}
        measured = _measure(features(own, one.columns), labels, rows, numbers, folds, each, seed)
        described = one.describe(own, labels[rows]) if rows.any() else one.missing
        found.append(_trait(one, measured, described))
    everything = tuple(name for one in DEFINITIONS for name in one.columns)
    rows = np.ones(len(labels), bool)
    measured = _measure(features(values, everything), labels, rows, numbers, folds, each, seed)
    names = [f"{one.name} ({one.judgement})" for one in found if one.judgement != "none"]
    described = "no trait alone tells the classes apart"
    if names:
        described = f"these traits alone tell the classes apart: {', '.join(names)}"
    return [*found, _trait(Definition(ALL, everything, ALL_FIX), measured, described)]


def out_of_fold_scores(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, seed: int
) -> np.ndarray:
    """Return P(fake) of N images, each by a classifier that was trained on the other folds.

    The classifier is a forest of `TREES` extremely randomised trees (scikit-learn), trained on at
    most `MAX_TRAINED` images, drawn at random. Where the other folds have one class only, the
    scores are 0.5.

    Args:
        features: N × F.
        labels: N of them.
        folds: N numbers.
        seed: of the forest and of the draw.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # a second to import

    scores = np.full(len(labels), 0.5)
    for fold in np.unique(folds):
        others = np.random.default_rng(seed).permutation(np.flatnonzero(folds != fold))
        others = others[:MAX_TRAINED]
        if len(set(labels[others].tolist())) < 2:
            continue
        forest = ExtraTreesClassifier(
            TREES,
            min_samples_leaf=MIN_LEAF,
            max_features=None,
            class_weight="balanced",
            random_state=seed,
        )
        forest.fit(features[others], labels[others])
        scores[folds == fold] = forest.predict_proba(features[folds == fold])[:, 1]
    return scores


class _Measured(NamedTuple):
    """The figures of a trait; see `Trait`."""

    ap: float
    interval: list[float]
    chance: float
    judgement: Judgement
    scores: np.ndarray
    warning: str


def _measure(
    features: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    groups: np.ndarray,
    folds: np.ndarray,
    confidence: float,
    seed: int,
) -> _Measured:
    """Return the figures of a trait that the images of `rows` (N booleans) have."""
    scores = np.full(len(labels), 0.5)
    own = labels[rows]
    fakes = int(own.sum())
    reals = len(own) - fakes
    chance = float(labels.mean()) if not (reals and fakes) else fakes / len(own)
    if not features.shape[1]:  # constant
        return _Measured(chance, [chance, chance], chance, "none", scores, "")
    sizes = [np.unique(groups[rows][own == label], return_counts=True)[1] for label in (0, 1)]
    if min(map(len, sizes)) < MIN_GROUPS:
        warning = f"; fewer than {MIN_GROUPS} different images of a class prove nothing"
        return _Measured(chance, [0.0, 1.0], chance, "none", scores, warning)
    scores[rows] = out_of_fold_scores(features, own, folds[rows], seed)
    of_images = contributions(own, scores[rows])
    found: ImageContributions | ClusterContributions = of_images
    drawn = np.arange(reals)
    if max(map(max, sizes)) > 1:  # images of one class that belong together
        found = sums_over_clusters(of_images, own, np.unique(groups[rows], return_inverse=True)[1])
        drawn = np.arange(len(found.clusters))
    interval = mean_interval([Term("set", drawn, found)], confidence)
    called = scores[rows] > 0.5
    if (called[own == 1].mean() + (~called[own == 0]).mean()) / 2 >= SURE:
        counts = [effective_number(each) for each in sizes]
        decided = lowest_average_precision(own, called, confidence, counts)
        interval[0] = max(interval[0], min(decided, found.estimate))
    judgement = judgement_of(interval[0], chance)
    return _Measured(found.estimate, interval, chance, judgement, scores, "")


def judgement_of(lowest: float, chance: float) -> Judgement:
    """Return the judgement by the lower end of the interval; see this module."""
    if lowest >= chance + DECISIVE * (1 - chance):
        return "decisive"
    return "slight" if lowest > chance else "none"


def _trait(one: Definition, measured: _Measured, described: str) -> Trait:
    return Trait(
        name=one.name,
        columns=one.columns,
        ap=measured.ap,
        interval=measured.interval,
        chance=measured.chance,
        judgement=measured.judgement,
        content=one.content,
        text=described + measured.warning,
        fix="" if measured.judgement == "none" else one.fix,
        scores=measured.scores,
    )
