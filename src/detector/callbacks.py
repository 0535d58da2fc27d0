"""Callbacks: what trainings and tests collect, and what stops a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import distributed

from genspot.common.errors import GenspotError
from genspot.common.run_files import LAST_CHECKPOINT
from genspot.detector.score_log import ScoreLog
from genspot.detector.scoring_loop import append_batch


def gather(value: Any) -> list[Any]:
    """Return the `value` of every rank, on every rank; a collective of all ranks."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


class SeedSteps(pl.Callback):
    """Seed PyTorch before each training batch by (seed, step, rank) and its number in the step.

    The random numbers of dropout then depend on nothing else: not on how many workers started, nor
    on whether the training was interrupted.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        number = batch_idx % trainer.accumulate_grad_batches
        key = (self.seed, trainer.global_step, trainer.global_rank, *([number] if number else []))
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))


class ScoreCollector(pl.Callback):
    """Append the scores of a test or a prediction to a log; at its end the log has all ranks'.

    Args:
        score_log: set another one before each further test or prediction.
    """

    def __init__(self, score_log: ScoreLog) -> None:
        self.score_log = score_log

    # After the processes have found each other: none appends while another still reads the log.
    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self.score_log.open(trainer.global_rank)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        *index: int,
    ) -> None:
        append_batch(self.score_log, outputs, batch)

    def on_predict_batch_end(self, *arguments: Any) -> None:
        self.on_test_batch_end(*arguments)

    # A rank without images skips the loop and all its hooks, but not this one.
    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self.score_log.close()
        for scores, unreadable in gather((self.score_log.scores, self.score_log.unreadable)):
            self.score_log.append(scores, unreadable)


class UnreadableImages(pl.Callback):
    """Collect the training and validation images that cannot be read, also over a resumption.

    Attributes:
        unreadable: "train" and "val" → {row: reason}; of all ranks after `synchronise`, which
            each epoch's end calls.
    """

    def __init__(self) -> None:
        self.unreadable: dict[str, dict[int, str]] = {"train": {}, "val": {}}
        self.labels = set[int]()  # of the readable images of this epoch, on this rank
        self.val_images = 0  # readable ones of this validation

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note what is unreadable.

        Raises:
            GenspotError: a rank among several has no readable image in a batch. The others would
                wait for its gradient.
        """
        self.unreadable["train"].update(batch["unreadable"])
        if batch["image"] is not None:
            if len(self.labels) < 2:  # each copy from a GPU waits for it
                self.labels.update(batch["label"].tolist())
        elif trainer.world_size > 1:
            (_, reason), *others = batch["unreadable"]
            raise GenspotError(
                f"process {trainer.global_rank} found no readable image in a whole batch "
                f"({reason}, and {len(others)} more); repair the training set"
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, *step: Any
    ) -> None:
        """Stop before the validation and checkpoint of an epoch that trained on nothing.

        Raises:
            GenspotError: no training image of the whole epoch was readable, or none of one label.
        """
        if not trainer.is_last_batch:
            return
        self.synchronise()
        labels, self.labels = set[int]().union(*gather(self.labels)), set[int]()
        reasons = list(self.unreadable["train"].values())
        if reasons and len(labels) < 2:
            kind = {0: "fake ", 1: "real "}[labels.pop()] if labels else ""
            raise GenspotError(
                f"no {kind}training image of a whole epoch could be read ({reasons[0]}, and "
                f"{len(reasons) - 1} more files); repair the training set"
            )

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        *index: int,
    ) -> None:
        self.unreadable["val"].update(batch["unreadable"])
        self.val_images += len(batch["label"])

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check what was validated on, before the module computes metrics of it.

        Raises:
            GenspotError: no rank had a readable validation image.
        """
        total, self.val_images = sum(gather(self.val_images)), 0
        if not total:
            self.synchronise()
            reason = next(iter(self.unreadable["val"].values()), "it is empty")
            raise GenspotError(f"no validation image could be read ({reason}); repair data.val")

    # Before the checkpoints of this epoch: Lightning runs those callbacks last.
    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.synchronise()

    def synchronise(self) -> None:
        """Share between all ranks; a collective, so never within a checkpoint hook."""
        for split, own in self.unreadable.items():
            for unreadable in gather(own):
                self.unreadable[split] = self.unreadable[split] | unreadable

    def state_dict(self) -> dict[str, Any]:
        return {"unreadable": self.unreadable, "labels": sorted(self.labels)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.unreadable = state_dict["unreadable"]
        self.labels = set(state_dict.get("labels", (0, 1)))  # earlier versions have none


class SaveMetadata(pl.Callback):
    """Put the metadata into each checkpoint, and flush the loggers with it.

    Args:
        metadata: plain values; see `genspot.detector.metadata.Metadata`.
    """

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["genspot"] = self.metadata
        for logger in trainer.loggers:
            logger.save()  # so that the curves on the disk reach as far as the checkpoint


class StopOnNonFinite(pl.Callback):
    """Stop the training before a step that is not finite, and write down its images.

    The gradient decides, and not the loss alone: it is the same on all ranks, so that all stop
    together, and the weights are still those of the step before. In float16 the loss of any rank
    decides: there the scaler lets gradients overflow and skips those steps, by design.

    Args:
        folder: of the run.
        write_rows: called on rank 0 with the rows of that step's images and the file to write.
    """

    def __init__(self, folder: Path, write_rows: Callable[[list[int], Path], None]) -> None:
        self.folder, self.write_rows = folder, write_rows
        self.rows: list[int] = []
        self.loss = torch.zeros(())

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:  # a step begins
            self.rows, self.loss = [], torch.zeros_like(self.loss)
        self.rows += batch["row"].tolist()

    def on_before_backward(
        self, trainer: pl.Trainer, module: pl.LightningModule, loss: torch.Tensor
    ) -> None:
        self.loss = self.loss.to(loss.device) + loss.detach()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Check the step that is about to be taken.

        Raises:
            GenspotError: its loss or gradient is not finite.
        """
        if self._is_finite(trainer, module):
            return
        rows = [row for rows in gather(self.rows) for row in rows]
        path = self.folder / "not_finite.csv"
        if trainer.is_global_zero:
            self.write_rows(rows, path)
        raise GenspotError(
            f"the loss or its gradient is not finite at step {trainer.global_step} (epoch "
            f"{trainer.current_epoch}): {path} lists the images of that step; a lower "
            f"schedule.optimizer.lr or trainer.precision=32-true may help. "
            f"{self.folder / LAST_CHECKPOINT} is the last good checkpoint, if there is one"
        )

    def _is_finite(self, trainer: pl.Trainer, module: pl.LightningModule) -> bool:
        if trainer.precision == "16-mixed":
            finite = bool(torch.isfinite(self.loss))
            return trainer.strategy.reduce_boolean_decision(finite, all=True)
        gradients = [
            parameter.grad for parameter in module.parameters() if parameter.grad is not None
        ]
        return bool(torch.isfinite(torch.nn.utils.get_total_norm(gradients)))
