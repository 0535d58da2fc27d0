"""How a training's checkpoints are written, and which one it resumes from."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write
from genspot.common.run_files import LAST_CHECKPOINT, PREVIOUS_CHECKPOINT
from genspot.detector.safe_load import find_corruption
from genspot.detector.state_dicts import find_fault

log = logging.getLogger(__name__)

ENDED = "genspot_ended"  # in a checkpoint: whether a callback has ended its training


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

    Raises:
        GenspotError: its weights or the optimizer's state are not finite.
    """
    damaged = False
    for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT) if choice == "auto" else ():
        path = folder / name
        if not path.is_file():
            continue
        if find_corruption(path) is None:
            _check_finite(path)
            return path
        damaged = True
        log.warning("%s is damaged: trying the checkpoint before it", path)
    if damaged:
        log.warning("no checkpoint in %s is intact: starting from the beginning", folder)
    return None


def _check_finite(path: Path) -> None:
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    parts = {name: content.get(name) for name in ("state_dict", "optimizer_states")}
    if fault := find_fault(dict(_tensors("", parts)), path.stat().st_size):
        raise GenspotError(f"{path} {fault}: remove it, or start again with resume=never")


def _tensors(key: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor in nested dicts and lists with its dotted key."""
    if isinstance(value, torch.Tensor):
        yield key[1:], value
    elif isinstance(value, dict | list | tuple):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _tensors(f"{key}.{name}", part)


def training_position(checkpoint: Path | None) -> tuple[int, int]:
    """Return how many steps the training of `checkpoint` had taken, and epochs it had started."""
    if checkpoint is None:
        return 0, 0
    content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(content["global_step"]), int(content.get("epoch", 0)) + 1


class RestoreProgress(pl.Callback):
    """Let a training continue as if it had not been interrupted, where Lightning would not.

    A training that a callback has ended stays ended: Lightning does not save that, and would train
    on. It ends only if the rule that ended it would not do so now, because EarlyStopping was given
    more patience. The best checkpoint stays the best in a folder that was moved.
    """

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[ENDED] = trainer.should_stop

    # Lightning hands the states on to the callbacks after this hook.
    def on_load_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        ended, states = checkpoint.get(ENDED, False), checkpoint["callbacks"]
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            state = states.get(callback.state_key)
            if state and isinstance(callback, ModelCheckpoint):
                _move(state, Path(callback.dirpath or ""))
            elif state and isinstance(callback, EarlyStopping):
                old, new = state["patience"], callback.patience
                ended = ended and not old <= state["wait_count"] < new
                state["patience"] = new
        trainer.should_stop = ended


def _move(state: dict[str, Any], folder: Path) -> None:
    """Let the state of a ModelCheckpoint say that its files are in `folder`."""

    def moved(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[name] = moved(state[name])
    state["best_k_models"] = {moved(path): score for path, score in state["best_k_models"].items()}
    state["dirpath"] = str(folder)
