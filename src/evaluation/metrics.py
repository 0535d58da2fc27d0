"""Figures from scores.

Labels are 0 for real and 1 for fake; a higher logit means more likely fake. PyTorch is imported
only where torchmetrics computes a figure, so that reports do without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from genspot.evaluation import calibration
from genspot.evaluation.bootstrap import (
    DEFAULT_BOOTSTRAP,
    Bootstrap,
    bootstrap_ap,
    percentile_interval,
)
from genspot.evaluation.calibration import Fit
from genspot.evaluation.results import MEASURES, Evaluation, result_rows
from genspot.evaluation.scores import check_scores, read_scores

if TYPE_CHECKING:
    import torch

__all__ = ["MEASURES", "average_precision", "evaluate", "generator_metrics", "result_rows"]


def evaluate(
    scores: pa.Table | str | Path,
    generators: list[str] | None = None,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    real_sets: Mapping[str, str] | None = None,
    fit: Fit | None = None,
) -> Evaluation:
    """Return the figures of each generator, and their means over generators with both classes.

    Args:
        scores: a table with the columns of `results.SCORE_COLUMNS`, or the path of a
            scores.parquet or of the folder of a finished run.
        generators: names in the order of the result; one without images has the status "empty".
            Default: those of the table, in order of first appearance.
        bootstrap: settings of the confidence intervals.
        real_sets: generator → the set its real images come from; see `bootstrap.bootstrap_ap`.
        fit: threshold and temperature, fitted on images other than these.

    Returns:
        {"generators": {name: …}, "mean": …}, described in `genspot.evaluation.results`. A mean is
        None where a generator with both classes has no such figure.

    Raises:
        GenspotError: The scores cannot be read, or an image has two scores.

    Example:
        >>> evaluate("runs/my_run")["mean"]["ap"]  # doctest: +SKIP
        0.93
    """
    if isinstance(scores, str | Path):
        scores = read_scores(scores)
    else:
        check_scores(scores, "the table")
    names = np.asarray(scores["generator"].cast(pa.string()).to_pylist(), dtype=object)
    labels = scores["label"].to_numpy().astype(np.int64)
    logits = scores["logit"].to_numpy()
    replicates = bootstrap_ap(scores, bootstrap, real_sets)
    results: dict[str, Any] = {}
    for name in dict.fromkeys(names) if generators is None else generators:
        mask = names == name
        result = generator_metrics(labels[mask], logits[mask], fit)
        result["ap_interval"] = (
            percentile_interval(replicates[name], bootstrap.confidence)
            if result["status"] == "ok"
            else None
        )
        results[name] = result
    return {"generators": results, "mean": _mean_metrics(results, replicates, bootstrap)}


def generator_metrics(
    labels: np.ndarray, logits: np.ndarray, fit: Fit | None = None
) -> dict[str, Any]:
    """Return the figures of one generator, without its interval: see `results.GeneratorMetrics`.

    Args:
        labels: N of them.
        logits: N of them, finite.
        fit: for `acc_val_threshold` and `ece_calibrated`, which are None without it.
    """
    correct = (logits > 0) == (labels == 1)
    real, fake = correct[labels == 0], correct[labels == 1]
    result: dict[str, Any] = {
        "status": "ok",
        **dict.fromkeys(MEASURES),
        "acc": _mean(correct),
        "acc_real": _mean(real),
        "acc_fake": _mean(fake),
        "images": len(labels),
        "real": len(real),
        "fake": len(fake),
    }
    if fit is not None:
        # In float32 the threshold could be rounded to one of the two logits that it separates.
        predicted = logits.astype(np.float64) > fit.threshold
        result["acc_val_threshold"] = _mean(predicted == (labels == 1))
    if not len(labels):
        result["status"] = "empty"
    elif not len(real) or not len(fake):
        result["status"] = "one class only"
    else:
        result |= _two_class_metrics(labels, logits, fit)
    return result


def average_precision(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the average precision in [0, 1] (torchmetrics); both classes must be present."""
    from torchmetrics.functional.classification import binary_average_precision

    return float(binary_average_precision(*_ranked(labels, logits)))


def _auroc(labels: np.ndarray, logits: np.ndarray) -> float:
    from torchmetrics.functional.classification import binary_auroc

    return float(binary_auroc(*_ranked(labels, logits)))


def _ranked(labels: np.ndarray, logits: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values in [0, 1] in exactly the order of `logits`, ties included, and the labels.

    torchmetrics applies a sigmoid to values outside [0, 1], and a float32 sigmoid makes ties of
    all logits above 17.
    """
    import torch

    ranks = np.unique(logits, return_inverse=True)[1]
    return torch.from_numpy(ranks / max(1, ranks.max(initial=0))), torch.from_numpy(labels)


def _two_class_metrics(labels: np.ndarray, logits: np.ndarray, fit: Fit | None) -> dict[str, Any]:
    """Return the figures that need images of both classes."""
    ece = calibration.expected_calibration_error
    return {
        "ap": average_precision(labels, logits),
        "auroc": _auroc(labels, logits),
        "acc_oracle": calibration.oracle_accuracy(labels, logits),
        "tpr_at_fpr_0.01": calibration.tpr_at_fpr(labels, logits, 0.01),
        "tpr_at_fpr_0.05": calibration.tpr_at_fpr(labels, logits, 0.05),
        "ece": ece(labels, calibration.probabilities(logits)),
        "ece_calibrated": (
            ece(labels, calibration.probabilities(logits, fit.temperature)) if fit else None
        ),
    }


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _mean_metrics(
    results: dict[str, Any], replicates: dict[str, np.ndarray], bootstrap: Bootstrap
) -> Any:
    """Return the means over the generators with both classes, each counting once."""
    complete = {name: result for name, result in results.items() if result["status"] == "ok"}
    mean: dict[str, Any] = {"generators": len(complete)}
    for measure in MEASURES:
        figures = [result[measure] for result in complete.values()]
        mean[measure] = float(np.mean(figures)) if figures and None not in figures else None
    mean["images"] = sum(result["images"] for result in complete.values())
    mean["ap_interval"] = None
    if complete:
        means = np.mean([replicates[name] for name in complete], axis=0)
        mean["ap_interval"] = percentile_interval(means, bootstrap.confidence)
    return mean
