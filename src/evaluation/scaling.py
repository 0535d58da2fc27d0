"""The scaling of a detector: Platt's, fitted on all generators of a test, for new photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genspot.common.errors import GenspotError
from genspot.common.files import read_json
from genspot.common.text import safe_repr
from genspot.evaluation.calibration_results import Calibration, PooledFit
from genspot.evaluation.platt import Platt, prior_of_targets, smoothed_targets
from genspot.evaluation.references import first_difference

HOW = "test the detector on two generators or more, task=test, and give calibration=RUN"
SIMULATED = "simulated"  # `real_set` of the generators that are built here (conf/generator/)


@dataclass(frozen=True)
class Scaling:
    """Platt's scaling of a detector, and how such scalings did on generators left out.

    Attributes:
        path: the metrics.json that it is from.
        fit: on the images of all generators of the test.
        left_out: figures by generator, each scaled by a fit on the others, and their means.
        shares: generator → share of fakes among its images, in (0, 1).
    """

    path: Path
    fit: Platt
    left_out: Calibration
    shares: Mapping[str, float]

    def log_likelihood_ratios(self, logits: np.ndarray) -> np.ndarray:
        """Return the natural logarithms of the likelihood ratios of N logits, float64.

        They stay within those of the two smoothed targets of the fit: so many images cannot show
        that a likelihood ratio is further from 1.
        """
        from scipy.special import logit  # slow

        counts = self.fit.real, self.fit.fake
        bounds = logit(np.array(smoothed_targets(*counts))) - logit(prior_of_targets(*counts))
        return np.clip(self.fit.log_likelihood_ratios(logits), *bounds)


def read_scaling(path: Path, expected: Mapping[str, Any]) -> Scaling:
    """Return the scaling in the metrics.json at `path`.

    Args:
        path: of the file.
        expected: what photos are scored with now; the keys of `references.FIXED`.

    Raises:
        GenspotError: it cannot be read, there is no scaling in it, or the test was of another
            checkpoint, model, crop or protocol, of degraded images, or of simulated generators,
            whose scaling misleads on other photos (docs/verdict.md).
    """
    try:
        found = _parse(read_json(path))
    except FileNotFoundError as error:
        raise GenspotError(
            f"a prior needs Platt's scaling, and {path} does not exist; {HOW}"
        ) from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        words = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        reason = safe_repr(" ".join(words.split()))
        raise GenspotError(
            f"{path} is no metrics.json of a test by this version of genspot ({reason}); {HOW}"
        ) from error
    if found is None:
        raise _none(path, "fewer than two generators of that test have images of both classes")
    if isinstance(found.fit, str):
        reason = safe_repr(found.fit)
        raise _none(path, f"the fit on all generators of that test has failed, for {reason}")
    if found.degradations:
        names = safe_repr("+".join(found.degradations))
        raise _none(path, f"the images of that test were degraded ({names})")
    if found.simulated:
        names = safe_repr(", ".join(found.simulated))
        raise _none(
            path,
            f"that test was on simulated generators ({names}), whose scaling misleads on photos "
            "from elsewhere",
        )
    if other := first_difference(found.about, expected):
        raise _none(path, f"that test was made with {other}")
    return Scaling(path, found.fit, found.calibration, found.shares)


class _Parsed(NamedTuple):
    """What is needed of a metrics.json; `fit` is a text where there is none."""

    calibration: Calibration
    fit: Platt | str
    shares: dict[str, float]
    about: dict[str, Any]
    degradations: list[str]
    simulated: list[str]  # those of its generators that are


def _parse(metrics: Any) -> _Parsed | None:
    """Return what is needed of the content of a metrics.json; None if it has no calibration.

    Raises:
        KeyError, TypeError, ValueError: it is of another form; anybody may have written it.
    """
    calibration = _validated(metrics["calibration"])
    if calibration is None:
        return None
    fit = calibration["all"]
    about = {key: metrics[key] for key in ("crop", "protocol")}
    about |= {"model": metrics["trained_on"]["model"], "checkpoint": fit["checkpoint"]}
    degradations = [str(one) for one in metrics["degradations"]]
    shares, real_sets = _shares(metrics, calibration), metrics["real_sets"]
    if not isinstance(real_sets, dict):
        raise ValueError("real_sets is of another form")
    simulated = [name for name in shares if real_sets.get(name) == SIMULATED]
    return _Parsed(calibration, _platt(fit), shares, about, degradations, simulated)


def _validated(calibration: Any) -> Calibration | None:
    """Return the entry `calibration` of a metrics.json, or raise ValueError: of another form."""
    from pydantic import TypeAdapter, ValidationError  # slow: only where there is a prior

    try:
        schema = TypeAdapter(Calibration | None)
        return schema.validate_python(calibration, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, ("calibration", *fault["loc"])))
        raise ValueError(f"{place}: {fault['msg']}") from error


def _none(path: Path, reason: str) -> GenspotError:
    return GenspotError(f"{path} has no scaling for a prior here: {reason}; {HOW}")


def _platt(fit: PooledFit) -> Platt | str:
    """Return a fit, or why it has failed.

    Raises:
        ValueError: a value is missing or impossible.
    """
    if fit["fault"]:
        return fit["fault"]
    slope, offset, real, fake = fit["slope"], fit["offset"], fit["real"], fit["fake"]
    if slope is None or offset is None or not real or not fake or min(slope, real, fake) <= 0:
        raise ValueError("calibration.all has impossible values")
    return Platt(slope, offset, real, fake)


def _shares(metrics: Any, calibration: Calibration) -> dict[str, float]:
    """Return the share of fakes of each generator of `calibration`.

    Raises:
        ValueError: one has no image of a class.
    """
    shares = {}
    for name in calibration["generators"]:
        real, fake = (metrics["generators"][name][key] for key in ("real", "fake"))
        if type(real) is not int or type(fake) is not int or min(real, fake) <= 0:
            raise ValueError(f"generators.{name} has impossible numbers of images")
        shares[name] = fake / (real + fake)
    if not shares:
        raise ValueError("calibration.generators is empty")
    return shares
