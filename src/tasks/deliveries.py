"""Photos scored again as messengers, social networks and screenshots deliver them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.augment.deliveries import DELIVERIES
from genspot.common.errors import GenspotError
from genspot.common.images import UnreadableError
from genspot.data import image_io
from genspot.data.image_data import ImageData
from genspot.data.inputs import UNKNOWN
from genspot.data.layout import SAMPLE_SCHEMA
from genspot.data.settings import default_workers
from genspot.data.traits import TRAIT_SCHEMA, find_traits, pixel_traits
from genspot.evaluation.evidence import judge
from genspot.evaluation.references import Reference
from genspot.report.deliveries import delivery_table
from genspot.tasks.photos import Photos
from genspot.tasks.plain_scoring import make_loop
from genspot.tasks.scoring import Loop, Scorer

LOG_NAME = "delivery"
NAMES = [delivery.name for delivery in DELIVERIES]


class DeliveredPhotos:
    """Reads row N as delivery N % D of photo N // D, of D deliveries.

    A photo is decoded once for all of its deliveries that are read one after the other.

    Args:
        paths: of the photos, of type `pa.large_string()`.
        max_megapixels: larger photos are refused.
        with_traits: keep the traits of what is read.

    Attributes:
        traits: row → traits, of the rows that were read by this process.
    """

    def __init__(
        self, paths: pa.ChunkedArray, max_megapixels: int, with_traits: bool = False
    ) -> None:
        self.paths, self.max_megapixels = paths, max_megapixels
        self.with_traits = with_traits
        self.traits: dict[int, dict[str, Any]] = {}
        self.last = -1, np.empty((0, 0, 3), np.uint8)  # number and pixels of the last photo

    def __call__(self, row: int) -> np.ndarray:
        """Return the photo as delivered, `uint8`, H×W×3.

        Raises:
            UnreadableError: the delivery takes no photo of this size, or see `image_io.read`.
            Exception: whatever PIL raises.
        """
        photo, number = divmod(row, len(DELIVERIES))
        known, pixels = self.last
        if known != photo:  # another thread may read the same; both get its own pixels
            pixels = image_io.read(self.paths[photo].as_py(), self.max_megapixels)
            self.last = photo, pixels
        try:
            delivered, content = DELIVERIES[number].deliver(pixels)
        except ValueError as error:
            raise UnreadableError(f"as {NAMES[number]}: {error}") from error
        if self.with_traits:
            self.traits[row] = delivered_traits(delivered, content, self.max_megapixels)
        return delivered


def delivered_traits(pixels: np.ndarray, content: bytes, max_megapixels: int) -> dict[str, Any]:
    """Return the traits of a delivered photo, from what `Delivery.deliver` returned."""
    if content:
        return find_traits("delivery", max_megapixels, content, pixels)
    return pixel_traits(pixels)


def refuse_several_processes(loop: Loop) -> None:
    """Raise GenspotError if several processes share the photos: one alone scores deliveries."""
    if loop.processes > 1:
        raise GenspotError(
            f"deliveries=true: one process scores the deliveries, and {loop.processes} share the "
            "photos; leave out trainer=, or give trainer.devices=1"
        )


def score_deliveries(
    photos: Photos, predictions: pa.Table, reference: Reference | None
) -> pa.Table:
    """Score all deliveries of photos by a detector.

    What the photos of the prediction undergo, the delivered ones undergo too. An interrupted run
    goes on from what it has scored.

    Args:
        photos: with the detector.
        predictions: of the readable ones, with the columns path and logit.
        reference: that deliveries are graded by, each compared with its like; None: no grades.

    Returns:
        See `delivery_table`, and the column `detector`.
    """
    one, run = photos.detector, photos.run
    delivered = delivered_images(photos.images, predictions["path"], reference is not None)
    loop, name = make_loop(one, run, delivered), f"{LOG_NAME}{photos.log_suffix}"
    scorer = Scorer(one.cfg, run, one.checkpoint, one.model, loop, delivered, name)
    scores, unreadable = scorer.score("predict")
    if reference is not None:
        scores = _with_grades(reference, scores, delivered)
    table = delivery_table(predictions, NAMES, scores, unreadable)
    photos.scorer.logs += scorer.logs  # removed with those of the photos
    return table.append_column("detector", pa.array([one.name] * len(table), pa.string()))


def _with_grades(reference: Reference, scores: pa.Table, delivered: ImageData) -> pa.Table:
    """Return the scores of deliveries with the columns of `evidence.Judgement`."""
    samples, reader = delivered.tables["predict"], delivered.readers["predict"]
    assert isinstance(reader, DeliveredPhotos)
    places = {key: row for row, key in enumerate(_deliveries_of(samples))}
    rows = [places[key] for key in _deliveries_of(scores)]
    missing = [row for row in rows if row not in reader.traits]  # other processes read them
    with ThreadPoolExecutor(default_workers()) as pool:
        for _ in pool.map(reader, missing):
            pass
    traits = pa.Table.from_pylist([reader.traits[row] for row in rows], schema=TRAIT_SCHEMA)
    return judge_deliveries(reference, scores, traits)


def _deliveries_of(table: pa.Table) -> Iterable[tuple[str, str]]:
    return zip(table["path"].to_pylist(), table["generator"].to_pylist(), strict=True)


def judge_deliveries(reference: Reference, scores: pa.Table, traits: pa.Table) -> pa.Table:
    """Return N scores of deliveries with the columns of `evidence.Judgement`.

    Args:
        reference: of the detector.
        scores: with the columns logit and padded; logits that are not finite get no grade.
        traits: N rows of `genspot.data.traits.TRAIT_SCHEMA`, of the delivered photos.
    """
    logits = scores["logit"].to_numpy().astype(np.float64)
    judged = judge(reference, traits, logits, scores["padded"].to_numpy())
    for name in judged.column_names:
        scores = scores.append_column(name, judged[name])
    return scores


def delivered_images(
    images: ImageData, paths: pa.ChunkedArray, with_traits: bool = False
) -> ImageData:
    """Return the deliveries of the photos at `paths`, else as `images`: D rows for each photo.

    The column `generator` of their table has the names of the deliveries. `with_traits` is that
    of `DeliveredPhotos`.
    """
    count, paths = len(paths) * len(NAMES), paths.cast(pa.large_string())
    columns = [
        paths.take(pa.array(np.repeat(np.arange(len(paths)), len(NAMES)))),
        pa.array(NAMES * len(paths)).dictionary_encode(),
        pa.array([""] * count).dictionary_encode(),
        pa.repeat(pa.scalar(UNKNOWN, pa.int8()), count),
    ]
    delivered, loading = copy(images), images.loading
    delivered.tables = {"predict": pa.table(columns, schema=SAMPLE_SCHEMA)}
    delivered.readers = {"predict": DeliveredPhotos(paths, loading.max_megapixels, with_traits)}
    delivered.known = {}
    # Whole photos in a batch: each is decoded by one process alone.
    size = loading.eval_batch_size
    delivered.loading = replace(loading, eval_batch_size=size - size % len(NAMES) or size)
    return delivered
