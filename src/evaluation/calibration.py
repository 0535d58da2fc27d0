"""Where to put the threshold, and how far probabilities are to be believed.

Labels are 0 for real and 1 for fake; a logit above the threshold calls an image fake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize_scalar
from scipy.special import expit

TEMPERATURES = (0.01, 100.0)  # where a temperature is sought


@dataclass(frozen=True)
class Fit:
    """What a validation set says of a detector's logits.

    Attributes:
        threshold: see `fit_threshold`.
        temperature: see `fit_temperature`.
        images: how many it was fitted on.
    """

    threshold: float
    temperature: float
    images: int


def fit(validation: pa.Table) -> Fit | None:
    """The fit on a table with `label` and `logit`; None where it lacks one of the classes."""
    labels = validation["label"].to_numpy().astype(np.int64)
    logits = validation["logit"].to_numpy()
    if not {0, 1} <= set(labels.tolist()):
        return None
    return Fit(fit_threshold(labels, logits), fit_temperature(labels, logits), len(labels))


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """P(fake) in [0, 1], float64, of logits (N) divided by `temperature`."""
    return np.asarray(expit(logits.astype(np.float64) / temperature))


def fit_threshold(labels: np.ndarray, logits: np.ndarray) -> float:
    """The logit threshold of the highest accuracy, averaged over reals and fakes.

    Midway between neighbouring logits; the one nearest 0 among equals. Where nothing is better
    than to call all images alike, it lies at the end of the logits.

    Args:
        labels: N of them, of both classes.
        logits: N of them, finite.
    """
    thresholds, reals, fakes = _cuts(labels, logits)
    right = reals * fakes.max() + fakes * reals.max()  # whole numbers, so that equals are equal
    best = thresholds[right == right.max()]
    return float(best[np.argmin(np.abs(best))])


def best_accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    """The highest plain accuracy in [0, 1] that any threshold reaches on these very images.

    An oracle: it is chosen by the labels it is judged on, and no detector can be run at it.
    """
    _, reals, fakes = _cuts(labels, logits)
    return float((reals + fakes).max() / len(labels))


def tpr_at_fpr(labels: np.ndarray, logits: np.ndarray, fpr: float) -> float:
    """The highest share of fakes found while at most `fpr` of the reals are called fake.

    All in [0, 1]; of fewer than 1 / `fpr` reals none may be. Both classes must be there.
    """
    _, reals, fakes = _cuts(labels, logits)
    false_positives = (reals.max() - reals) / reals.max()
    return float(fakes[false_positives <= fpr].max() / fakes.max())


def _cuts(labels: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All thresholds that differ, ascending, with the reals and the fakes that each has right.

    The first has all fakes right and no real, the last all reals and no fake.
    """
    levels, ranks = np.unique(logits.astype(np.float64), return_inverse=True)
    below = np.nextafter(levels, -np.inf)  # midway of neighbours without room is the upper
    middles = np.minimum(levels[:-1] / 2 + levels[1:] / 2, below[1:])
    thresholds = np.concatenate([below[:1], middles, levels[-1:]])
    reals = np.bincount(ranks[labels == 0], minlength=len(levels))
    fakes = np.bincount(ranks[labels == 1], minlength=len(levels))
    passed = np.cumsum(np.append(0, fakes))
    return thresholds, np.cumsum(np.append(0, reals)), passed[-1] - passed


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature T in [0.01, 100] of the least negative log likelihood of sigmoid(logit / T).

    Guo et al., ICML 2017, section 4.2. Logits that part the classes have none and get 0.01, and
    logits that say nothing 100; 1 where every T is as good in float64.

    Args:
        labels: N of them.
        logits: N of them, finite.
    """
    margins = np.where(labels == 1, 1.0, -1.0) * logits.astype(np.float64)

    def loss(log: float) -> float:
        return float(np.logaddexp(0, -margins / np.exp(log)).mean())

    low, high = np.log(TEMPERATURES)
    # The loss falls, then rises: it is convex in 1 / T. The search nears a bound, never meets it.
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-8})
    best = min((0.0, low, high, float(found.x)), key=loss)
    return float(np.clip(np.exp(best), *TEMPERATURES))


def expected_calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> float:
    """The mean distance in [0, 1] of P(fake) from the share of fakes, over equal-width bins.

    Guo et al., ICML 2017, section 2, for two classes by P(fake): Naeini et al., AAAI 2015. Each
    bin weighs by its images; see `reliability`.
    """
    distances = [
        one["count"] * abs(one["confidence"] - one["frequency"])
        for one in reliability(labels, probabilities, bins)
    ]
    return sum(distances) / len(labels)


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> list[dict[str, float]]:
    """The reliability diagram: every bin of P(fake) that has images, from low to high.

    Args:
        labels: N of them, at least one.
        probabilities: N values of P(fake) in [0, 1].
        bins: of equal width; each holds its upper edge, the first its lower one, too.

    Returns:
        "low" and "high" (its edges), "count" (of images), "confidence" (their mean P(fake)) and
        "frequency" (the share of fakes among them) of each bin.
    """
    edges = np.linspace(0, 1, bins + 1)
    places = np.searchsorted(edges[1:-1], probabilities)
    result: list[dict[str, float]] = []
    for place in np.unique(places).tolist():
        mine = places == place
        result.append(
            {
                "low": float(edges[place]),
                "high": float(edges[place + 1]),
                "count": int(mine.sum()),
                "confidence": float(probabilities[mine].mean()),
                "frequency": float(labels[mine].mean()),
            }
        )
    return result
