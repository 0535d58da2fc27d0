"""Predictions of photos: their grades by the reference of the detector that scored them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

import genspot
from genspot.common.errors import GenspotError
from genspot.common.names import NO_REFERENCE
from genspot.detector.detector_file import DetectorFile
from genspot.detector.settings import ModelSettings
from genspot.evaluation.evidence import STRONG, judge
from genspot.evaluation.references import Reference, beside, read_reference
from genspot.report.predictions import Facts, prediction_table, with_facts
from genspot.tasks.photo_detector import PhotoDetector
from genspot.tasks.scoring_facts import scoring_facts

log = logging.getLogger(__name__)

MANY = 1e12  # more reference photos than there can be; 1 / fpr may be infinite


def reference_path(cfg: DictConfig, checkpoint: Path) -> Path:
    """Return where the reference of a checkpoint lies: `reference=FILE`, or beside it."""
    return beside(checkpoint) if cfg.reference is None else Path(cfg.reference)


def find_reference(
    cfg: DictConfig, checkpoint: DetectorFile, model: ModelSettings
) -> Reference | None:
    """Return the reference that photos are graded by; None if there is none.

    One beside the checkpoint that is of another model, crop or protocol is not used; a warning
    says so.

    Raises:
        GenspotError: a named one does not exist, or it is not of this checkpoint, model, crop and
            protocol.
    """
    path = reference_path(cfg, checkpoint.path)
    if cfg.reference == NO_REFERENCE or (cfg.reference is None and not path.is_file()):
        return None
    try:
        return read_reference(path, scoring_facts(cfg, checkpoint, model))
    except GenspotError as error:
        if cfg.reference is not None:
            raise
        log.warning("there are no grades: %s", error)
        return None


def read_photo_traits(cfg: DictConfig, scores: pa.Table) -> pa.Table:
    """Return the traits of the photos of a table of scores, a row of TRAIT_SCHEMA each."""
    from genspot.data.traits import read_traits  # only where there is a reference

    return read_traits(scores["path"], cfg.workers, cfg.max_megapixels, "format and size")


def find_grader(detector: PhotoDetector) -> Grader:
    """Return what grades the photos of a detector; see `find_reference`."""
    return Grader(detector, find_reference(detector.cfg, detector.checkpoint, detector.model))


@dataclass(frozen=True)
class Grader:
    """Turns the scores of photos by a detector into predictions.

    Attributes:
        detector: that scored them.
        reference: that they are graded by; None: they get no grade.
    """

    detector: PhotoDetector
    reference: Reference | None

    def refuse_rate(self, fpr: float) -> None:
        """Check that photos can be decided at a false-alarm rate.

        Args:
            fpr: the rate, in (0, 1).

        Raises:
            GenspotError: there is no reference, or it has too few photos.
        """
        name = f"checkpoint={self.detector.checkpoint.path}"
        if self.reference is None:
            raise GenspotError(
                f"fpr={fpr:g} needs a reference, and there is none of {name}: make one, "
                "task=reference inputs=REAL_PHOTOS, or leave fpr out"
            )
        needed = math.ceil(min(1 / fpr, MANY) - 1e-9) - 1
        if needed > (largest := max(self.reference.kinds.values())):
            raise GenspotError(
                f"fpr={fpr:g} needs at least {needed} reference photos of a kind (JPEG or not), "
                f"and the reference of {name} has at most {largest}: give a higher rate, or make "
                "a larger one, task=reference"
            )

    def predict(
        self, scores: pa.Table, traits: pa.Table | None, fpr: float | None = None
    ) -> pa.Table:
        """Return the predictions of photos, the highest logit first.

        Args:
            scores: N rows with the columns path, logit (finite) and padded.
            traits: N rows of `genspot.data.traits.TRAIT_SCHEMA`; unused without a reference.
            fpr: false-alarm rate of the decisions; None: none are made.

        Returns:
            `genspot.report.predictions.COLUMNS`, without those of claims and of priors.
        """
        if self.reference is not None and traits is not None:
            logits = scores["logit"].to_numpy().astype(np.float64)
            padded = scores["padded"].to_numpy()
            level = STRONG if fpr is None else fpr
            judged = judge(self.reference, traits, logits, padded, level)
            for name in judged.column_names:
                scores = scores.append_column(name, judged[name])
        one = self.detector
        facts = Facts(one.name, one.sha256, one.crop, one.protocol, genspot.__version__)
        return with_facts(prediction_table(scores), facts, fpr)
