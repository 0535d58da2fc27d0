"""How a training's checkpoints are written, and which one it resumes from."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from genspot.common.files import atomic_write
from genspot.common.run_files import LAST_CHECKPOINT, PREVIOUS_CHECKPOINT
from genspot.detector.safe_load import find_corruption

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write each checkpoint beside its place, then rename it; the last one leaves `previous.ckpt`.

    Lightning writes into the folder of temporary files first, which may be on another disk: from
    there the file is copied, not renamed, and a run that is killed leaves half of it in place.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        path = Path(path)
        content = io.BytesIO()  # PyTorch's own writer reports a full disk as an internal error
        torch.save(checkpoint, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_bytes(content.getbuffer())
            if path.name == LAST_CHECKPOINT and path.exists():
                path.replace(path.with_name(PREVIOUS_CHECKPOINT))


def find_checkpoint(folder: Path, choice: str) -> Path | None:
    """Return the checkpoint in `folder` to resume from, or None to start from the beginning.

    Args:
        folder: of the run.
        choice: "auto" takes the last one, or the one before if that is damaged; "never" none.
    """
    damaged = False
    for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT) if choice == "auto" else ():
        path = folder / name
        if not path.is_file():
            continue
        if find_corruption(path) is None:
            return path
        damaged = True
        log.warning("%s is damaged: trying the checkpoint before it", path)
    if damaged:
        log.warning("no checkpoint in %s is intact: starting from the beginning", folder)
    return None


def training_position(checkpoint: Path) -> int:
    """Return how many steps the training of `checkpoint` had taken."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(content["global_step"])
