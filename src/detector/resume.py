"""Going on where a run was interrupted: how its checkpoints are written, and which is taken up."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.loggers import CSVLogger, Logger

from genspot.detector import safe_load as archives
from genspot.common.errors import GenspotError
from genspot.evaluation.scores import replacing

log = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class RenamedCheckpointIO(TorchCheckpointIO):
    """Checkpoints written beside their place, then renamed; `last.ckpt` leaves `previous.ckpt`.

    Lightning writes into the folder of temporary files first, which may be on another disk: from
    there the file is copied, not renamed, and a run that is killed leaves half of it in place.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        path = Path(path)
        content = io.BytesIO()  # PyTorch's own writer words a full disk as a bug of its own
        torch.save(checkpoint, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(content.getbuffer())
            if path.name == LAST and path.exists():
                path.replace(path.with_name(PREVIOUS))


def find(folder: Path, choice: str) -> Path | None:
    """The checkpoint in `folder` to go on from; None to begin anew.

    Args:
        folder: of the run.
        choice: "auto" takes the last one, or where that is damaged the one before; "never" none.

    Raises:
        GenspotError: `choice` is something else.
    """
    if choice not in ("auto", "never"):
        raise GenspotError(f"resume={choice}: choose auto or never")
    damaged = []
    for name in (LAST, PREVIOUS) if choice == "auto" else ():
        path = folder / name
        if not path.is_file():
            continue
        if archives.damage(path) is None:
            return path
        damaged.append(name)
        log.warning("%s is damaged: going on from what was before it", path)
    if damaged:
        log.warning("no checkpoint in %s is whole: beginning anew", folder)
    return None


def progress(checkpoint: Path) -> tuple[int, int, int]:
    """How far the training of `checkpoint` had come.

    Returns:
        The epoch to go on with, the steps done in it, and the steps done in all.
    """
    content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    loop = content["loops"]["fit_loop"]
    epoch = loop["epoch_progress"]["current"]
    within = epoch["ready"] != epoch["processed"]
    steps = loop["epoch_loop.batch_progress"]["current"]["processed"] if within else 0
    return epoch["processed"], steps, content["global_step"]


def curves(folder: Path, steps: int) -> list[dict[str, str]]:
    """The rows of metrics.csv in `folder` up to the training's first `steps` steps.

    A line that a kill or a full disk left half written is none of them.
    """
    file = folder / "metrics.csv"
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if None not in row.values()]
    return [row for row in rows if row["step"].isdecimal() and int(row["step"]) < steps]


def put_back(rows: list[dict[str, str]], loggers: list[Logger]) -> None:
    """Write `rows` as if a CSVLogger had logged them: it begins by deleting what there was."""
    for logger in loggers:
        if isinstance(logger, CSVLogger):
            for row in rows:
                known = {key: value for key, value in row.items() if value and key != "step"}
                logger.experiment.log_metrics(known, int(row["step"]))
            logger.save()
