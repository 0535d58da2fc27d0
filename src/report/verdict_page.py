"""The page of photos: what detectors and the files themselves say of each, for any reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class PatchMap(NamedTuple):
    """The logits of the patches of a photo, whose mean is the photo's logit.

    Attributes:
        uri: a picture of them as a data: URI.
        limit: the logit of the strongest colours; those of the same size below 0 are the others.
    """

    uri: str
    limit: float


class Pictures(NamedTuple):
    """What is shown of one photo.

    Attributes:
        photo: a small copy as a data: URI; "" where there is none.
        spectrum: of the photo as a data: URI; "" where there is none.
        patch_maps: of the detectors that score patches, by their names.
        seen: of each detector by its name, the width and the height of the central part of the
            photo that it sees, as shares of the photo's, in (0, 1].
    """

    photo: str
    spectrum: str = ""
    patch_maps: Mapping[str, PatchMap] = {}
    seen: Mapping[str, tuple[float, float]] = {}


def stylesheet() -> str:
    """Return the style sheet of `render_answers`, which the server's page uses too."""
    raise NotImplementedError


def render_answers(document: Mapping[str, Any], pictures: Mapping[str, Pictures]) -> str:
    """Return the answers as a part of a page, without <html>.

    It has no script, no style attribute and no id, so that it suits any page and a strict content
    security policy (its pictures are data: URIs).

    Args:
        document: of `genspot.report.answers`: the keys about and photos.
        pictures: by the path of the photo in the answer; a missing one has none.
    """
    raise NotImplementedError


def render_verdicts(document: Mapping[str, Any], pictures: Mapping[str, Pictures]) -> str:
    """Return the page, which refers to nothing outside itself.

    Args:
        document: see `render_answers`.
        pictures: see `render_answers`.
    """
    raise NotImplementedError
