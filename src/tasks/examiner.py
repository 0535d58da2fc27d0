"""Photos in memory, read, scored and answered as task=predict answers photos in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genspot.common.uploads import Question
from genspot.common.uploads import UploadedPhoto as UploadedPhoto

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector


class ReadPhoto:
    """A question whose photo is decoded, ready to be scored. See `Examiner.read`."""


class Examiner:
    """Answers questions about photos in memory.

    `read` is called by several threads at once; `answer` by one at a time.

    Args:
        detectors: that score each photo.
    """

    def __init__(self, detectors: list[PhotoDetector]) -> None:
        self.detectors = detectors

    def read(self, question: Question) -> ReadPhoto:
        """Return a question with its photo decoded. An unreadable photo has its reason instead."""
        raise NotImplementedError

    def answer(self, photos: Sequence[ReadPhoto]) -> list[dict[str, Any]]:
        """Return the answer to each question, in order; see `report.answers.make_answers`."""
        raise NotImplementedError

    def examine(
        self,
        photos: Sequence[UploadedPhoto],
        deliveries: bool = False,
        fpr: float | None = None,
        prior: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the answer for each photo, in order; an unreadable photo's has the reason."""
        questions = [Question(photo, deliveries, fpr, prior) for photo in photos]
        return self.answer([self.read(question) for question in questions])
