"""What probabilities at a prior rest on, and how well such ones did, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genspot.evaluation.calibration_results import Calibration
from genspot.evaluation.evidence import CANNOT_SAY
from genspot.evaluation.scaling import Scaling
from genspot.report.sections.words import listing


def prior_notes(scalings: Mapping[str, Scaling], prior: float) -> list[str]:
    """Return what a reader must know of probabilities at a prior, one line each.

    Args:
        scalings: detector → the scaling that its probabilities are by.
        prior: share of fakes among photos like these, in (0, 1).
    """
    lines = [
        f"With prior={prior:g}, a probability is the chance that a photo is generated if "
        f"{100 * prior:.4g}% of such photos are. The likelihood ratio is the factor by which the "
        "photo's logit multiplies the odds, whatever the prior. Both hold for photos and "
        f"generators like those of the test. A photo graded {CANNOT_SAY!r} has no likelihood "
        "ratio, and its probability is not calibrated."
    ]
    for name, scaling in scalings.items():
        fit = scaling.fit
        of = f"{name}: " if len(scalings) > 1 else ""
        lines.append(
            f"{of}Platt's scaling on {fit.real} real and {fit.fake} generated images of "
            f"{listing(scaling.shares)} ({scaling.path}). "
            f"{left_out_note(scaling.left_out, scaling.shares)}"
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
    from scipy.special import entr  # slow: only where there is a prior

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
