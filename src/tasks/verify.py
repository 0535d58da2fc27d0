"""Whether a published detector gives the logits that were published for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.names import shown
from genspot.common.tables import write_csv
from genspot.common.text import printable
from genspot.detector.checkpoint import Checkpoint
from genspot.download.table import ReferenceLogit, Weights
from genspot.report.console import print_line
from genspot.runtime.run_folder import save_config
from genspot.tasks import config
from genspot.tasks.api import make_loaded_detector
from genspot.tasks.downloads import read_downloads
from genspot.tasks.overrides import command_line_overrides, overridden_keys
from genspot.tasks.places import PUBLISHED
from genspot.tasks.schema import plain
from genspot.tasks.weights_by_name import load_named_checkpoint, published_entry

log = logging.getLogger(__name__)

LOGITS = "logits.csv"
NAMED = 3  # images in a message
# The published logits say how each image is cropped, and none is changed otherwise.
WITHOUT_EFFECT = ("crop", "degradations", "protocol", "model")


def verify(cfg: DictConfig) -> None:
    """Compare the logits of reference images with the published ones, and write logits.csv.

    Raises:
        GenspotError: a setting does not allow it; an image is missing or cannot be read; or a
            logit differs by more than the entry of the table accepts.
    """
    entry = _entry(cfg)
    folder = _folder(cfg, entry)
    present = [one for one in entry.logits if (folder / one.image).is_file()]
    missing = dict.fromkeys(one.image for one in entry.logits if one not in present)
    faults = [f"missing in {folder}: {_some(missing)}"] if missing else []
    if not present:
        raise GenspotError(f"{cfg.checkpoint} is not verified: {faults[0]}")
    checkpoint = load_named_checkpoint(cfg.checkpoint, cfg.paths.weights, quiet=cfg.quiet)
    run = config.run_settings(cfg)
    save_config(run.folder, run.config_text, run.resume)
    found = _logits(checkpoint, folder, present, cfg.max_megapixels)
    write_csv(_table(present, found), run.folder / LOGITS)
    wrong = [
        f"{printable(one.image)} (crop {one.crop or 'none'}) has {logit:.6f}, published "
        f"{one.logit:.6f}"
        for one, logit in zip(present, found, strict=True)
        if not abs(logit - one.logit) <= entry.tolerance
    ]
    if wrong:
        faults.append(f"logits that differ by more than {entry.tolerance:g}: {_some(wrong)}")
    if faults:
        raise GenspotError(
            f"{cfg.checkpoint} is not verified: {'; '.join(faults)}; see {run.folder / LOGITS}"
        )
    largest = max(abs(logit - one.logit) for one, logit in zip(present, found, strict=True))
    print_line(
        f"{cfg.checkpoint}: all {len(found)} published logits are met; the largest difference is "
        f"{largest:.2g}, accepted are {entry.tolerance:g}"
    )


def _entry(cfg: DictConfig) -> Weights:
    """Return the entry of the checkpoint, which has published logits."""
    checkpoint = str(cfg.checkpoint)
    if not checkpoint.startswith(PUBLISHED):
        raise GenspotError(f"task=verify needs checkpoint={PUBLISHED}NAME")
    entry = published_entry(checkpoint, "checkpoint")
    if not entry.logits:
        table = read_downloads().values()
        known = [one.name for one in table if isinstance(one, Weights) and one.logits]
        raise GenspotError(
            f"checkpoint={checkpoint}: the table has no published logits of it, but of "
            f"{', '.join(PUBLISHED + name for name in known)}"
        )
    keys = {key.split(".")[0] for key in overridden_keys(command_line_overrides())}
    for key in WITHOUT_EFFECT:
        if key in keys:
            raise GenspotError(f"{key} has no effect on task=verify: leave it out")
    return entry


def _folder(cfg: DictConfig, entry: Weights) -> Path:
    """Return the folder of the reference images."""
    inputs = plain(cfg, "inputs")
    inputs = inputs if isinstance(inputs, list) else [inputs]
    if len(inputs) != 1 or inputs[0] is None or not Path(str(inputs[0])).is_dir():
        raise GenspotError(
            f"inputs={shown(inputs[0] if len(inputs) == 1 else inputs)}: task=verify needs "
            "inputs=FOLDER, of the images whose logits were published: "
            f"{_some(dict.fromkeys(one.image for one in entry.logits))}; {entry.logits_source}"
        )
    return Path(str(inputs[0]))


def _logits(
    checkpoint: Checkpoint, folder: Path, logits: Sequence[ReferenceLogit], max_megapixels: int
) -> list[float]:
    """Return what the detector gives for the images of `logits`, in their order."""
    found: dict[ReferenceLogit, float] = {}
    for crop in dict.fromkeys(one.crop for one in logits):
        detector = make_loaded_detector(checkpoint, crop or "none", "cpu", max_megapixels)
        cropped = [one for one in logits if one.crop == crop]
        predicted = detector.predict([folder / one.image for one in cropped]).logits
        found |= zip(cropped, predicted.tolist(), strict=True)
    return [found[one] for one in logits]


def _table(logits: Sequence[ReferenceLogit], found: Sequence[float]) -> pa.Table:
    published = [one.logit for one in logits]
    return pa.table(
        {
            "image": pa.array([one.image for one in logits], pa.string()),
            "crop": pa.array([str(one.crop or "none") for one in logits], pa.string()),
            "published": pa.array(published, pa.float64()),
            "logit": pa.array(found, pa.float64()),
        }
    )


def _some(texts: Sequence[str] | dict[str, None]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(list(texts)[:NAMED]) + more
