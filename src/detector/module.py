"""The Lightning module: losses and metrics of a detector's network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryAveragePrecision

from genspot.detector.loss import CrossEntropy, TrainingLoss
from genspot.detector.lr_schedules import build_scheduler
from genspot.detector.network import DetectorNetwork
from genspot.detector.parameters import clip_gradients, parameter_groups
from genspot.detector.scoring_loop import score_batch

Batch = dict[str, Any]
Outputs = dict[str, Any]


class Detector(pl.LightningModule):
    """Train and evaluate a network that tells generated images from real ones.

    A batch holds `image` (`uint8`, N×H×W×3, or None where no image was readable), `label` (int64,
    N; 0 real, 1 fake), `row` (int64, N), `padded` (bool, N), `unreadable` ((row, reason) pairs).

    Args:
        network: `uint8` images to logits; above 0 means fake.
        optimizer: parameters to an optimizer; None where nothing is trained.
        lr_scheduler: to a scheduler that is stepped after each step; see
            `genspot.detector.lr_schedules.build_scheduler`.
        groups: parameters with rules of their own; see
            `genspot.detector.parameters.parameter_groups`.
        loss: what is minimised; validation shows the plain cross-entropy whatever it is.
    """

    def __init__(
        self,
        network: DetectorNetwork,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        lr_scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        loss: TrainingLoss | None = None,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss, self.groups = network, loss or CrossEntropy(), groups or {}
        self.make_optimizer, self.make_scheduler = optimizer, lr_scheduler
        self.val_metrics = MetricCollection(
            {"val/acc": BinaryAccuracy(), "val/ap": BinaryAveragePrecision()}
        )
        self.val_loss = MeanMetric(nan_strategy="disable")  # a loss that diverged is shown
        # Some ranks may have no image to test; they skip the loop, as Lightning must allow.
        self.allow_zero_length_dataloader_with_multiple_devices = True

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 of shape N, of `uint8` images N×H×W×3."""
        logits: torch.Tensor = self.network(images)
        return logits

    def training_step(self, batch: Batch, _: int) -> torch.Tensor | None:
        if batch["image"] is None:  # `callbacks.UnreadableImages` counts and judges them
            return None
        loss = self.loss(self.network, batch["image"], batch["label"])
        count = len(batch["label"])
        # Over all processes: the loss of the whole batch, whatever the share of each.
        self.log("train/loss", loss, prog_bar=True, batch_size=count, sync_dist=True)
        # One rank's infinite loss may leave it a finite gradient; NaN reaches those of all ranks.
        return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)

    def validation_step(self, batch: Batch, _: int) -> None:
        if batch["image"] is None:
            # Ranks gather the tensors of this metric by their type; without one there is no type.
            empty = batch["label"]
            self.val_metrics["val/ap"].update(empty.float(), empty)
            return
        logits, labels = self(batch["image"]), batch["label"]
        # Probabilities: given logits, torchmetrics would apply a sigmoid to some batches only.
        self.val_metrics.update(logits.sigmoid(), labels)
        self.val_loss.update(
            functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
        )

    def on_validation_epoch_end(self) -> None:
        # Every rank takes part here, also one without images.
        self.log("val/loss", self.val_loss.compute())
        self.log_dict(self.val_metrics.compute(), prog_bar=True)
        self.val_loss.reset()
        self.val_metrics.reset()

    def test_step(self, batch: Batch, _: int) -> Outputs | None:
        """Return the scores of a batch: see `genspot.detector.scoring_loop.score_batch`."""
        return score_batch(self, batch)

    predict_step = test_step

    def configure_optimizers(self) -> Any:
        assert self.make_optimizer is not None, "a detector without an optimizer is not trained"
        optimizer = self.make_optimizer(parameter_groups(self.network, self.groups))
        if self.make_scheduler is None:
            return optimizer
        total = int(self.trainer.estimated_stepping_batches)
        batches, gathered = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        epoch = max(1, math.ceil(batches / gathered))
        scheduler = build_scheduler(self.make_scheduler, optimizer, total, epoch)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients of a step; Lightning calls this before each."""
        if gradient_clip_val:
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)
            clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm, scaler)
