"""Fitting the statistics of an input representation before the first step of a training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import pytorch_lightning as pl
import torch

from genspot.common.errors import GenspotError
from genspot.detector.callbacks import gather
from genspot.detector.inputs.fitted import FittedInput
from genspot.detector.module import Batch, Detector

log = logging.getLogger(__name__)


class FitInput(pl.Callback):
    """Fit the statistics of a `FittedInput` to the training images, on all ranks.

    Statistics that a checkpoint brought, of a resumed training or as initial weights, are kept.
    Other input representations are left alone. A signal ends the run at once here: it then starts
    from the beginning.

    Args:
        batches: gives batches of this rank's share of the training images, each once.
    """

    def __init__(self, batches: Callable[[], Iterable[Batch]]) -> None:
        self.batches = batches

    # The checkpoint is loaded and the network is on its device, but no signal is deferred yet.
    @torch.no_grad()
    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Fit, if there is something to fit.

        Raises:
            GenspotError: no training image is readable.
        """
        assert isinstance(module, Detector)
        part = module.network.input
        if not isinstance(part, FittedInput) or part.fitted:
            return
        if trainer.is_global_zero:
            log.info("fitting the statistics of the input representation to the training images")
        fitted = unreadable = 0
        for batch in self.batches():
            unreadable += len(batch["unreadable"])
            if batch["image"] is not None:
                part.update(module.network.as_pixels(batch["image"].to(module.device)))
                fitted += len(batch["image"])
        gathered = gather((fitted, unreadable, part.sums))
        fitted, unreadable = (sum(share[place] for share in gathered) for place in (0, 1))
        if not fitted:
            raise GenspotError(
                f"no training image could be read ({unreadable} tried): model.input has no "
                "statistics; repair the training set"
            )
        part.sums = {}
        for _, _, sums in gathered:
            part.add(**sums)
        part.finish()
        if trainer.is_global_zero:
            log.info("fitted them to %d images; %d could not be read", fitted, unreadable)
