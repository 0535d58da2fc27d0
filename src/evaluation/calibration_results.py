"""The schema of what a test's results say of thresholds and probabilities; see `results`."""

from __future__ import annotations

from typing import Annotated, NotRequired

from typing_extensions import TypedDict  # until Python 3.12, pydantic takes no other


class CalibrationFit(TypedDict):
    """Threshold and temperature, fitted on the scores of the validation images."""

    threshold: Annotated[float | None, "logit of the highest balanced accuracy; null: not fitted"]
    temperature: Annotated[
        float | None,
        "divisor of the logits of the highest likelihood, in (0.01, 100); null: not fitted",
    ]
    images: Annotated[int, "number of validation images"]
    notes: Annotated[list[str], "why one of them is not fitted, a sentence each"]


class ProbabilityFigures(TypedDict):
    """How P(fake) agrees with the labels."""

    ece: Annotated[float, "expected calibration error, 15 bins"]
    brier: Annotated[float, "Brier score: mean squared error"]
    log_loss: Annotated[float, "mean negative log likelihood, in nats"]


class ScalingFit(TypedDict):
    """Platt's scaling: P(fake) = sigmoid(slope · logit + offset) at the fit's share of fakes."""

    slope: Annotated[float | None, "factor of the logit, above 0; null: not fitted"]
    offset: Annotated[float | None, "added to the product; null: not fitted"]
    real: Annotated[int | None, "number of real images of the fit; null: not fitted"]
    fake: Annotated[int | None, "number of fakes of the fit; null: not fitted"]
    fault: Annotated[str | None, "why it is not fitted; null: it is"]


class PooledFit(ScalingFit):
    """Platt's scaling, fitted on the images of all generators, for new photos."""

    checkpoint: Annotated[str, "SHA-256 of the tested checkpoint's file, hexadecimal"]


class LeftOut(ScalingFit):
    """Platt's scaling, fitted on the images of all other generators, and what it does on one."""

    shares_reals: Annotated[bool, "whether the fit saw real images of the same set (`real_sets`)"]
    before: Annotated[ProbabilityFigures, "of sigmoid(logit)"]
    after: Annotated[
        ProbabilityFigures | None,
        "with the scaling, the prior being the generator's own share of fakes; null: not fitted",
    ]


class CalibrationMeans(TypedDict):
    """Means over generators, each counting once."""

    before: Annotated[ProbabilityFigures, "of sigmoid(logit)"]
    after: Annotated[ProbabilityFigures | None, "null: a generator has no fit"]


class Calibration(TypedDict):
    """Platt's scaling: on each generator by a fit on the others, and the fit on all."""

    generators: Annotated[dict[str, LeftOut], "those with images of both classes"]
    mean: Annotated[CalibrationMeans, "their means"]
    all: NotRequired[Annotated[PooledFit, "the fit on all of them; missing: an older run"]]
