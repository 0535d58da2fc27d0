"""What probabilities at a prior rest on, and how well such ones did, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from scipy.special import entr

from genspot.evaluation.calibration_results import Calibration
from genspot.evaluation.scaling import Scaling
from genspot.report.sections.words import listing


def prior_notes(scaling: Scaling, prior: float, predictions: pa.Table) -> list[str]:
    """Return what a reader must know of the probabilities of photos, one line each.

    Args:
        scaling: that they are by.
        prior: share of fakes among photos like these, in (0, 1).
        predictions: with `likelihood_ratio`; see `genspot.tasks.prior.with_prior`.
    """
    fit, names = scaling.fit, list(scaling.shares)
    lines = [
        f"The probability that a photo is generated is given for a prior of {prior:g}: that share "
        f"of such photos is. It is by Platt's scaling on {fit.real} real and {fit.fake} generated "
        f"images of {len(names)} test sets ({scaling.path}), and holds for photos and generators "
        "like theirs. The likelihood ratio is the factor by which a photo's score changes the "
        "odds, whatever the prior."
    ]
    lines.append(left_out_note(scaling.left_out, scaling.shares))
    if count := predictions["likelihood_ratio"].null_count:
        lines.append(
            f"{count} of the photos have no likelihood ratio: nothing can be said of them. Their "
            "probability is not calibrated."
        )
    return lines


def left_out_note(left_out: Calibration, shares: Mapping[str, float]) -> str:
    """Return how well probabilities did on generators that the fit did not see, in sentences.

    Args:
        left_out: figures by generator, each scaled by a fit on the others.
        shares: generator → share of fakes among its images.
    """
    entries, means = left_out["generators"], left_out["mean"]["after"]
    if means is None:
        faults = [name for name, one in entries.items() if one["fault"]]
        return (
            "How well such probabilities do on a generator that the fit did not see is not known: "
            f"there is no fit without {listing(faults)}."
        )
    share = np.array([*shares.values()])
    losses = entr(share) + entr(1 - share)
    better = sum(
        one["after"] is not None and one["after"]["log_loss"] < loss
        for one, loss in zip((entries[name] for name in shares), losses, strict=True)
    )
    return (
        "On generators that the fit did not see, at the share of fakes of each, such "
        f"probabilities had on average an ECE of {means['ece']:.1%}, a Brier score of "
        f"{means['brier']:.3f} and a log loss of {means['log_loss']:.3f}. The share alone, the "
        f"same for each image, has 0.0%, {np.mean(share * (1 - share)):.3f} and "
        f"{np.mean(losses):.3f}; they had a lower log loss on {better} of {len(entries)}."
    )
