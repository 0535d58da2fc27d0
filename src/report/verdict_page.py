"""The page of photos: what detectors and the files themselves say of each, for any reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from genspot.report import verdict_scale, verdict_words
from genspot.report.templating import render_template


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


MAX_SHOWN = 50  # photos with an answer on the page
MAX_LISTED = 1_000  # photos that the list at its beginning names


def stylesheet() -> str:
    """Return the style sheet of the answers, which the server's page uses too."""
    return render_template("verdict.css")


def render_verdicts(document: Mapping[str, Any], pictures: Mapping[str, Pictures]) -> str:
    """Return the page, which refers to nothing outside itself and runs nothing.

    It shows `MAX_SHOWN` photos, names `MAX_LISTED` and counts the others. The answers stand in an
    element of the class "answers", without style attributes, so that the server's page, which has
    a strict content security policy, can take them out.

    Args:
        document: of `genspot.report.answers`.
        pictures: by the path of the photo in the answer; a missing one has none.
    """
    photos = document["photos"]
    several = len(photos) != 1
    name = "" if several else verdict_words.short_name(photos[0]["photo"])
    return render_template(
        "verdict.html",
        title=f"{len(photos):,} photos" if several else name,
        headline=_headline(len(photos)),
        listed=photos[:MAX_LISTED] if several else [],
        shown=MAX_SHOWN,
        left_out=max(0, len(photos) - MAX_LISTED),
        version=document["genspot"],
        answers=photos[:MAX_SHOWN],
        about=document["about"],
        pictures=pictures,
        nothing=Pictures(""),
        words=verdict_words,
        scale=verdict_scale,
    )


def _headline(count: int) -> str:
    asked = "Are there signs that a generator made this photo?"
    if count > 1:
        asked = "Are there signs that a generator made these photos?"
    if count > MAX_SHOWN:
        return f"{asked} The first {MAX_SHOWN} have their answers below."
    return asked
