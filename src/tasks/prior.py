"""Probabilities of photos, where a prior is given: Platt's scaling from a test of the detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.run_files import METRICS
from genspot.detector.embedded_file import ships
from genspot.evaluation.evidence import CANNOT_SAY
from genspot.evaluation.scaling import Scaling, read_scaling
from genspot.tasks.scoring_facts import scoring_facts

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector


def find_scalings(cfg: DictConfig, detectors: Sequence[PhotoDetector]) -> dict[str, Scaling]:
    """Return name → scaling of each detector; nothing without a prior.

    Raises:
        GenspotError: see `find_scaling`; or there is `calibration` and no `prior`.
    """
    if cfg.prior is not None:
        return {one.name: find_scaling(one.cfg, one) for one in detectors}
    if cfg.calibration is not None:
        raise GenspotError(
            f"calibration={cfg.calibration} has no effect without a prior: give prior=SHARE, the "
            "share of generated images among such photos, or leave calibration out"
        )
    return {}


def find_scaling(cfg: DictConfig, detector: PhotoDetector) -> Scaling:
    """Return the scaling of a detector, from `calibration`, or metrics.json beside its checkpoint.

    Args:
        cfg: with the detector's settings; `calibration` is a run's folder, a metrics.json or null.
        detector: that scores the photos.

    Raises:
        GenspotError: there is none, it cannot be read, the fit failed, or it is of another
            checkpoint, model, crop or protocol.
    """
    if cfg.calibration is None and ships(detector.checkpoint.path):
        raise GenspotError(
            "checkpoint=embedded ships without the scaling that a prior needs (docs/embedded.md): "
            "give that of a test on real generators, calibration=RUN"
        )
    path = Path(cfg.calibration or detector.checkpoint.path.with_name(METRICS))
    path = path / METRICS if path.is_dir() else path
    return read_scaling(path, scoring_facts(cfg, detector.checkpoint, detector.model))


def with_prior(scaling: Scaling, prior: float, predictions: pa.Table) -> pa.Table:
    """Return predictions with the posterior probabilities at a prior.

    Args:
        scaling: of the detector.
        prior: share of fakes among photos like these, in (0, 1).
        predictions: see `prediction_table`; with grades or without.

    Returns:
        The same columns, and at the end `prior` and `likelihood_ratio`, float64; `probability` is
        the posterior and `calibrated` true. A photo that the grade says nothing of ("cannot say")
        has no likelihood ratio, and keeps its probability, which is not calibrated.
    """
    ratios = scaling.log_likelihood_ratios(predictions["logit"].to_numpy())
    known = np.ones(len(predictions), bool)
    if "grade" in predictions.column_names:
        known = np.array([one != CANNOT_SAY for one in predictions["grade"].to_pylist()], bool)
    from scipy.special import expit, logit  # slow: only where there is a prior

    posterior = np.where(known, expit(ratios + logit(prior)), predictions["probability"])
    for name, values in {"probability": posterior, "calibrated": known}.items():
        place = predictions.column_names.index(name)
        predictions = predictions.set_column(place, name, pa.array(values))
    predictions = predictions.append_column("prior", pa.repeat(prior, len(predictions)))
    return predictions.append_column("likelihood_ratio", pa.array(np.exp(ratios), mask=~known))
