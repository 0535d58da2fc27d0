"""Images scored by a detector, as tests and predictions share it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.protocols import without_condition
from genspot.common.run_files import NOT_FINITE, UNREADABLE
from genspot.common.tables import concat, write_csv
from genspot.common.text import printable
from genspot.data.image_data import ImageData
from genspot.data.settings import Split
from genspot.detector.detector_file import DetectorFile
from genspot.detector.score_log import ScoreLog
from genspot.detector.settings import ModelSettings
from genspot.evaluation.scores import score_table, unreadable_table
from genspot.tasks.config import RunSettings

log = logging.getLogger(__name__)

# Names of the logs by split, and of the images in messages.
NAMES: dict[Split, str] = {"val": "validation", "test": "test", "predict": "prediction"}


class Loop(Protocol):
    """What scores the images of a split, batch by batch."""

    @property
    def is_first(self) -> bool:
        """Whether this process is the first of the run, which has all scores in the end."""

    @property
    def processes(self) -> int:
        """How many processes share the images."""

    def score(self, split: Split, score_log: ScoreLog) -> None:
        """Append the scores of the images of `split` to `score_log`."""


class Scorer:
    """A detector that scores the images of a run, split by split.

    Args:
        cfg: with the degradations and the protocol.
        run: its folder, which gets the logs of scores, and whether they are continued.
        checkpoint: the file of the detector.
        model: which the checkpoint is scored as.
        loop: which scores them.
        images: what it scores.
        name: of the log of scores; None: that of the split.
    """

    def __init__(
        self,
        cfg: DictConfig,
        run: RunSettings,
        checkpoint: DetectorFile,
        model: ModelSettings,
        loop: Loop,
        images: ImageData,
        name: str | None = None,
    ) -> None:
        self.run, self.images, self.loop = run, images, loop
        self.degradations, self.name = str(cfg.degradations), name
        self.about = {"weights": checkpoint.weights, "model": model.as_dict()}
        self.about["geometry"] = images.test_geometry.as_dict()
        self.protocol, self.own_protocol = str(cfg.protocol), checkpoint.metadata.protocol
        limits = ("max_megapixels", "max_whole_megapixels")
        self.about |= {name: getattr(images.loading, name) for name in limits}
        self.logs: list[ScoreLog] = []

    @property
    def is_first(self) -> bool:
        """Whether this process is the first of the run, which has all scores in the end."""
        return self.loop.is_first

    def score(self, split: Split) -> tuple[pa.Table, pa.Table]:
        """Score the images of `split` that no earlier part of the run has scored.

        Returns:
            On the first process, all scores and all unreadable images: see `score_table` and
            `unreadable_table`.
        """
        samples = self.images.tables[split]
        scored = self._open_log(split, samples)
        last = scored.unreadable.keys() | scored.changed
        self.images.known[split] = (scored.scores, last)
        self.loop.score(split, scored)
        self.logs.append(scored)
        rows = list(scored.scores)
        logits, padded = zip(*scored.scores.values(), strict=True) if rows else ((), ())
        table = score_table(samples, rows, list(logits), list(padded))
        return table, unreadable_table(samples, scored.unreadable)

    def remove_logs(self) -> None:
        """Remove the logs of scores, once the results are written."""
        for scored in self.logs:
            scored.remove()
        (self.run.folder / NOT_FINITE).unlink(missing_ok=True)

    def refuse_nothing_readable(self, scores: pa.Table, unreadable: pa.Table) -> None:
        """Check that there is a score at all.

        Raises:
            GenspotError: there is none.
        """
        if len(scores):
            return
        self.remove_logs()  # there is nothing to continue from
        reason = printable(unreadable["reason"][0].as_py()) if len(unreadable) else "none there"
        raise GenspotError(f"no image could be read: {reason}; see {self.run.folder / UNREADABLE}")

    def _open_log(self, split: Split, samples: pa.Table) -> ScoreLog:
        """Return the log of `split` with what it holds already; say what is taken from it."""
        about = self.about | {"samples": table_fingerprint(samples)}
        about["degradations"] = self.degradations if split == "test" else "none"
        about["protocol"] = self.protocol
        if split == "val":  # whose images no condition of a test changes
            about["protocol"] = without_condition(self.protocol, self.own_protocol)
        found = ScoreLog(
            self.run.folder, self.name or NAMES[split], about, samples["path"].to_pylist()
        )
        if self.run.resume == "never":
            if self.is_first:
                found.remove()
            return found
        found.read()
        if self.is_first:
            _log_continuation(found, samples.num_rows)
        return found


def _log_continuation(found: ScoreLog, total: int) -> None:
    """Say what is taken from a log that was read."""
    name, changed = found.name, len(found.changed)
    if found.scores or changed:
        again = f", {changed} have changed since and are scored again" if changed else ""
        log.info("%s: %d of %d images are scored already%s", name, len(found.scores), total, again)
    elif found.differing:
        names = ", ".join(dict.fromkeys(found.differing))
        log.warning("%s: scored from the start, since %s changed", name, names)
    if found.damaged:
        log.warning(
            "%s: damaged lines in the scores kept in %s: %d; their images are scored again",
            name,
            found.folder,
            found.damaged,
        )


def table_fingerprint(samples: pa.Table) -> str:
    """Return a digest of the images of a table: their paths, test sets and labels, in order."""
    digest = hashlib.sha256(os.getcwd().encode(errors="surrogateescape"))  # paths may be relative
    for name in ("path", "generator", "label"):
        digest.update("\0".join(map(str, samples[name].to_pylist())).encode() + b"\0\0")
    return digest.hexdigest()


def finite(scores: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the scores with finite logits, and the images whose logits are not, with `reason`."""
    logits = scores["logit"].to_numpy()
    others = scores.filter(pa.array(~np.isfinite(logits)))
    reasons = [f"logit {logit}" for logit in others["logit"].to_pylist()]
    others = others.drop_columns(["logit", "padded"])
    others = others.append_column("reason", pa.array(reasons, pa.string()))
    return scores.filter(pa.array(np.isfinite(logits))), others


def refuse_not_finite(tables: list[pa.Table], total: int, folder: Path) -> None:
    """Write the images of `tables`, see `finite`, into `folder`, if there are any.

    Raises:
        GenspotError: there are: no figure and no verdict is made of the other images.
    """
    images = concat(tables)
    if not len(images):
        return
    write_csv(images, folder / NOT_FINITE)
    first = ", ".join(printable(path) for path in images["path"][:3].to_pylist())
    more = ", …" if len(images) > 3 else ""
    raise GenspotError(
        f"the logits of {len(images)} of {total} images are not finite numbers: {first}{more} "
        f"({folder / NOT_FINITE}); there are no results. The detector may be of no use for any "
        "image: try another checkpoint, or leave these images out"
    )


def count_unreadable(metrics: Mapping[str, Any]) -> int:
    """Return how many images of a finished run could not be read: see `Results`."""
    tested = sum(figures["unreadable"] for figures in metrics["generators"].values())
    return int(tested) + int(metrics["unreadable_in_training"])


def check_unreadable(run: RunSettings, count: int) -> None:
    """Check at the end of a run how many images could not be read.

    Raises:
        GenspotError: more than `max_unreadable`.
    """
    if run.max_unreadable is not None and count > run.max_unreadable:
        raise GenspotError(
            f"{count} images could not be read, more than max_unreadable={run.max_unreadable}: "
            f"{run.folder / UNREADABLE} lists them; all results are written"
        )
