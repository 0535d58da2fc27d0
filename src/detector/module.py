"""The Lightning module: `uint8` images in, one logit an image out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryAveragePrecision

from genspot.common.errors import GenspotError
from genspot.evaluation.scores import Collected, gather

Batch = dict[str, Any]

# Images that a CPU evaluates at once: the features of more than these leave its caches, which
# cost a third of the speed (benchmarks/step.py).
CACHED = 8


class Detector(pl.LightningModule):
    """A network that tells generated images from real ones.

    Args:
        network: N×3×H×W float images, normalised, to N×1 logits; above 0 means fake.
        mean, std: of each channel, on the scale from 0 to 1.
        optimizer: parameters to an optimizer.
        lr_scheduler: optimizer (and `total_steps`) to a scheduler stepped after each batch.
        channels_last: lay images and weights out as N×H×W×C in memory.
        compile: compile the network with torch.compile.
        contract: what a checkpoint of this detector expects; it travels inside it.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: list[float],
        std: list[float],
        optimizer: Callable[..., torch.optim.Optimizer],
        lr_scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        channels_last: bool = False,
        compile: bool = False,
        contract: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)
        if compile:
            self.network.compile()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.make_optimizer, self.make_scheduler = optimizer, lr_scheduler
        self.contract = contract or {}
        self.val_metrics = MetricCollection(
            {"val/acc": BinaryAccuracy(), "val/ap": BinaryAveragePrecision()}
        )
        self.val_loss = MeanMetric(nan_strategy="disable")  # a loss that diverged is shown
        # A process without images to test skips the loop and all its hooks, but not `teardown`.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.collected = Collected()  # of a test or a prediction
        self.refused = {"train": Collected(), "val": Collected()}  # what could not be read
        self.learned = False  # whether this epoch had a training image that can be read

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits, float32 of shape N, of `uint8` images N×H×W×3."""
        if self.training or images.device.type != "cpu":
            return self._logits(images)
        return torch.cat([self._logits(few) for few in torch.split(images, CACHED)])

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.permute(0, 3, 1, 2).to(memory_format=self.memory_format)
        normalised = (pixels.float() / 255 - self.mean) / self.std
        logits: torch.Tensor = self.network(normalised).squeeze(1).float()
        return logits

    def training_step(self, batch: Batch, _: int) -> torch.Tensor | None:
        self.refused["train"].refuse(batch["unreadable"])
        if batch["image"] is None:
            self._pass_over(batch["unreadable"])
            return None
        loss = functional.binary_cross_entropy_with_logits(
            self(batch["image"]), batch["label"].float()
        )
        self.learned = True
        count = len(batch["label"])
        # Over all processes: the loss of the whole batch, whatever the share of each.
        self.log("train/loss", loss, prog_bar=True, batch_size=count, sync_dist=True)
        # One rank's infinite loss may leave it a finite gradient; NaN reaches those of all ranks.
        return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)

    def _pass_over(self, unreadable: list[tuple[int, str]]) -> None:
        """Pass over a batch without a readable image; where others wait for its gradient, stop."""
        if self._trainer is not None and self.trainer.world_size > 1:
            raise GenspotError(
                f"process {self.global_rank} found no readable image in a whole batch "
                f"({unreadable[0][1]}, and {len(unreadable) - 1} more); mend the training set"
            )

    def on_train_batch_end(self, *_: Any) -> None:
        """Refuse an epoch that has taught nothing, before its validation makes a checkpoint of it.

        Raises:
            GenspotError: no training image of the whole epoch could be read.
        """
        if not self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if not self.learned:
            reasons = self.refused["train"].unreadable
            raise GenspotError(
                f"no training image of a whole epoch could be read ({next(iter(reasons.values()))}"
                f", and {len(reasons) - 1} more files); mend the training set"
            )
        self.learned = False

    def validation_step(self, batch: Batch, _: int) -> None:
        self.refused["val"].refuse(batch["unreadable"])
        if batch["image"] is None:
            # Processes exchange its lists by their types, which an empty list does not have.
            none = batch["label"]
            self.val_metrics["val/ap"].update(none.float(), none)
            return
        logits, labels = self(batch["image"]), batch["label"]
        # Probabilities: given logits, torchmetrics would apply a sigmoid to some batches only.
        self.val_metrics.update(logits.sigmoid(), labels)
        self.val_loss.update(
            functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
        )

    def on_validation_epoch_end(self) -> None:
        # A copy, for it is reduced in place.
        seen = self.trainer.strategy.reduce(self.val_loss.weight.clone(), reduce_op="sum")
        if not seen:
            reason = next(iter(gather(self.refused["val"]).unreadable.values()), "it is empty")
            raise GenspotError(f"no validation image could be read ({reason}); mend data.val")
        # Every process takes part here, also one that had no images; its log would not.
        self.log("val/loss", self.val_loss.compute())
        self.log_dict(self.val_metrics.compute(), prog_bar=True)
        self.val_loss.reset()
        self.val_metrics.reset()

    def on_train_end(self) -> None:
        self.refused = {split: gather(refused) for split, refused in self.refused.items()}

    def test_step(self, batch: Batch, _: int) -> None:
        self.collected.refuse(batch["unreadable"])
        if batch["image"] is not None:
            self.collected.add(batch["row"], self(batch["image"]), batch["padded"])

    predict_step = test_step

    def setup(self, stage: str) -> None:
        self.collected = Collected()

    def teardown(self, stage: str) -> None:
        if stage in ("test", "predict"):
            self.collected = gather(self.collected)

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.parameters())
        if self.make_scheduler is None:
            return optimizer
        total = int(self.trainer.estimated_stepping_batches)
        scheduler = self.make_scheduler(optimizer, total_steps=total)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["genspot"] = self.contract
        checkpoint["unreadable"] = {
            split: gather(refused).unreadable for split, refused in self.refused.items()
        }
        checkpoint["learned"] = self.learned  # for a training that is interrupted within an epoch
        for logger in self.loggers:
            logger.save()  # so that the curves on the disk reach as far as the checkpoint

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for split, unreadable in checkpoint["unreadable"].items():
            self.refused[split].unreadable.update(unreadable)
        self.learned = checkpoint.get("learned", True)  # older ones did not ask
