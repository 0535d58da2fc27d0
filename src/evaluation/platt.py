"""Platt's scaling: likelihood ratios and probabilities of fakes from logits.

P(fake) = sigmoid(slope · logit + offset), fitted by the likelihood of smoothed targets:
J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
likelihood methods", Advances in Large Margin Classifiers, MIT Press, 1999, section 2.2. The
smoothed targets keep the fit finite where the logits separate the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOT_FITTED = {
    "one class": "there are no images of one of the classes",
    "equal": "all logits are equal",
    "wrong way": "the logits do not tell the classes apart",
    "diverged": "no best slope and offset are found",
}


@dataclass(frozen=True)
class Platt:
    """A fit.

    Attributes:
        slope: factor of the logit, above 0.
        offset: added to the product.
        real: number of real images of the fit.
        fake: number of fakes of the fit.
    """

    slope: float
    offset: float
    real: int
    fake: int

    def log_likelihood_ratios(self, logits: np.ndarray) -> np.ndarray:
        """Return the natural logarithms of the likelihood ratios of N logits, float64.

        The likelihood ratio is the factor by which a logit changes the odds of fake against
        real. It does not depend on the share of fakes among the images of the fit.
        """
        from scipy.special import logit  # slow

        log_odds = self.slope * logits.astype(np.float64) + self.offset
        return np.asarray(log_odds - logit(prior_of_targets(self.real, self.fake)))

    def log_odds(self, logits: np.ndarray, prior: float) -> np.ndarray:
        """Return the natural logarithms of the odds of fake, of N logits, float64.

        Args:
            logits: N of them.
            prior: share of fakes among images like these, in (0, 1).
        """
        from scipy.special import logit  # slow

        return np.asarray(self.log_likelihood_ratios(logits) + logit(prior))


def smoothed_targets(real: int, fake: int) -> tuple[float, float]:
    """Return Platt's targets of a real image and of a fake, in (0, 1)."""
    return 1 / (real + 2), (fake + 1) / (fake + 2)


def prior_of_targets(real: int, fake: int) -> float:
    """Return the mean target, in (0, 1): the P(fake) that a fit gives useless logits."""
    low, high = smoothed_targets(real, fake)
    return (real * low + fake * high) / (real + fake)


def fit_platt(labels: np.ndarray, logits: np.ndarray) -> Platt | str:
    """Return the fit on N images, or the reason in words why there is none.

    Args:
        labels: 0 real, 1 fake; N of them.
        logits: finite; N of them.
    """
    real, fake = int((labels == 0).sum()), int((labels == 1).sum())
    if not real or not fake:
        return NOT_FITTED["one class"]
    values = logits.astype(np.float64)
    centre, scale = values.mean(), values.std()
    if values.min() == values.max() or not scale:
        return NOT_FITTED["equal"]
    from scipy.optimize import minimize  # slow: a prediction does without it
    from scipy.special import logit

    low, high = smoothed_targets(real, fake)
    scaled, targets = (values - centre) / scale, np.where(labels == 1, high, low)
    found = minimize(
        _loss,
        np.array([0.0, logit(targets.mean())]),
        (scaled, targets),
        method="trust-exact",
        jac=_gradient,
        hess=_hessian,
        options={"gtol": 1e-9, "maxiter": 1000},
    )
    if np.abs(_gradient(found.x, scaled, targets)).max() > 1e-6:
        return NOT_FITTED["diverged"]
    if found.x[0] <= 1e-9:  # rounding leaves as much where the classes have the same logits
        return NOT_FITTED["wrong way"]
    slope = float(found.x[0] / scale)
    return Platt(slope, float(found.x[1] - slope * centre), real, fake)


def _loss(point: np.ndarray, scaled: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean cross entropy in nats."""
    log_odds = point[0] * scaled + point[1]
    return float((np.logaddexp(0, log_odds) - targets * log_odds).mean())


def _gradient(point: np.ndarray, scaled: np.ndarray, targets: np.ndarray) -> np.ndarray:
    from scipy.special import expit  # slow

    errors = expit(point[0] * scaled + point[1]) - targets
    return np.array([(errors * scaled).mean(), errors.mean()])


def _hessian(point: np.ndarray, scaled: np.ndarray, targets: np.ndarray) -> np.ndarray:
    from scipy.special import expit  # slow

    fakes = expit(point[0] * scaled + point[1])
    weights = fakes * (1 - fakes)
    mixed = (weights * scaled).mean()
    return np.array([[(weights * scaled**2).mean(), mixed], [mixed, weights.mean()]])
