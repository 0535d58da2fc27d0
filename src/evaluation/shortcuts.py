"""What tells the real images of a set from the fakes without looking at generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from genspot.evaluation.intervals import DEFAULT_CONFIDENCE

Judgement = Literal["none", "slight", "decisive"]
ALL = "all of them"  # name of the classifier of all traits together


@dataclass(frozen=True)
class Trait:
    """How well one trait of the files tells real from fake in one set.

    Attributes:
        name: "format", "size", "aspect", "file size", "compression", "subsampling", "metadata",
            "colour", "sharpness", "JPEG history", "grid phase", or `ALL`.
        columns: of the table of probes, which the trait is made of.
        ap: average precision of out-of-fold scores, in [0, 1]; the chance level for a constant
            trait.
        interval: [lowest, highest] of `ap`, at the confidence asked for, over all traits at once.
        chance: the AP of random scores: the share of fakes.
        judgement: "none", "slight" or "decisive".
        content: whether the trait is of what is shown, which the generator itself may cause.
        text: what differs, in a sentence with figures.
        fix: what to do about it; "" where the judgement is "none".
        scores: N out-of-fold probabilities that an image is fake, one for each row of the probes;
            0.5 for a constant trait.
    """

    name: str
    columns: tuple[str, ...]
    ap: float
    interval: list[float]
    chance: float
    judgement: Judgement
    content: bool
    text: str
    fix: str
    scores: np.ndarray = field(repr=False, compare=False)


def judge(
    probes: pa.Table,
    labels: np.ndarray,
    scenes: Sequence[str],
    confidence: float = DEFAULT_CONFIDENCE,
    seed: int = 0,
) -> list[Trait]:
    """Return the traits of one set, that of all together last; none where a class is missing.

    Args:
        probes: table of N probes (PROBE_SCHEMA in genspot.data.audit.schema).
        labels: N of them, 0 real and 1 fake: of the rows of `probes`.
        scenes: N names; images of one scene, such as a pair of real and fake, stay in one fold.
        confidence: of the intervals, over all traits at once (Bonferroni), in (0, 1).
        seed: of the folds and classifiers.
    """
    raise NotImplementedError


def scene_names(samples: pa.Table) -> list[str]:
    """Return class/stem of the file for each row of a table of samples."""
    raise NotImplementedError
