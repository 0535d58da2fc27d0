"""Grades of photos by the reference of the detector that scored them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.names import NO_REFERENCE
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.settings import ModelSettings
from genspot.evaluation.evidence import judge
from genspot.evaluation.references import Reference, beside, read_reference
from genspot.runtime.content import describe_file


def reference_path(cfg: DictConfig, checkpoint: Path) -> Path:
    """Return where the reference of a checkpoint lies: `reference=FILE`, or beside it."""
    return beside(checkpoint) if cfg.reference is None else Path(cfg.reference)


def scoring_facts(cfg: DictConfig, checkpoint: Checkpoint, model: ModelSettings) -> dict[str, Any]:
    """Return what a reference and the photos that it grades are scored with, as plain values.

    Args:
        cfg: with the protocol, and the crop that replaces the model's.
        checkpoint: with the weights.
        model: which it is scored as.
    """
    return {
        "checkpoint": describe_file(checkpoint.path)["sha256"],
        "model": model.as_dict(),
        "crop": model.test.with_crop(cfg.crop).crop,
        "protocol": str(cfg.protocol),
    }


def find_reference(
    cfg: DictConfig, checkpoint: Checkpoint, model: ModelSettings
) -> Reference | None:
    """Return the reference that photos are graded by; None if there is none.

    Raises:
        GenspotError: a named one does not exist, or it is not of this checkpoint, model, crop and
            protocol.
    """
    path = reference_path(cfg, checkpoint.path)
    if cfg.reference == NO_REFERENCE or (cfg.reference is None and not path.is_file()):
        return None
    return read_reference(path, scoring_facts(cfg, checkpoint, model))


def with_grades(cfg: DictConfig, reference: Reference, scores: pa.Table) -> pa.Table:
    """Return a table of scores with the columns of `evidence.Judgement`."""
    traits = read_photo_traits(cfg, scores)
    logits = scores["logit"].to_numpy().astype(np.float64)
    judged = judge(reference, traits, logits, scores["padded"].to_numpy())
    for name in judged.column_names:
        scores = scores.append_column(name, judged[name])
    return scores


def read_photo_traits(cfg: DictConfig, scores: pa.Table) -> pa.Table:
    """Return the traits of the photos of a table of scores, a row of TRAIT_SCHEMA each."""
    from genspot.data.traits import read_traits  # only where there is a reference

    return read_traits(scores["path"], cfg.workers, cfg.max_megapixels, "format and size")
