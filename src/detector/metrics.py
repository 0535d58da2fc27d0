"""Numbers from scores. Labels are 0 for real and 1 for fake; a higher logit means more fake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

MEASURES = ("ap", "acc", "acc_real", "acc_fake", "auroc")


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


def bootstrap_ap(
    labels: np.ndarray, logits: np.ndarray, replicates: int, draws: np.random.Generator
) -> np.ndarray:
    """Average precisions of `replicates` resamples, drawn with replacement within each class.

    One sort serves all replicates: a resample only changes how often each image counts.
    """
    order = np.argsort(-logits, kind="stable")
    fake = labels[order] == 1
    last = np.flatnonzero(np.append(np.diff(logits[order]) != 0, True))  # of each run of ties
    fakes, reals = int(fake.sum()), int((~fake).sum())
    result = np.empty(replicates)
    for replicate in range(replicates):
        weights = np.empty(len(labels), dtype=np.int64)
        weights[fake] = np.bincount(draws.integers(fakes, size=fakes), minlength=fakes)
        weights[~fake] = np.bincount(draws.integers(reals, size=reals), minlength=reals)
        chosen = np.cumsum(weights)[last]
        hits = np.cumsum(weights * fake)[last]
        precision = hits / np.maximum(chosen, 1)
        result[replicate] = (np.diff(hits, prepend=0) * precision).sum() / fakes
    return result


def interval(replicates: np.ndarray, confidence: float) -> list[float]:
    """The percentile interval [lowest, highest] that covers `confidence` of the replicates."""
    tail = (1 - confidence) / 2
    return [float(end) for end in np.quantile(replicates, [tail, 1 - tail])]


def measure(labels: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    """Every number of one generator, all of its classes pooled; None where it has no meaning.

    Accuracy calls fake what has a probability above 0.5, that is a logit above 0.
    """
    right = (logits > 0) == (labels == 1)
    real, fake = right[labels == 0], right[labels == 1]
    result: dict[str, Any] = {
        "status": "ok",
        "ap": None,
        "acc": _mean(right),
        "acc_real": _mean(real),
        "acc_fake": _mean(fake),
        "auroc": None,
        "images": len(labels),
        "real": len(real),
        "fake": len(fake),
    }
    if not len(labels):
        result["status"] = "empty"
    elif not len(real) or not len(fake):
        result["status"] = "one class only"
    else:
        result["ap"] = average_precision(labels, logits)
        probabilities = as_probabilities(logits)
        result["auroc"] = float(binary_auroc(probabilities, torch.from_numpy(labels)))
    return result


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def evaluate(
    scores: pa.Table, generators: list[str], replicates: int, confidence: float, seed: int
) -> dict[str, Any]:
    """The numbers of each generator, and their mean over those that have both classes.

    Args:
        scores: the table of scores.
        generators: in the order of the result; one without a row is reported as empty.
        replicates: of the bootstrap.
        confidence: of its intervals, such as 0.95.
        seed: of its draws; each generator has a stream of its own.

    Returns:
        {"generators": {name: …}, "mean": {…}}; every figure is a fraction, `ap_interval` a
        [lowest, highest] pair.
    """
    names = np.asarray(scores["generator"].cast(pa.string()).to_pylist(), dtype=object)
    labels = scores["label"].to_numpy().astype(np.int64)
    logits = scores["logit"].to_numpy()
    results, resampled = {}, []
    for number, name in enumerate(generators):
        mine = names == name
        result = measure(labels[mine], logits[mine])
        result["ap_interval"] = None
        if result["status"] == "ok":
            draws = np.random.default_rng((seed, number))
            resamples = bootstrap_ap(labels[mine], logits[mine], replicates, draws)
            result["ap_interval"] = interval(resamples, confidence)
            resampled.append(resamples)
        results[name] = result
    return {"generators": results, "mean": _overall(results, resampled, confidence)}


def _overall(
    results: dict[str, Any], resampled: list[np.ndarray], confidence: float
) -> dict[str, Any]:
    """Means over the generators with both classes, each generator counting once."""
    complete = [result for result in results.values() if result["status"] == "ok"]
    mean: dict[str, Any] = {"generators": len(complete)}
    for key in MEASURES:
        mean[key] = float(np.mean([one[key] for one in complete])) if complete else None
    mean["images"] = sum(one["images"] for one in complete)
    mean["ap_interval"] = interval(np.mean(resampled, axis=0), confidence) if resampled else None
    return mean
