"""What detectors see of a photo in memory and of its deliveries, and their logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genspot.augment.deliveries import DELIVERIES
from genspot.common.uploads import UploadedPhoto
from genspot.data import image_io
from genspot.data.photo_reading import PhotoReading
from genspot.detector.memory import score_within_memory

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector

TraitFunction = Callable[[np.ndarray, bytes], dict[str, Any]]


class View(NamedTuple):
    """What a detector sees of a photo, or of a delivery of it.

    Attributes:
        image: `uint8`, H×W×3; None where there is none.
        padded: whether it is smaller than the detector's crop.
        reason: why there is none; "" where there is one.
    """

    image: np.ndarray | None
    padded: bool = False
    reason: str = ""


class Score(NamedTuple):
    """What a detector says of a view.

    Attributes:
        logit: finite; None where there is none.
        padded: as in the view.
        reason: why there is none; "" where there is one.
    """

    logit: float | None
    padded: bool
    reason: str


def decode(photo: UploadedPhoto, max_megapixels: int) -> np.ndarray | str:
    """Return the pixels of a photo, `uint8` H×W×3, or why it cannot be read."""
    try:
        return image_io.read_bytes(*photo, max_megapixels)
    except Exception as error:  # a broken file can raise nearly anything
        return image_io.describe_error(error)


def see(readings: Sequence[PhotoReading], pixels: np.ndarray) -> list[View]:
    """Return what each detector sees of a decoded photo."""
    return [_see(reading, pixels) for reading in readings]


def see_deliveries(
    readings: Sequence[PhotoReading], pixels: np.ndarray, traits_of: TraitFunction | None = None
) -> tuple[list[list[View]], list[dict[str, Any]]]:
    """Return what each detector sees of each of `DELIVERIES` of a decoded photo.

    Args:
        readings: of the detectors.
        pixels: of the photo.
        traits_of: the pixels and the file of a delivered photo to its traits; None: none are read.

    Returns:
        The views, for each detector; and the traits of each delivery, {} where there are none.
    """
    found: list[list[View]] = [[] for _ in readings]
    traits: list[dict[str, Any]] = []
    for delivery in DELIVERIES:
        traits.append({})
        try:
            delivered, content = delivery.deliver(pixels)
        except Exception as error:
            words = str(error) if isinstance(error, ValueError) else image_io.describe_error(error)
            seen = [View(None, reason=f"as {delivery.name}: {words}")] * len(readings)
        else:
            seen = see(readings, delivered)
            traits[-1] = traits_of(delivered, content) if traits_of else {}
        for views, view in zip(found, seen, strict=True):
            views.append(view)
    return found, traits


def _see(reading: PhotoReading, pixels: np.ndarray) -> View:
    try:
        image, padded = reading.prepare(pixels)
        # A part of an array keeps all of it in memory until its photo is answered.
        return View(image if image.base is None else image.copy(), padded)
    except Exception as error:
        return View(None, reason=image_io.describe_error(error))


def score_views(detector: PhotoDetector, views: Sequence[View], batch: int) -> list[Score]:
    """Return what a detector says of each view.

    Args:
        detector: that the views were made for.
        views: of photos and their deliveries.
        batch: images that are scored at once; where photos are scored whole, it is 1.
    """
    images = [view.image for view in views if view.image is not None]
    outcomes: list[float | str] = []
    for start in range(0, len(images), batch):
        part = np.stack(images[start : start + batch])
        logits, failed = score_within_memory(detector.logits, part)
        scored = iter(logits)
        outcomes += [failed.get(place) or next(scored) for place in range(len(part))]
    found = iter(outcomes)
    return [_score(view, view.reason if view.image is None else next(found)) for view in views]


def _score(view: View, outcome: float | str) -> Score:
    if isinstance(outcome, str):
        return Score(None, view.padded, outcome)
    if not np.isfinite(outcome):
        return Score(None, view.padded, f"logit {outcome}")
    return Score(outcome, view.padded, "")
