"""Figures from scores.

Labels are 0 for real and 1 for fake; a higher logit means more likely fake. PyTorch is imported
only where torchmetrics computes a figure, so that reports do without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from genspot.evaluation import calibration
from genspot.evaluation.calibration_results import CalibrationFit
from genspot.evaluation.intervals import DEFAULT_CONFIDENCE, ap_intervals
from genspot.evaluation.results import (
    EMPTY,
    FAKES_ONLY,
    MEASURES,
    OK,
    REALS_ONLY,
    Evaluation,
    MeanMetrics,
)
from genspot.evaluation.scores import check_finite, check_scores, read_scores
from genspot.evaluation.shares import add_shares

if TYPE_CHECKING:
    import torch


def evaluate(
    scores: pa.Table | str | Path,
    generators: list[str] | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
    fit: CalibrationFit | None = None,
    clusters: Mapping[str, str] | None = None,
) -> Evaluation:
    """Return the figures of each generator, and their means over generators with both classes.

    Args:
        scores: a table with the columns of `results.SCORE_COLUMNS`, or the path of a
            scores.parquet or of the folder of a finished run.
        generators: names in the order of the result; one without images has the status "empty".
            Default: those of the table, in order of first appearance.
        confidence: of the intervals, in (0, 1).
        real_sets: generator → the set its real images come from; see `intervals.ap_intervals`.
        fit: threshold and temperature, fitted on images other than these.
        clusters: generator → the column of the table that names the cluster of an image, such as
            "class" where the images of a class come from one photograph; see
            `intervals.ap_intervals`.

    Returns:
        {"generators": {name: …}, "mean": …}, described in `genspot.evaluation.results`. A mean is
        None where a generator with both classes has no such figure.

    Raises:
        GenspotError: The scores cannot be read, an image has two scores, or a column of
            `clusters` is missing.
    """
    if isinstance(scores, str | Path):
        scores = read_scores(scores)  # which checks them
    else:
        check_scores(scores, "the table")
    names = scores["generator"].cast(pa.string()).to_numpy()
    labels = scores["label"].to_numpy().astype(np.int64)
    logits = scores["logit"].to_numpy()
    intervals = ap_intervals(scores, confidence, real_sets, clusters)
    results: dict[str, Any] = {}
    for name in dict.fromkeys(names) if generators is None else generators:
        result = generator_metrics(labels[names == name], logits[names == name], fit)
        found = intervals["generators"].get(name)
        result["ap_interval"] = found and _around(result["ap"], found)
        results[name] = result | {"clusters": found and found["clusters"]}
    add_shares(results, scores, confidence, fit, clusters or {})
    complete = complete_generators(results)
    return {"generators": results, "mean": mean_metrics(complete, intervals["mean"])}


def mean_metrics(complete: Mapping[str, Any], found: Mapping[str, Any]) -> MeanMetrics:
    """Return the means over generators with images of both classes.

    Args:
        complete: generator → its figures.
        found: the "mean" of `intervals.ap_intervals` over them.
    """
    mean: Any = {"generators": len(complete)}
    mean |= {key: mean_or_none(result[key] for result in complete.values()) for key in MEASURES}
    mean["images"] = sum(result["images"] for result in complete.values())
    mean["ap_interval"] = _around(mean["ap"], found) if complete else None
    return mean


def _around(ap: float, found: Mapping[str, Any]) -> list[float]:
    """Return the interval found, which also holds `ap`, the same in float32."""
    low, high = found["interval"]
    return [min(low, ap), max(high, ap)]


def generator_metrics(
    labels: np.ndarray, logits: np.ndarray, fit: CalibrationFit | None = None
) -> dict[str, Any]:
    """Return the figures of one generator, without its interval: see `results.GeneratorMetrics`.

    Args:
        labels: N of them.
        logits: N of them.
        fit: for `acc_val_threshold` and `ece_calibrated`, which are None without it.

    Raises:
        GenspotError: a logit is not finite.
    """
    check_finite(logits, "the scores")
    fake = labels == 1
    correct = (logits > 0) == fake
    result: dict[str, Any] = {
        "status": OK,
        **dict.fromkeys(MEASURES),
        "acc": mean_or_none(correct),
        "acc_real": mean_or_none(correct[~fake]),
        "acc_fake": mean_or_none(correct[fake]),
        "images": len(labels),
        "real": int((~fake).sum()),
        "fake": int(fake.sum()),
    }
    if fit is not None and fit["threshold"] is not None:
        # In float32 the threshold could be rounded to one of the two logits that it separates.
        predicted = logits.astype(np.float64) > fit["threshold"]
        result["acc_val_threshold"] = mean_or_none(predicted == fake)
    if not len(labels) or fake.all() or not fake.any():
        result["status"] = EMPTY if not len(labels) else FAKES_ONLY if fake.any() else REALS_ONLY
        return result
    from torchmetrics.functional.classification import binary_auroc

    ece, probabilities = calibration.expected_calibration_error, calibration.probabilities(logits)
    result["ap"] = average_precision(labels, logits)
    result["auroc"] = float(binary_auroc(*_ranked(labels, logits)))
    result["acc_oracle"] = calibration.oracle_accuracy(labels, logits)
    result["tpr_at_fpr_0.01"] = calibration.tpr_at_fpr(labels, logits, 0.01)
    result["tpr_at_fpr_0.05"] = calibration.tpr_at_fpr(labels, logits, 0.05)
    result["ece"] = ece(labels, probabilities)
    result["brier"] = calibration.brier_score(labels, probabilities)
    result["log_loss"] = calibration.log_loss(labels, logits)
    if fit is not None and fit["temperature"] is not None:
        calibrated = calibration.probabilities(logits, fit["temperature"])
        result["ece_calibrated"] = ece(labels, calibrated)
    return result


def average_precision(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the average precision in [0, 1] (torchmetrics); both classes must be present."""
    from torchmetrics.functional.classification import binary_average_precision

    return float(binary_average_precision(*_ranked(labels, logits)))


def _ranked(labels: np.ndarray, logits: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values in [0, 1] in exactly the order of `logits`, ties included, and the labels.

    torchmetrics applies a sigmoid to values outside [0, 1], and a float32 sigmoid makes ties of
    all logits above 17.
    """
    import torch

    ranks = np.unique(logits, return_inverse=True)[1]
    return torch.from_numpy(ranks / max(1, ranks.max(initial=0))), torch.from_numpy(labels)


def complete_generators(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of the generators with images of both classes."""
    return {name: result for name, result in results.items() if result["status"] == OK}


def mean_or_none(values: Iterable[float | None]) -> float | None:
    """Return the mean of `values`; None if there are none, or one is None."""
    figures = list(values)
    return float(np.mean(figures)) if figures and None not in figures else None  # type: ignore[arg-type]
