"""Loaders of batches, and the processes that read for them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from genspot.data.dataset import Sample, collate
from genspot.data.samplers import ResumableShuffleSampler

# Forked workers share the pages of the sample table and the compiled kernels. The other start
# methods, Python 3.14's default among them, copy the table and load the kernels in each worker.
START_METHOD = "fork" if sys.platform == "linux" else None
MAX_DEFAULT_WORKERS = 16


class ResumableDataLoader(DataLoader[Sample]):
    """A loader with a `ResumableShuffleSampler` that can continue in the middle of an epoch.

    Lightning stores `state_dict()` of such a loader in its checkpoints and restores it before the
    first batch. The state counts the batches that were yielded, not those that workers have read
    ahead. It is the same on all ranks.
    """

    sampler: ResumableShuffleSampler
    epoch = 0  # of the last batch that was yielded
    batches = 0  # yielded in this epoch

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A generator, so that workers begin to read at the first `next`. When Lightning resumes,
        # it calls `iter` before it sets the epoch.
        self.epoch = self.sampler.epoch
        self.batches = self.sampler.start // (self.batch_size or 1)
        for batch in super().__iter__():
            self.batches += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, and the number of its batches that were yielded."""
        return {"epoch": self.epoch, "batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the last batch of `state`, in the next epoch if this one was complete."""
        self.epoch, self.batches = state["epoch"], state["batches"]
        if self.batches < len(self):
            self.sampler.set_position(self.epoch, self.batches * (self.batch_size or 1))
        else:
            self.sampler.set_position(self.epoch + 1, 0)


def loader_options(workers: int | None) -> dict[str, Any]:
    """Return the arguments of a `DataLoader` with this many workers; None: `default_workers`."""
    workers = default_workers() if workers is None else workers
    return {
        "num_workers": workers,
        "multiprocessing_context": START_METHOD if workers else None,
        "collate_fn": collate,
        "pin_memory": torch.cuda.is_available(),
        "persistent_workers": workers > 0,
        "worker_init_fn": init_worker,
    }


def eval_loader(
    dataset: Dataset[Sample], workers: int | None, **batching: Any
) -> DataLoader[Sample]:
    """Return a loader for evaluation; `batching` are DataLoader's arguments that select rows."""
    return DataLoader(dataset, **batching, **loader_options(workers))


def default_workers() -> int:
    """Return the number of cores that this process may use, at most 16."""
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return 4
    return min(MAX_DEFAULT_WORKERS, len(os.sched_getaffinity(0)))


def init_worker(_: int) -> None:
    """Keep a reading process to one core, and leave signals to its parent.

    Terminals and schedulers send a signal to the whole process group. The parent finishes its
    step then, and needs its workers for that. A worker ends when its parent ends.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):  # Windows lacks three of them
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
