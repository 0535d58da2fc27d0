"""The learning-rate rule of the published experiment."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

log = logging.getLogger(__name__)

STATE = ("best", "stalled", "drops")


class Plateau(pl.Callback):
    """Lower the learning rate when validation accuracy stalls; stop below a lowest rate.

    Wang et al., CVPR 2020, section 4: the rate drops tenfold if the accuracy has not risen by
    0.1% within 5 epochs, and training ends at 1e-6. Details from the reference's settings: after a
    drop the count restarts and an improvement must reach 0.2%; training still runs at 1e-6 itself.

    Args:
        patience: epochs without improvement before a drop.
        min_delta: what counts as an improvement of accuracy (0 to 1), before the first drop.
        min_delta_after_drop: the same, after it.
        factor: the learning rate is multiplied by it at a drop.
        min_lr: lowest learning rate; a drop below it ends the training.
        overwrite_best: whether the first epoch after a drop replaces the best checkpoint even if
            it is worse.
    """

    def __init__(
        self,
        patience: int,
        min_delta: float,
        min_delta_after_drop: float,
        factor: float,
        min_lr: float,
        overwrite_best: bool,
    ) -> None:
        self.patience, self.factor, self.min_lr = patience, factor, min_lr
        self.min_delta, self.min_delta_after_drop = min_delta, min_delta_after_drop
        self.overwrite_best = overwrite_best
        self.best: float | None = None
        self.stalled = 0
        self.drops = 0

    def update(self, accuracy: float) -> bool:
        """Record an epoch's accuracy; return whether the learning rate must drop now."""
        delta = self.min_delta_after_drop if self.drops else self.min_delta
        if self.best is None or accuracy >= self.best + delta:
            self.best, self.stalled = accuracy, 0
            return False
        self.stalled += 1
        if self.stalled < self.patience:
            return False
        self.best, self.stalled, self.drops = None, 0, self.drops + 1
        return True

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Runs before this epoch's checkpoints are written: Lightning calls those callbacks last.
        if self.overwrite_best and self.drops and self.best is None:
            _forget_best(trainer)
        if not self.update(float(trainer.callback_metrics["val/acc"])):
            return
        for group in trainer.optimizers[0].param_groups:
            group["lr"] *= self.factor
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        if rate < self.min_lr * (1 - 1e-6):  # 1e-4 * 0.1 * 0.1 is not quite 1e-6
            trainer.should_stop = True
            log.info("accuracy stalls at the lowest learning rate: training ends")
        else:
            log.info("accuracy stalls: learning rate %.0e", rate)

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in STATE:
            setattr(self, name, state_dict[name])


def _forget_best(trainer: pl.Trainer) -> None:
    """Make the next checkpoint the best one, whatever its accuracy."""
    worst = torch.tensor(-1.0)
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor:
            callback.best_k_models = dict.fromkeys(callback.best_k_models, worst)
            callback.kth_value = callback.best_model_score = worst
