"""The scaling of a detector: Platt's, fitted on all generators of a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genspot.evaluation.platt import Platt


@dataclass(frozen=True)
class Scaling:
    """Platt's scaling of a detector and how such ones did on generators left out.

    Attributes:
        path: the metrics.json that it is from.
        fit: on the images of all generators of the test.
        notes: sentences for readers: how well such probabilities did on generators that the fit
            did not see, and which photos they hold for.
    """

    path: Path
    fit: Platt
    notes: tuple[str, ...]
