"""Probabilities of photos, where a prior is given: Platt's scaling from a test of the detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from omegaconf import DictConfig

from genspot.evaluation.scaling import Scaling

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector


def find_scaling(cfg: DictConfig, detector: PhotoDetector) -> Scaling:
    """Return the scaling of a detector, from `calibration`, or metrics.json beside its checkpoint.

    Args:
        cfg: with the detector's settings; `calibration` is a run's folder, a metrics.json or null.
        detector: that scores the photos.

    Raises:
        GenspotError: there is none, it cannot be read, the fit failed, or it is of another
            checkpoint, model, crop or protocol.
    """
    raise NotImplementedError


def with_prior(scaling: Scaling, prior: float, predictions: pa.Table) -> pa.Table:
    """Return predictions with the posterior probabilities at a prior.

    Args:
        scaling: of the detector.
        prior: share of fakes among photos like these, in (0, 1).
        predictions: see `prediction_table`; with grades or without.

    Returns:
        The same columns and `likelihood_ratio`, float64, at the end; `probability` is the
        posterior and `calibrated` true. A photo that the grade says nothing of ("cannot say")
        has no likelihood ratio, and keeps its probability, which is not calibrated.
    """
    raise NotImplementedError
