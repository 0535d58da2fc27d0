"""The average precision that decisions alone have, and its lowest plausible value.

The jackknife's intervals (`genspot.evaluation.intervals`) are made for detectors, at 95%. Where
no or nearly no image is wrong, and the confidence is higher because many intervals are judged at
once, they say next to nothing: 20 + 20 images without an error have a lower end of 0.4 at 99.6%.
Counts of right and wrong decisions say more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import xlogy
from scipy.stats import chi2

RATES = np.linspace(0, 1, 501)


def lowest_average_precision(
    labels: np.ndarray, called: np.ndarray, confidence: float, counts: Sequence[float]
) -> float:
    """Return the lower end of the interval of the AP that decisions have.

    It is the profile likelihood interval (Wilks, Annals of Mathematical Statistics 1938): the
    least AP of all pairs of rates, of reals and of fakes that are called fake, whose log
    likelihood is less than the greatest by at most half a quantile of chi-squared with one degree
    of freedom. The ratio of the classes is that of the set.

    Args:
        labels: N of them, 0 real and 1 fake, both present.
        called: N booleans, whether an image is called fake.
        confidence: of the interval, in (0, 1).
        counts: of real images and of fakes: how many independent ones they count as.
    """
    shares = [float(called[labels == label].mean()) for label in (0, 1)]
    lost = [_lost_likelihood(share, count) for share, count in zip(shares, counts, strict=True)]
    plausible = lost[0][:, None] + lost[1][None, :] <= chi2.ppf(confidence, 1) / 2
    aps = average_precision_of_rates(RATES[:, None], RATES[None, :], float(labels.mean()))
    return float(aps[plausible].min(initial=1.0))


def average_precision_of_rates(reals: np.ndarray, fakes: np.ndarray, chance: float) -> np.ndarray:
    """Return the AP of scores with two values.

    Args:
        reals: share of the real images with the higher one.
        fakes: share of the fakes with the higher one.
        chance: share of fakes among all images.
    """
    found, wrong = fakes * chance, reals * (1 - chance)
    precision = np.divide(
        found, found + wrong, out=np.zeros(np.broadcast(found, wrong).shape), where=found > 0
    )
    return fakes * precision + (1 - fakes) * chance


def _lost_likelihood(share: float, count: float) -> np.ndarray:
    """Return by how much the log likelihood of each of `RATES` is less than that of `share`."""
    likelihood = xlogy(share, RATES) + xlogy(1 - share, 1 - RATES)
    return count * (xlogy(share, share) + xlogy(1 - share, 1 - share) - likelihood)
