"""Photos in memory and what is asked about them, for the server and for `tasks.examiner`."""

from __future__ import annotations

from typing import NamedTuple


class UploadedPhoto(NamedTuple):
    """A photo in memory.

    Attributes:
        name: as its sender calls it. It is shown, and never opened as a path.
        content: of its file, encoded.
    """

    name: str
    content: bytes


class Question(NamedTuple):
    """What is asked about one photo.

    Attributes:
        photo: in memory.
        deliveries: whether the photo is also scored as services deliver it.
        fpr: the false-alarm rate, above 0 and below 1, at which it is decided; None: no decision.
        prior: the probability, above 0 and below 1, that a photo is generated before it is
            scored; None: no posterior.
    """

    photo: UploadedPhoto
    deliveries: bool = False
    fpr: float | None = None
    prior: float | None = None
