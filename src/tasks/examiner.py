"""Photos in memory, read, scored and answered as task=predict answers photos in files."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from genspot.augment.deliveries import DELIVERIES
from genspot.common.claims import FileClaims
from genspot.common.errors import GenspotError
from genspot.common.uploads import Question
from genspot.common.uploads import UploadedPhoto as UploadedPhoto
from genspot.data import image_io
from genspot.data.claims.read import read_claims
from genspot.data.traits import TRAIT_SCHEMA, find_traits
from genspot.evaluation.references import Reference
from genspot.evaluation.scaling import Scaling
from genspot.report.answers import Answer, make_answers
from genspot.report.deliveries import delivery_table
from genspot.report.predictions import join_predictions, join_unreadable
from genspot.tasks.deliveries import delivered_traits as traits_as_delivered
from genspot.tasks.deliveries import judge_deliveries
from genspot.tasks.grading import find_grader
from genspot.tasks.photo_views import Score, View, decode, score_views, see, see_deliveries
from genspot.tasks.prior import find_scaling, with_prior

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector

BATCH = 8  # photos that are answered at once: more make ResNet-50 no faster, and photos wait
NAMES = [delivery.name for delivery in DELIVERIES]
NO_TRAITS = dict.fromkeys(TRAIT_SCHEMA.names)


@dataclass(frozen=True)
class ReadPhoto:
    """A question whose photo is decoded.

    Attributes:
        question: about the photo.
        claims: of its metadata.
        traits: of `TRAIT_SCHEMA`; all None where they cannot be read or no grade needs them.
        views: for each detector, of the photo, and after it of its deliveries where they are
            asked for; of a photo that cannot be read, one without an image.
        delivered_traits: of each delivery, as `traits`; {} where none are needed.
    """

    question: Question
    claims: FileClaims
    traits: dict[str, Any]
    views: list[list[View]]
    delivered_traits: Sequence[dict[str, Any]] = ()


class Examiner:
    """Answers questions about photos in memory.

    `read` may be called by several threads at once; `answer` by one at a time.

    Args:
        detectors: that score each photo.

    Attributes:
        batch_size: photos that are best answered at once; 1 where whole photos are scored.
    """

    def __init__(self, detectors: list[PhotoDetector]) -> None:
        self.detectors = detectors
        self.readings = [detector.reading for detector in detectors]
        self.graders = [find_grader(detector) for detector in detectors]
        self.scalings = [_scaling_or_error(detector) for detector in detectors]
        self.graded = any(grader.reference for grader in self.graders)
        self.batches = [BATCH if one.geometry.fixed_size else 1 for one in self.readings]
        self.batch_size = min(self.batches)
        self.max_megapixels = int(detectors[0].cfg.max_megapixels)
        # Of the threads that read: one at a time decodes a large photo, and sees it as delivered.
        self.large_photo_lock = image_io.large_photo_lock = threading.RLock()

    def check(self, fpr: float | None, prior: float | None) -> None:
        """Check that questions with these settings can be answered.

        Raises:
            GenspotError: they cannot, in one line.
        """
        for name, value in (("fpr", fpr), ("prior", prior)):
            if value is not None and not 0 < value < 1:
                raise GenspotError(f"{name}={value}: give a number above 0 and below 1")
        if fpr is not None:
            for grader in self.graders:
                grader.refuse_rate(fpr)
        for scaling in self.scalings if prior is not None else ():
            if isinstance(scaling, GenspotError):
                raise scaling

    def read(self, question: Question) -> ReadPhoto:
        """Return a question with its photo decoded. An unreadable photo has its reason instead."""
        pixels = decode(question.photo, self.max_megapixels)
        if isinstance(pixels, str):
            unread = [[View(None, reason=pixels)] for _ in self.readings]
            return ReadPhoto(question, FileClaims(question.photo.name), NO_TRAITS, unread)
        is_large = pixels.shape[0] * pixels.shape[1] > image_io.LARGE_PIXELS
        with self.large_photo_lock if is_large else nullcontext():
            return self._see(question, pixels)

    def _see(self, question: Question, pixels: np.ndarray) -> ReadPhoto:
        (name, content), limit = question.photo, self.max_megapixels
        views = [[view] for view in see(self.readings, pixels)]
        delivered_traits: Sequence[dict[str, Any]] = ()
        if question.deliveries:
            traits_of = partial(traits_as_delivered, max_megapixels=limit) if self.graded else None
            delivered, delivered_traits = see_deliveries(self.readings, pixels, traits_of)
            views = [own + other for own, other in zip(views, delivered, strict=True)]
        claims = read_claims(name, limit, content)
        traits = self._traits(question.photo, pixels)
        return ReadPhoto(question, claims, traits, views, delivered_traits)

    def _traits(self, photo: UploadedPhoto, pixels: np.ndarray) -> dict[str, Any]:
        with suppress(Exception):  # as where photos are read from files
            if self.graded:
                return find_traits(photo.name, self.max_megapixels, photo.content, pixels)
        return NO_TRAITS

    def answer(self, photos: Sequence[ReadPhoto]) -> list[Answer]:
        """Return the answer to each question, in order; see `report.answers.make_answers`.

        Raises:
            GenspotError: a network fails on images of which it takes others.
        """
        scores = [self._score(place, photos) for place in range(len(self.detectors))]
        alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for number, photo in enumerate(photos):
            alike[photo.question[1:]].append(number)
        answers: dict[str, Answer] = {}
        for numbers in alike.values():
            answers |= self._answer({number: photos[number] for number in numbers}, scores)
        return [
            answers[str(number)] | {"photo": photo.question.photo.name}
            for number, photo in enumerate(photos)
        ]

    def examine(
        self,
        photos: Iterable[UploadedPhoto],
        deliveries: bool = False,
        fpr: float | None = None,
        prior: float | None = None,
    ) -> list[Answer]:
        """Return the answer for each photo, in order; an unreadable photo's has the reason.

        Raises:
            GenspotError: see `check` and `answer`.
        """
        self.check(fpr, prior)
        questions = [Question(photo, deliveries, fpr, prior) for photo in photos]
        found: list[Answer] = []
        for start in range(0, len(questions), self.batch_size):
            part = questions[start : start + self.batch_size]
            found += self.answer([self.read(question) for question in part])
        return found

    def _score(self, place: int, photos: Sequence[ReadPhoto]) -> list[list[Score]]:
        """Return what one detector says of the views of each photo."""
        views = [view for photo in photos for view in photo.views[place]]
        found = iter(score_views(self.detectors[place], views, self.batches[place]))
        return [[next(found) for _ in photo.views[place]] for photo in photos]

    def _answer(
        self, photos: dict[int, ReadPhoto], scores: list[list[list[Score]]]
    ) -> dict[str, Answer]:
        """Return number → answer of photos that are asked the same.

        Tables know the photos by their numbers: several of a batch may have one name.
        """
        asked = next(iter(photos.values())).question
        predictions, unreadable, delivered = [], [], []
        for place, detector in enumerate(self.detectors):
            own = {str(number): scores[place][number] for number in photos}
            traits = {str(number): photo.traits for number, photo in photos.items()}
            predictions.append(self._predict(place, own, traits, asked))
            reasons = [(path, one[0].reason) for path, one in own.items() if one[0].reason]
            unreadable.append((detector.name, _table(("path", "reason"), reasons)))
            if asked.deliveries:
                of_deliveries = {str(key): one.delivered_traits for key, one in photos.items()}
                reference = self.graders[place].reference
                table = _delivery_table(predictions[-1], own, reference, of_deliveries)
                names = pa.array([detector.name] * len(table), pa.string())
                delivered.append(table.append_column("detector", names))
        claims = [
            FileClaims(str(number), photo.claims.claims, photo.claims.notes)
            for number, photo in photos.items()
        ]
        answers = make_answers(
            join_predictions(predictions),
            claims,
            join_unreadable(unreadable),
            pa.concat_tables(delivered, promote_options="default") if delivered else None,
        )
        return {answer["photo"]: answer for answer in answers}

    def _predict(
        self,
        place: int,
        scores: dict[str, list[Score]],
        traits: dict[str, dict[str, Any]],
        asked: Question,
    ) -> pa.Table:
        """Return the predictions of a detector for the photos that it has scored."""
        scored = {path: one[0] for path, one in scores.items() if not one[0].reason}
        table = pa.table(
            {
                "path": pa.array(scored, pa.large_string()),
                "logit": np.array([one.logit for one in scored.values()], np.float32),
                "padded": pa.array([one.padded for one in scored.values()], pa.bool_()),
            }
        )
        rows = pa.Table.from_pylist([traits[path] for path in scored], schema=TRAIT_SCHEMA)
        predictions = self.graders[place].predict(table, rows, asked.fpr)
        if asked.prior is None:
            return predictions
        scaling = self.scalings[place]
        if isinstance(scaling, GenspotError):
            raise scaling
        return with_prior(scaling, asked.prior, predictions)


def _scaling_or_error(detector: PhotoDetector) -> Scaling | GenspotError:
    """Return the scaling of a detector, or why there is none, for who asks with a prior.

    Raises:
        GenspotError: one is named, and is of no use.
    """
    try:
        return find_scaling(detector.cfg, detector)
    except GenspotError as error:
        if detector.cfg.calibration is not None:
            raise
        return error


def _delivery_table(
    predictions: pa.Table,
    scores: dict[str, list[Score]],
    reference: Reference | None,
    traits: Mapping[str, Sequence[dict[str, Any]]],
) -> pa.Table:
    """Return the table of the deliveries of the photos that have a prediction.

    Args:
        predictions: of the photos.
        scores: path → the score of the photo and those of its deliveries.
        reference: that deliveries are graded by; None: they are not.
        traits: path → the traits of the deliveries.
    """
    rows = [
        (path, name, score.logit, score.padded, score.reason, place)
        for path, one in scores.items()
        if len(one) > 1  # an unreadable photo has no deliveries
        for place, (name, score) in enumerate(zip(NAMES, one[1:], strict=True))
    ]
    scored = [row for row in rows if not row[4]]
    failed = [(*row[:2], row[4]) for row in rows if row[4]]
    table = _table(("path", "generator", "logit", "padded"), [row[:4] for row in scored])
    if reference is not None and scored:
        found = [traits[row[0]][row[5]] for row in scored]
        found_traits = pa.Table.from_pylist(found, schema=TRAIT_SCHEMA)
        table = judge_deliveries(reference, table, found_traits)
    return delivery_table(
        predictions, NAMES, table, _table(("path", "generator", "reason"), failed)
    )


def _table(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table(dict(zip(names, map(list, columns), strict=True)))
