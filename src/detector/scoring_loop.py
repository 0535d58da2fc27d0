"""Images scored batch by batch in one process, on the CPU, without Lightning and PyTorch.

They take seconds to import. Lightning's own loop scores a batch by the same function.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tqdm import tqdm

from genspot.detector.memory import score_within_memory
from genspot.detector.score_log import ScoreLog

log = logging.getLogger(__name__)

LOG_INTERVAL = 60.0  # seconds between two lines that say how far a run is

Batch = dict[str, Any]  # see `genspot.data.dataset.collate`


class Batches(Protocol):
    """Batches whose number is known."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


def score_batch(forward: Callable[[Any], Any], batch: Batch) -> dict[str, Any] | None:
    """Return the scores of the images of a batch that the memory has room for.

    Args:
        forward: images to logits, float32 of shape N.
        batch: of tensors or of arrays, as `forward` takes them.

    Returns:
        rows, logits and padded, lists of N, and row → reason of the images that are `unreadable`
        because they need more memory than there is. None where no image of the batch was
        readable.
    """
    if batch["image"] is None:
        return None
    logits, failed = score_within_memory(forward, batch["image"])
    rows, padded = batch["row"].tolist(), batch["padded"].tolist()
    scored = [index for index in range(len(rows)) if index not in failed]
    return {
        "rows": [rows[index] for index in scored],
        "logits": logits,
        "padded": [padded[index] for index in scored],
        "unreadable": {rows[index]: reason for index, reason in failed.items()},
    }


def append_batch(score_log: ScoreLog, outputs: dict[str, Any] | None, batch: Batch) -> None:
    """Append a batch to `score_log`: what `score_batch` returned, and the unreadable images."""
    scores, unreadable = {}, dict(batch["unreadable"])
    if outputs is not None:
        rows, logits, padded = (outputs[key] for key in ("rows", "logits", "padded"))
        scores = dict(zip(rows, zip(logits, padded, strict=True), strict=True))
        unreadable |= outputs["unreadable"]
    score_log.append(scores, unreadable)


def score_batches(
    forward: Callable[[Any], Any], batches: Batches, score_log: ScoreLog, bar: bool
) -> None:
    """Append the scores of all batches to `score_log`.

    Args:
        forward: images to logits, see `score_batch`.
        batches: of a data set.
        score_log: is opened, and closed at the end.
        bar: show a progress bar; otherwise log the batch that was reached at intervals.
    """
    score_log.open(rank=0)
    try:
        with tqdm(batches, "Predicting", disable=not bar) as shown:
            last = time.monotonic()
            for number, batch in enumerate(shown):
                append_batch(score_log, score_batch(forward, batch), batch)
                if not bar and time.monotonic() - last >= LOG_INTERVAL:
                    last = time.monotonic()
                    log.info("scoring: batch %d of %d", number + 1, len(batches))
    finally:
        score_log.close()
