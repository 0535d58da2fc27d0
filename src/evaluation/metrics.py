"""Numbers from scores. Labels are 0 for real and 1 for fake; a higher logit means more fake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from genspot.evaluation import calibration
from genspot.evaluation.bootstrap import interval, replicate
from genspot.evaluation.calibration import Fit
from genspot.evaluation.measures import MEASURES


def as_probabilities(logits: np.ndarray) -> torch.Tensor:
    """Values in [0, 1] in exactly the order of `logits`, ties and all, as float64.

    Metrics that depend on the order alone want these: torchmetrics applies a sigmoid to what
    leaves [0, 1], and a float32 sigmoid makes ties of all logits above 17.
    """
    ranks = np.unique(logits, return_inverse=True)[1]
    return torch.from_numpy(ranks / max(1, ranks.max(initial=0)))


def average_precision(labels: np.ndarray, logits: np.ndarray) -> float:
    """Average precision in [0, 1] by torchmetrics; both classes must be there."""
    return float(binary_average_precision(as_probabilities(logits), torch.from_numpy(labels)))


def measure(labels: np.ndarray, logits: np.ndarray, fit: Fit | None = None) -> dict[str, Any]:
    """Every number of one generator, all of its classes pooled; None where it has no meaning.

    Accuracy calls fake what has a probability above 0.5, that is a logit above 0; `acc_fitted`
    what lies above the threshold of `fit`, and `acc_best` is that of the best threshold in
    hindsight. `tpr_at_1` and `tpr_at_5` are the fakes found at 1% and 5% of false alarms, `ece`
    the expected calibration error, and `ece_scaled` that at the temperature of `fit`.
    """
    right = (logits > 0) == (labels == 1)
    real, fake = right[labels == 0], right[labels == 1]
    result: dict[str, Any] = {
        "status": "ok",
        **dict.fromkeys(MEASURES),
        "acc": _mean(right),
        "acc_real": _mean(real),
        "acc_fake": _mean(fake),
        "images": len(labels),
        "real": len(real),
        "fake": len(fake),
    }
    if fit is not None:
        # In float32 a threshold could round to the very logit that it parts from the next.
        result["acc_fitted"] = _mean((logits.astype(np.float64) > fit.threshold) == (labels == 1))
    if not len(labels):
        result["status"] = "empty"
    elif not len(real) or not len(fake):
        result["status"] = "one class only"
    else:
        result |= _of_both_classes(labels, logits, fit)
    return result


def _of_both_classes(
    labels: np.ndarray, logits: np.ndarray, fit: Fit | None
) -> dict[str, float | None]:
    """The measures that one class alone does not have."""
    ranked, truth = as_probabilities(logits), torch.from_numpy(labels)
    scaled = None if fit is None else calibration.probabilities(logits, fit.temperature)
    ece = calibration.expected_calibration_error
    return {
        "ap": float(binary_average_precision(ranked, truth)),
        "auroc": float(binary_auroc(ranked, truth)),
        "acc_best": calibration.best_accuracy(labels, logits),
        "tpr_at_1": calibration.tpr_at_fpr(labels, logits, 0.01),
        "tpr_at_5": calibration.tpr_at_fpr(labels, logits, 0.05),
        "ece": ece(labels, calibration.probabilities(logits)),
        "ece_scaled": None if scaled is None else ece(labels, scaled),
    }


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def evaluate(
    scores: pa.Table,
    generators: list[str],
    replicates: int,
    confidence: float,
    seed: int,
    real_sets: dict[str, str] | None = None,
    fit: Fit | None = None,
) -> dict[str, Any]:
    """The numbers of each generator, and their mean over those that have both classes.

    Args:
        scores: the table of scores.
        generators: in the order of the result; one without a row is reported as empty.
        replicates: of the bootstrap.
        confidence: of its intervals, such as 0.95.
        seed: of its draws.
        real_sets: generator → the set its real images come from; see `bootstrap.replicate`.
        fit: threshold and temperature, from images other than these.

    Returns:
        {"generators": {name: …}, "mean": {…}}; every figure is a fraction, `ap_interval` a
        [lowest, highest] pair. A mean is None where a generator with both classes lacks it.

    Raises:
        GenspotError: an image is there twice.
    """
    names = np.asarray(scores["generator"].cast(pa.string()).to_pylist(), dtype=object)
    labels = scores["label"].to_numpy().astype(np.int64)
    logits = scores["logit"].to_numpy()
    resampled = replicate(scores, real_sets or {}, replicates, seed)
    results = {}
    for name in generators:
        mine = names == name
        result = measure(labels[mine], logits[mine], fit)
        known = result["status"] == "ok"
        result["ap_interval"] = interval(resampled[name], confidence) if known else None
        results[name] = result
    return {"generators": results, "mean": _overall(results, resampled, confidence)}


def _overall(
    results: dict[str, Any], resampled: dict[str, np.ndarray], confidence: float
) -> dict[str, Any]:
    """Means over the generators with both classes, each generator counting once."""
    complete = {name: result for name, result in results.items() if result["status"] == "ok"}
    mean: dict[str, Any] = {"generators": len(complete)}
    for key in MEASURES:
        figures = [one[key] for one in complete.values()]
        mean[key] = float(np.mean(figures)) if figures and None not in figures else None
    mean["images"] = sum(one["images"] for one in complete.values())
    together = [resampled[name] for name in complete]
    mean["ap_interval"] = interval(np.mean(together, axis=0), confidence) if together else None
    return mean
