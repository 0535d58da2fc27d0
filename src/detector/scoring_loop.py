"""Images scored batch by batch in one process, on the CPU, without Lightning.

Lightning takes seconds to import. Its own loop scores a batch by the same function.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from genspot.detector.memory import score_within_memory
from genspot.detector.network import DetectorNetwork
from genspot.detector.score_log import ScoreLog

log = logging.getLogger(__name__)

LOG_INTERVAL = 60.0  # seconds between two lines that say how far a run is


def score_batch(
    forward: Callable[[torch.Tensor], torch.Tensor], batch: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the scores of the images of a batch that the memory has room for.

    Args:
        forward: images to logits, float32 of shape N.
        batch: see `genspot.data.dataset.collate`.

    Returns:
        rows (int64, N), logits (float32, N), padded (bool, N), and row → reason of the images
        that are `unreadable` because they need more memory than there is. None where no image of
        the batch was readable.
    """
    if batch["image"] is None:
        return None
    logits, failed = score_within_memory(forward, batch["image"])
    scored = [index for index in range(len(batch["row"])) if index not in failed]
    rows = batch["row"].tolist()
    return {
        "rows": batch["row"][scored],
        "logits": logits,
        "padded": batch["padded"][scored],
        "unreadable": {rows[index]: reason for index, reason in failed.items()},
    }


def append_batch(
    score_log: ScoreLog, outputs: dict[str, Any] | None, batch: dict[str, Any]
) -> None:
    """Append a batch to `score_log`: what `score_batch` returned, and the unreadable images."""
    scores, unreadable = {}, dict(batch["unreadable"])
    if outputs is not None:
        rows, logits, padded = (outputs[key].tolist() for key in ("rows", "logits", "padded"))
        scores = dict(zip(rows, zip(logits, padded, strict=True), strict=True))
        unreadable |= outputs["unreadable"]
    score_log.append(scores, unreadable)


def score_batches(
    network: DetectorNetwork, loader: DataLoader[Any], score_log: ScoreLog, bar: bool
) -> None:
    """Append the scores of all batches of `loader` to `score_log`.

    Args:
        network: in evaluation mode, on the CPU.
        loader: of batches; see `genspot.data.dataset.collate`.
        score_log: is opened, and closed at the end.
        bar: show a progress bar; otherwise log the batch that was reached at intervals.
    """
    score_log.open(rank=0)
    try:
        with torch.inference_mode(), tqdm(loader, "Predicting", disable=not bar) as batches:
            last = time.monotonic()
            for number, batch in enumerate(batches):
                append_batch(score_log, score_batch(network, batch), batch)
                if not bar and time.monotonic() - last >= LOG_INTERVAL:
                    last = time.monotonic()
                    log.info("scoring: batch %d of %d", number + 1, len(loader))
    finally:
        score_log.close()
