"""Platt's scaling on generators that the fit did not see, and the fit on all for new photos."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from genspot.evaluation import calibration
from genspot.evaluation.calibration_results import (
    Calibration,
    CalibrationMeans,
    LeftOut,
    PooledFit,
    ProbabilityFigures,
    ScalingFit,
)
from genspot.evaluation.platt import Platt, fit_platt


def left_out_calibration(
    scores: pa.Table,
    generators: Collection[str],
    checkpoint: str,
    real_sets: Mapping[str, str] | None = None,
) -> Calibration | None:
    """Return the figures of P(fake) before and after Platt's scaling, by generator, and a fit.

    The scaling that is applied to the images of a generator is fitted on the pooled images of
    all others. The prior of its probabilities is the share of fakes among the generator's images.
    The fit for new photos is on the pooled images of all generators.

    Args:
        scores: a table with generator, label and logit, which are finite.
        generators: those with images of both classes.
        checkpoint: SHA-256 of the file that the scores are by, hexadecimal.
        real_sets: generator → the set that its real images come from.

    Returns:
        None with fewer than two generators.
    """
    if len(generators) < 2:
        return None
    names = scores["generator"].cast(pa.string()).to_numpy()
    labels = scores["label"].to_numpy().astype(np.int64)
    logits = scores["logit"].to_numpy().astype(np.float64)
    others = np.isin(names, list(generators))
    found: dict[str, LeftOut] = {}
    for name in generators:
        own = names == name
        fit = fit_platt(labels[others & ~own], logits[others & ~own])
        found[name] = _left_out(labels[own], logits[own], fit)
        shared = (real_sets or {}).get(name)
        found[name]["shares_reals"] = shared is not None and any(
            (real_sets or {}).get(other) == shared for other in generators if other != name
        )
    pooled = _entry(fit_platt(labels[others], logits[others]))
    return {
        "generators": found,
        "mean": _mean([*found.values()]),
        "all": PooledFit(**pooled, checkpoint=checkpoint),
    }


def probability_figures(labels: np.ndarray, log_odds: np.ndarray) -> ProbabilityFigures:
    """Return the figures of P(fake) = sigmoid(`log_odds`) of N images."""
    probabilities = np.asarray(expit(log_odds.astype(np.float64)))
    return {
        "ece": calibration.expected_calibration_error(labels, probabilities),
        "brier": calibration.brier_score(labels, probabilities),
        "log_loss": calibration.log_loss(labels, log_odds),
    }


def _entry(fit: Platt | str) -> ScalingFit:
    """Return a fit; `fit` is a text where there is none."""
    if isinstance(fit, str):
        return {"slope": None, "offset": None, "real": None, "fake": None, "fault": fit}
    return {
        "slope": fit.slope,
        "offset": fit.offset,
        "real": fit.real,
        "fake": fit.fake,
        "fault": None,
    }


def _left_out(labels: np.ndarray, logits: np.ndarray, fit: Platt | str) -> LeftOut:
    """Return the entry of one generator; `fit` is a text where there is none."""
    after = None
    if isinstance(fit, Platt):
        after = probability_figures(labels, fit.log_odds(logits, float(labels.mean())))
    return {
        **_entry(fit),
        "before": probability_figures(labels, logits),
        "after": after,
        "shares_reals": False,
    }


def _mean(entries: list[LeftOut]) -> CalibrationMeans:
    """Return the means before and after; None after if a generator has no fit."""
    return {
        "before": _mean_figures([one["before"] for one in entries]),
        "after": _mean_figures([one["after"] for one in entries]),
    }


def _mean_figures(figures: list[Any]) -> Any:
    if None in figures:
        return None
    return {key: float(np.mean([one[key] for one in figures])) for key in figures[0]}
