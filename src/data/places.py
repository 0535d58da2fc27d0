"""The images of a data set, wherever they come from (`genspot.data.settings.Place`)."""

from __future__ import annotations

from pathlib import Path

from genspot.common.errors import GenspotError
from genspot.data.layout import Listing, load_folder
from genspot.data.settings import DEFAULT_LABELS, Classes, Labels, Place


def load_samples(
    place: Place | Path, generator: str, classes: Classes, labels: Labels = DEFAULT_LABELS
) -> Listing:
    """Return the images of a data set.

    Args:
        place: where they are.
        generator: name of the set.
        classes: see `genspot.data.settings.TrainingSet`.
        labels: names of the labels.

    Raises:
        GenspotError: the place is missing, has no image, or another layout.
    """
    if isinstance(place, str | Path):
        return load_folder(place, generator, classes)
    raise GenspotError(f"{generator}: {place} is no place of images")
