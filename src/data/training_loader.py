"""The loader of a training: whole steps of shuffled batches, the share of one process."""

from __future__ import annotations

import logging
from typing import cast

from torch.utils.data import Dataset

from genspot.common.errors import GenspotError
from genspot.data.dataset import ImageDataset, Sample
from genspot.data.loaders import ResumableDataLoader, loader_options
from genspot.data.samplers import ResumableShuffleSampler
from genspot.data.settings import Loading

log = logging.getLogger(__name__)


def training_loader(
    dataset: ImageDataset, loading: Loading, rank: int, world_size: int, gathered: int
) -> ResumableDataLoader:
    """Return shuffled batches of a rank's share of the training images.

    Where a step gathers the gradients of several batches, an epoch has whole steps alone: it is
    what batches of that many times the size would have.

    Args:
        dataset: the training images.
        loading: the size of a batch over all ranks, and how images are drawn.
        rank: of this process among `world_size` processes.
        world_size: their number.
        gathered: batches whose gradients a step gathers.

    Raises:
        GenspotError: the batch size or the number of images does not suit the ranks, or the
            batches of a step.
    """
    rows, batch_size = len(dataset), loading.batch_size
    if batch_size % world_size:
        raise GenspotError(
            f"schedule.batch_size={batch_size} does not divide by {world_size} processes"
        )
    if rows < world_size:
        raise GenspotError(f"{rows} training images are too few for {world_size} processes")
    per_rank_batch = batch_size // world_size
    sampler = ResumableShuffleSampler(
        rows,
        loading.seed,
        rank,
        world_size,
        labels=dataset.labels if loading.balanced else None,
        step=per_rank_batch * gathered if gathered > 1 else 1,
    )
    if gathered > 1 and not len(sampler):
        raise GenspotError(
            f"trainer.accumulate_grad_batches={gathered} × schedule.batch_size={batch_size} are "
            f"more than the images of an epoch, of {rows} training images: lower one of them"
        )
    # The last batch is dropped: batch normalisation cannot use a batch of a single image.
    drop_last = len(sampler) >= per_rank_batch
    if not drop_last and rank == 0:
        log.warning(
            "schedule.batch_size=%d is more than the training set of %d images: each epoch is "
            "one step of all of them",
            batch_size,
            len(sampler) * world_size,
        )
    return ResumableDataLoader(
        cast("Dataset[Sample]", dataset),  # of its form, but without PyTorch
        batch_size=per_rank_batch,
        sampler=sampler,
        drop_last=drop_last,
        **loader_options(loading.workers),
    )
