"""Photos and the detectors that score them, for task=predict and task=reference."""

from __future__ import annotations

import codecs
import os
import sys
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa
from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.run_files import UNREADABLE
from genspot.common.tables import concat, write_csv
from genspot.data.image_data import ImageData
from genspot.report.predictions import join_unreadable
from genspot.runtime.run_folder import save_config
from genspot.tasks import config
from genspot.tasks.config import RunSettings
from genspot.tasks.overrides import OF_PHOTOS, refuse_unread
from genspot.tasks.photo_detector import PhotoDetector, load_photo_detectors
from genspot.tasks.plain_scoring import make_image_data, make_loop
from genspot.tasks.schema import plain
from genspot.tasks.scoring import NAMES, Scorer, finite, refuse_not_finite
from genspot.tasks.warnings_filter import silence_warnings

STANDARD_INPUT = "-"
# Settings that task=predict and task=reference read; of other tasks' own, see `check_tasks`.
READ = (
    *(*OF_PHOTOS, "inputs", "format", "fpr", "combine", "deliveries", "prior", "calibration"),
    *("data", "aug", "trainer", "schedule.eval_batch_size", "workers", "resume"),
    "max_unreadable",
)
SHORT_DIGEST = 16  # digits, in the names of logs of scores


@dataclass(frozen=True)
class Photos:
    """Photos that are about to be scored by one detector.

    Attributes:
        detector: that scores them.
        run: its folder.
        images: the photos.
        scorer: of them.
        inputs: where they come from, as the user named them.
        log_suffix: of the names of its logs of scores; "" for the only detector of a run.
    """

    detector: PhotoDetector
    run: RunSettings
    images: ImageData
    scorer: Scorer
    inputs: list[str]
    log_suffix: str

    def score(self) -> tuple[pa.Table, pa.Table] | None:
        """Score the photos.

        Returns:
            The scores, and the unreadable photos with the columns path and reason; None on all
            processes but the first.
        """
        scores, unreadable = self.scorer.score("predict")
        if not self.scorer.is_first:
            return None
        skipped = self.images.skipped["predict"]
        return scores, concat([unreadable, skipped]).select(["path", "reason"])


def score_photos(several: list[Photos]) -> tuple[list[pa.Table], pa.Table] | None:
    """Score photos by one detector after the other, and write unreadable.csv.

    Returns:
        The scores of each detector, and the unreadable photos, see `join_unreadable`; None on all
        processes but the first.

    Raises:
        GenspotError: no photo can be read, or a logit is not finite.
    """
    found: list[pa.Table] = []
    lost: list[tuple[str, pa.Table]] = []
    run = several[0].run
    for photos in several:
        parts = photos.score()
        if parts is None:
            continue
        lost.append((photos.detector.name, parts[1]))
        write_csv(join_unreadable(lost), run.folder / UNREADABLE)
        scores, not_finite = finite(parts[0])
        total = len(scores) + len(not_finite)
        try:
            refuse_not_finite([not_finite], total, run.folder)
        except GenspotError as error:
            if len(several) == 1:
                raise
            raise GenspotError(f"{photos.detector.name}: {error}") from error
        found.append(scores)
    if not found:
        return None
    if not any(map(len, found)):
        several[0].scorer.refuse_nothing_readable(found[0], lost[0][1])
    return found, join_unreadable(lost)


def prepare_photos(cfg: DictConfig) -> list[Photos]:
    """Return the photos of `inputs` for each detector of `checkpoint`; save the configuration.

    Raises:
        GenspotError: no input, no usable checkpoint, or a setting that does not allow it.
    """
    silence_warnings()
    refuse_unread(cfg.task.name, (*READ, "labels") if cfg.task.name == "reference" else READ)
    inputs, content = _read_inputs(cfg)
    detectors = load_photo_detectors(cfg)
    content["checkpoint"] = {"sha256": " ".join(one.sha256 for one in detectors)}
    run = config.run_settings(_recorded(cfg, detectors))
    save_config(run.folder, run.config_text, run.resume, content=content)
    found: list[Photos] = []
    for one in detectors:
        images = make_image_data(one.cfg, one.model, inputs, one.metadata.protocol)
        if found:  # the same photos
            first = found[0].images
            images.tables, images.skipped = dict(first.tables), dict(first.skipped)
        images.setup("predict")
        suffix = "" if len(detectors) == 1 else f"-{one.sha256[:SHORT_DIGEST]}"
        loop = make_loop(one, run, images)
        name = f"{NAMES['predict']}{suffix}"
        scorer = Scorer(one.cfg, run, one.checkpoint, one.model, loop, images, name)
        found.append(Photos(one, run, images, scorer, inputs, suffix))
    return found


def _read_inputs(cfg: DictConfig) -> tuple[list[str], dict[str, Any]]:
    """Return where the photos come from, and what a later run in the same folder must have too.

    Raises:
        GenspotError: nothing is named.
    """
    inputs = plain(cfg, "inputs")
    if inputs is None:
        raise GenspotError(f"task={cfg.task.name} needs inputs=PHOTO_OR_FOLDER, or a list of them")
    if inputs != STANDARD_INPUT:
        return [str(one) for one in (inputs if isinstance(inputs, list) else [inputs])], {}
    content = sys.stdin.buffer.read()
    if b"\0" in content:  # of find -print0, or of UTF-16
        raise GenspotError(
            "inputs=-: standard input holds zero bytes; give one path a line, in UTF-8, such as "
            "those of find -print"
        )
    content = content.removeprefix(codecs.BOM_UTF8)
    lines = [os.fsdecode(line) for line in content.splitlines() if line.strip()]
    if not lines:
        raise GenspotError("inputs=-: no path came on standard input; give one a line")
    return lines, {"inputs": {"sha256": sha256(content).hexdigest()}}


def _recorded(cfg: DictConfig, detectors: list[PhotoDetector]) -> DictConfig:
    """Return the configuration that is kept: of several detectors, the values of each in a list.

    `cfg` is changed.
    """
    if len(detectors) == 1:
        return detectors[0].cfg
    for setting in ("data", "model", "aug"):
        names = [str(one.cfg[setting].name) for one in detectors]
        OmegaConf.update(cfg, setting, {"name": names}, merge=False)
    for setting in ("crop", "protocol"):
        OmegaConf.update(cfg, setting, [one.cfg[setting] for one in detectors])
    return cfg
