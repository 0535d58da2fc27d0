"""The shares of the real images and of the fakes that are called fake, with intervals.

They need images of one class only: the false alarms among real images (the false-positive rate)
and the fakes that are found (the true-positive rate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import betaincinv

from genspot.evaluation.calibration_results import CalibrationFit

RATES = {"fpr": 0, "tpr": 1}  # rate → the label of the images that it is a share of


def add_shares(
    generators: Mapping[str, dict[str, Any]],
    scores: pa.Table,
    confidence: float,
    fit: CalibrationFit | None,
    clusters: Mapping[str, str],
) -> None:
    """Add the rates of `results.GeneratorMetrics` and their intervals to each generator.

    Args:
        generators: name → figures, changed in place. `clusters`, the number of photographs, is
            added where it is missing: in sets of one class.
        scores: a table of scores, which are finite.
        confidence: of the intervals, in (0, 1).
        fit: for the rates at the threshold of the validation images; None: without them.
        clusters: generator → the column that names the photograph of an image.
    """
    names = scores["generator"].cast(pa.string()).to_numpy()
    labels = scores["label"].to_numpy()
    logits = scores["logit"].to_numpy().astype(np.float64)
    thresholds = {"": 0.0, "_val_threshold": fit["threshold"] if fit else None}
    columns = {key: scores[key].cast(pa.string()).to_numpy() for key in set(clusters.values())}
    for name, figures in generators.items():
        own, units = names == name, None
        if name in clusters:
            units = columns[clusters[name]]
            figures["clusters"] = figures.get("clusters") or len(set(units[own])) or None
        for rate, label in RATES.items():
            rows = own & (labels == label)
            for suffix, threshold in thresholds.items():
                share = interval = None
                if threshold is not None and rows.any():
                    called, of_rows = (
                        logits[rows] > threshold,
                        None if units is None else units[rows],
                    )
                    share, interval = (
                        float(called.mean()),
                        share_interval(called, confidence, of_rows),
                    )
                figures[rate + suffix] = share
                figures[f"{rate}{suffix}_interval"] = interval


def share_interval(
    called: np.ndarray, confidence: float, clusters: np.ndarray | None = None
) -> list[float]:
    """Return the interval [lowest, highest] of a share by Clopper and Pearson (Biometrika 1934).

    Args:
        called: N truth values, at least one.
        confidence: how often the interval holds the share of the population, at least.
        clusters: the photograph of each of the N images. Images of one photograph may all be
            judged alike: see `effective_number`.
    """
    share, count = float(called.mean()), float(len(called))
    if clusters is not None:
        count = effective_number(np.unique(clusters, return_counts=True)[1])
    tail, found = (1 - confidence) / 2, share * count
    low = float(betaincinv(found, count - found + 1, tail)) if share > 0 else 0.0
    high = float(betaincinv(found + 1, count - found, 1 - tail)) if share < 1 else 1.0
    return [low, high]


def effective_number(sizes: np.ndarray) -> float:
    """Return how many independent images N images count as, of which groups are judged alike.

    It is N² / Σ size², the effective sample size at the highest correlation within a group (Kish,
    "Survey Sampling", 1965).

    Args:
        sizes: number of images of each group, such as those of one photograph.
    """
    return float(sizes.sum()) ** 2 / float(np.square(sizes).sum())


def differ(first: np.ndarray, second: np.ndarray, confidence: float) -> bool:
    """Return whether two detectors call different shares of the same N images fake.

    By the exact test of McNemar (Psychometrika 1947): among the images that only one of them calls
    fake, each is as likely to be that one if the shares are equal.

    Args:
        first, second: N truth values each, of the images in one order; drawn independently.
        confidence: one minus the probability of a wrong "yes", at most.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first == only_second:
        return False
    from scipy.stats import binomtest  # half a second to import

    return float(binomtest(only_first, only_first + only_second).pvalue) < 1 - confidence
