"""Decision thresholds and the calibration of probabilities.

The labels (0 real, 1 fake) and logits (finite) of N images are arrays of length N. A logit above
the threshold classifies an image as fake.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from genspot.evaluation.calibration_results import CalibrationFit
from genspot.evaluation.scores import check_finite
from genspot.evaluation.sigmoid import sigmoid

TEMPERATURE_RANGE = (0.01, 100.0)  # a temperature is sought between these
LEFT_OUT = "Only the figures after temperature scaling are left out."
AT_BOUND = 1.01  # a temperature within this factor of a bound is at the bound


def fit(validation: pa.Table) -> CalibrationFit | None:
    """Return the fit on a table with `label` and `logit`; None without images of both classes.

    Raises:
        GenspotError: a logit is not finite.
    """
    labels = validation["label"].to_numpy().astype(np.int64)
    logits = validation["logit"].to_numpy()
    check_finite(logits, "the validation scores")
    if not {0, 1} <= set(labels.tolist()):
        return None
    threshold, temperature = fit_threshold(labels, logits), fit_temperature(labels, logits)
    notes = []
    if threshold is None:
        notes.append(
            "No threshold is fitted, which is no error: on the validation images, none is better "
            "than calling all of them real, or all fake. Only the figures at it are left out."
        )
    if temperature is None:
        notes.append(
            f"No temperature is fitted, which is no error: {_no_temperature(labels, logits)}. "
            f"{LEFT_OUT}"
        )
    return {
        "threshold": threshold,
        "temperature": temperature,
        "images": len(labels),
        "notes": notes,
    }


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return P(fake) in [0, 1], float64, of N logits divided by `temperature`."""
    return sigmoid(logits.astype(np.float64) / temperature)


def fit_threshold(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Return the threshold of the highest balanced accuracy, the mean of both classes' accuracies.

    It lies midway between neighbouring logits; among equally good thresholds it is the one
    nearest to 0. None where no threshold is better than one decision for all images.
    """
    thresholds, reals, fakes = _candidate_thresholds(labels, logits)
    correct = reals * fakes.max() + fakes * reals.max()  # whole numbers: ties are exact
    if correct.max() == correct[0]:
        return None
    best = thresholds[correct == correct.max()]
    return float(best[np.argmin(np.abs(best))])


def oracle_accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the highest accuracy in [0, 1] that any threshold reaches: an upper bound."""
    _, reals, fakes = _candidate_thresholds(labels, logits)
    return float((reals + fakes).max() / len(labels))


def tpr_at_fpr(labels: np.ndarray, logits: np.ndarray, fpr: float) -> float:
    """Return the highest true-positive rate at a false-positive rate of at most `fpr`.

    All rates lie in [0, 1]. With fewer than 1 / `fpr` real images, no real image may be
    classified as fake. Both classes must be present.
    """
    _, reals, fakes = _candidate_thresholds(labels, logits)
    false_positive_rates = (reals.max() - reals) / reals.max()
    return float(fakes[false_positive_rates <= fpr].max() / fakes.max())


def _candidate_thresholds(
    labels: np.ndarray, logits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all distinct thresholds, ascending, with the correct reals and fakes at each.

    At the first all fakes and no reals are correct, at the last all reals and no fakes.
    """
    levels, ranks = np.unique(logits.astype(np.float64), return_inverse=True)
    below = np.nextafter(levels, -np.inf)
    # Without a float between two neighbours, their midpoint would round to the upper one.
    midpoints = np.minimum(levels[:-1] / 2 + levels[1:] / 2, below[1:])
    thresholds = np.concatenate([below[:1], midpoints, levels[-1:]])
    reals = np.bincount(ranks[labels == 0], minlength=len(levels))
    fakes = np.bincount(ranks[labels == 1], minlength=len(levels))
    missed_fakes = np.cumsum(np.append(0, fakes))
    return thresholds, np.cumsum(np.append(0, reals)), missed_fakes[-1] - missed_fakes


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Return the temperature T that minimises the negative log likelihood of sigmoid(logit / T).

    Guo et al., ICML 2017, section 4.2, with T between 0.01 and 100. None if the minimum is not
    between them, or `at_bound`: logits that separate the classes have none, and the best T of
    uninformative logits is infinite.
    """
    from scipy.special import expit  # slow: a prediction does without it

    margins = _margins(labels, logits)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -margins / np.exp(log_temperature)).mean())

    def slope(temperature: float) -> float:  # of the loss, by 1 / T
        return float(-(margins * expit(-margins / temperature)).mean())

    # The loss is convex in 1 / T: its minimum is where the slope changes its sign.
    lowest, highest = TEMPERATURE_RANGE
    if not slope(highest) < 0 < slope(lowest):
        return None
    from scipy.optimize import minimize_scalar  # slow: a prediction does without it

    bounds = np.log(TEMPERATURE_RANGE)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    temperature = float(np.exp(min((0.0, float(found.x)), key=loss)))
    return None if at_bound(temperature) else temperature


def at_bound(temperature: float) -> bool:
    """Return whether a temperature is at a bound of its search, or beyond: the fit has failed."""
    lowest, highest = TEMPERATURE_RANGE
    return not lowest * AT_BOUND < temperature < highest / AT_BOUND


def _no_temperature(labels: np.ndarray, logits: np.ndarray) -> str:
    """Return why `fit_temperature` is None."""
    margins = _margins(labels, logits)
    if margins.mean() <= 0:
        return "the logits of the validation images do not tell the classes apart"
    if margins.min() >= 0:
        return "no validation image is on the wrong side of 0.5, so that there is no best one"
    lowest, highest = TEMPERATURE_RANGE
    return f"the best one for the validation images is not between {lowest:g} and {highest:g}"


def _margins(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return the logits of fakes and the negative logits of reals: above 0 where correct."""
    return np.where(labels == 1, 1.0, -1.0) * logits.astype(np.float64)


def brier_score(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean squared difference in [0, 1] of P(fake) and the label of N images.

    G. Brier, Monthly Weather Review 78(1), 1950, for two classes by P(fake).
    """
    return float(((probabilities - labels) ** 2).mean())


def log_loss(labels: np.ndarray, log_odds: np.ndarray) -> float:
    """Return the mean negative log likelihood in nats of P(fake) = sigmoid(`log_odds`).

    The log odds, unlike the probabilities, keep it finite.
    """
    return float(np.logaddexp(0, -_margins(labels, log_odds)).mean())


def expected_calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> float:
    """Return the mean distance in [0, 1] between P(fake) and the fraction of fakes.

    Guo et al., ICML 2017, section 2, for two classes by P(fake) as in Naeini et al., AAAI 2015.
    Bins have equal width and are weighted by their number of images; see `reliability`.
    """
    rows = reliability(labels, probabilities, bins)
    gaps = [row["count"] * abs(row["confidence"] - row["frequency"]) for row in rows]
    return sum(gaps) / len(labels)


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> list[dict[str, float]]:
    """Return the reliability diagram: each bin of P(fake) with images, in ascending order.

    The bins have equal width. Each includes its upper edge, the first one also its lower edge.

    Returns:
        For each bin "low" and "high" (its edges), "count" (number of images), "confidence" (mean
        P(fake)) and "frequency" (fraction of fakes).
    """
    edges = np.linspace(0, 1, bins + 1)
    bin_of_image = np.searchsorted(edges[1:-1], probabilities)
    result: list[dict[str, float]] = []
    for index in np.unique(bin_of_image).tolist():
        mask = bin_of_image == index
        result.append(
            {
                "low": float(edges[index]),
                "high": float(edges[index + 1]),
                "count": int(mask.sum()),
                "confidence": float(probabilities[mask].mean()),
                "frequency": float(labels[mask].mean()),
            }
        )
    return result
