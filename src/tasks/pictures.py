"""The pictures of a page of photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genspot.report.verdict_page import Pictures

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector


def make_pictures(pixels: np.ndarray, detectors: Sequence[PhotoDetector]) -> Pictures:
    """Return the pictures of one photo.

    Args:
        pixels: of the photo, `uint8`, H×W×3.
        detectors: that scored it; those that score patches give a map each.
    """
    raise NotImplementedError


def read_pictures(
    paths: Sequence[str], detectors: Sequence[PhotoDetector], max_megapixels: int
) -> dict[str, Pictures]:
    """Return the pictures of the photos at `paths`; of one that cannot be read, nothing."""
    raise NotImplementedError
