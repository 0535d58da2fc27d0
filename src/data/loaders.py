"""Loaders of batches, and the processes that read for them.

Worker processes hand over batches in shared memory (/dev/shm), of which containers often have
64 MB. PyTorch's own workers lose a batch for which there is no room, and the loader waits for it
for ever. Here such a batch comes through a pipe, which takes longer.
"""

from __future__ import annotations

import atexit
import functools
import logging
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.text import printable
from genspot.data import image_io
from genspot.data.dataset import ImageDataset, Sample, collate
from genspot.data.samplers import ResumableShuffleSampler
from genspot.data.settings import default_workers

log = logging.getLogger(__name__)

# Forked workers share the pages of the sample table and the compiled kernels. The other start
# methods, Python 3.14's default among them, copy the table and load the kernels in each worker.
START_METHOD = "fork" if sys.platform == "linux" else None
SHARED_MEMORY = "/dev/shm"
RESERVED_BYTES = 2**22  # of it that batches leave free, for the semaphores of further workers
SEMAPHORES = 8  # of a worker, at most: each takes a page of the shared memory
PIPE_ENDS = 4  # of a worker: open files of its parent, as is each tensor of a batch
BATCH_TENSORS = 4  # see `genspot.data.dataset.collate`


class BatchLoader(DataLoader[Sample]):
    """A loader of batches that says in one line what fails in its worker processes."""

    started = False  # whether its workers were

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches; see `genspot.data.dataset.collate`.

        Raises:
            GenspotError: the data set raised it, or the workers cannot be started or fail.
            RuntimeError: a worker was lost.
        """
        try:
            if self.num_workers and not self.started:
                batch_files = (self.prefetch_factor or 0) * BATCH_TENSORS
                check_open_files(self.num_workers * (PIPE_ENDS + batch_files))
                self.started = True
            for batch in super().__iter__():
                yield as_tensors(batch)
        except GenspotError as error:
            text = str(error)
            if text.startswith("Caught "):  # PyTorch's: the message ends the worker's traceback
                name = f"\n{GenspotError.__module__}.{GenspotError.__name__}: "
                text = text.rpartition(name)[2].rstrip("\n")
            raise GenspotError(printable(text)) from error
        except (OSError, RuntimeError, MemoryError) as error:
            if not self.num_workers or str(error).startswith("DataLoader worker"):
                raise
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise GenspotError(
                f"the processes that read images fail with workers={self.num_workers}: "
                f"{printable(reason.splitlines()[-1])}; choose fewer, or workers=0"
            ) from error


class ResumableDataLoader(BatchLoader):
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


def loader_options(workers: int | None, prefetch: int = 2) -> dict[str, Any]:
    """Return the arguments of a `BatchLoader`.

    Args:
        workers: processes that read; None: `default_workers`.
        prefetch: batches that each of them reads ahead.
    """
    workers = usable_workers(default_workers() if workers is None else workers)
    options: dict[str, Any] = {
        "num_workers": workers,
        "collate_fn": collate_shared,
        "pin_memory": torch.cuda.is_available(),
    }
    if workers:
        lock = multiprocessing.get_context(START_METHOD).Lock()
        options |= {
            "multiprocessing_context": START_METHOD,
            "persistent_workers": True,
            "prefetch_factor": prefetch,
            "worker_init_fn": partial(init_worker, lock),
        }
    return options


def read_in_order(
    dataset: Dataset[Any],
    workers: int | None,
    title: str,
    batch_size: int,
    collate_fn: Callable[[list[Any]], dict[str, Any]] | None = None,
    delay: float = 0,
) -> Iterator[dict[str, Any]]:
    """Yield the batches of a data set whose length is known, in order, under a progress bar.

    Args:
        dataset: indexed by the row of an image.
        workers: see `loader_options`.
        title: of the progress bar.
        batch_size: images that a process hands over at a time.
        collate_fn: from the items of a batch to the batch; None: {"items": items}.
        delay: seconds until the bar is shown.

    Raises:
        GenspotError: see `BatchLoader`.
    """
    options = loader_options(workers) | {"collate_fn": collate_fn or _as_items}
    loader = BatchLoader(dataset, batch_size=batch_size, **options | {"pin_memory": False})
    total = len(dataset)  # type: ignore[arg-type]
    with tqdm(total=total, desc=title, unit="image", delay=delay) as bar:
        for batch in loader:
            yield batch
            bar.update(min(batch_size, total - bar.n))


def _as_items(items: list[Any]) -> dict[str, Any]:
    return {"items": items}


def eval_loader(
    dataset: ImageDataset | Dataset[Sample],
    workers: int | None,
    prefetch: int = 2,
    **batching: Any,
) -> BatchLoader:
    """Return a loader for evaluation; `batching` are DataLoader's arguments that select rows."""
    rows = cast("Dataset[Sample]", dataset)  # of its form, but without PyTorch
    return BatchLoader(rows, **batching, **loader_options(workers, prefetch))


def usable_workers(workers: int) -> int:
    """Return `workers`, or 0 with a warning where shared memory has no room for semaphores."""
    context = multiprocessing.get_context(START_METHOD)
    try:
        _semaphores = [context.Lock() for _ in range(workers * SEMAPHORES)]
    except OSError as error:
        log.warning(
            "no processes that read images can be started, for lack of shared memory (%s: %s): "
            "the main process reads them",
            SHARED_MEMORY,
            error.strerror,
        )
        return 0
    return workers


def check_open_files(count: int) -> None:
    """Raise if `count` further files cannot be open: workers would print many tracebacks.

    Raises:
        OSError: with the reason.
    """
    with ExitStack() as files:
        for _ in range(count):
            files.enter_context(open(os.devnull, "rb"))


def collate_shared(samples: list[Sample]) -> dict[str, Any]:
    """Return a batch; in a worker process in shared memory, or as arrays if that has no room."""
    batch = _to_tensors(collate(samples))
    if get_worker_info() is None:
        return batch
    tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
    if _has_room(sum(tensor.nbytes for tensor in tensors.values())):
        try:
            for tensor in tensors.values():
                if tensor.numel():
                    tensor.share_memory_()  # type: ignore[no-untyped-call]
            return batch
        except RuntimeError:  # another process took the room
            pass
    return batch | {name: tensor.numpy() for name, tensor in tensors.items()}


def _has_room(size: int) -> bool:
    """Return whether shared memory has room for `size` bytes."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free >= size + RESERVED_BYTES
    except OSError:  # macOS has no such folder
        return True


def as_tensors(batch: dict[str, Any]) -> dict[str, Any]:
    """Return `batch` with its arrays, if it has some, as tensors."""
    if any(isinstance(value, np.ndarray) for value in batch.values()):
        _warn_of_pipes()
    return _to_tensors(batch)


def _to_tensors(batch: dict[str, Any]) -> dict[str, Any]:
    arrays = {name: value for name, value in batch.items() if isinstance(value, np.ndarray)}
    return batch | {name: torch.from_numpy(array) for name, array in arrays.items()}


@functools.cache
def _warn_of_pipes() -> None:
    """Say once that batches come through pipes."""
    log.warning(
        "too little shared memory in %s: batches come through pipes, which takes longer; "
        "docker run --shm-size=2g gives a container more",
        SHARED_MEMORY,
    )


@atexit.register
def kill_workers() -> None:
    """Kill the workers of loaders that still exist when the process ends.

    Python would send them SIGTERM, which they ignore, and wait for their end. It runs this before,
    because multiprocessing was imported first.
    """
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's would report them as lost
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


def init_worker(lock: AbstractContextManager[object], _: int) -> None:
    """Keep a reading process to one core, and leave signals to its parent.

    One process at a time decodes a large photo: the one that holds `lock`.

    Terminals and schedulers send a signal to the whole process group. The parent finishes its
    step then, and needs its workers for that. A worker ends when its parent ends.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):  # Windows lacks three of them
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    image_io.large_photo_lock = lock
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
