"""Batches read by threads of the process that scores them. Without PyTorch.

Decoding releases the interpreter: threads are as fast as processes, and start at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from genspot.data.dataset import ImageDataset, Sample, collate
from genspot.data.samplers import SequentialDistributedSampler
from genspot.data.settings import default_workers

if TYPE_CHECKING:
    from genspot.data.image_data import ImageData

AHEAD = 2  # batches of several images that are read before they are asked for


def predict_batches(images: ImageData) -> BatchReader:
    """Return the batches of a prediction, those of `ImageData.predict_dataloader` of one process.

    Images that were scored before are left out.
    """
    dataset, loading = images.dataset("predict"), images.loading
    rows = SequentialDistributedSampler(len(dataset), 0, 1, *images.known.get("predict", ())).own
    size = loading.eval_batch_size if dataset.geometry.fixed_size else 1
    workers = default_workers() if loading.workers is None else loading.workers
    return BatchReader(dataset, rows, size, workers)


class BatchReader:
    """The batches of a data set, in order; see `genspot.data.dataset.collate`.

    Args:
        dataset: of images that are not augmented.
        rows: of it, in the order in which they are read.
        batch_size: images of a batch.
        workers: threads that read; 0: the one that asks for a batch.
    """

    def __init__(
        self, dataset: ImageDataset, rows: Sequence[int], batch_size: int, workers: int
    ) -> None:
        self.dataset, self.rows, self.batch_size = dataset, rows, batch_size
        self.workers = min(workers, len(rows)) if len(rows) > 1 else 0
        # Whole images, which come one by one, may be large: each thread reads one ahead.
        self.ahead = AHEAD if batch_size > 1 else self.workers

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the batches.

        Raises:
            GenspotError: see `ImageDataset` and `collate`.
        """
        if not self.workers:
            for rows in self._batches():
                yield collate([self._read(row) for row in rows])
            return
        pool = ThreadPoolExecutor(self.workers)
        pending: deque[list[Future[Sample]]] = deque()
        try:
            for rows in self._batches():
                pending.append([pool.submit(self._read, row) for row in rows])
                if len(pending) > self.ahead:
                    yield _collected(pending.popleft())
            while pending:
                yield _collected(pending.popleft())
        finally:  # without waiting: a run that is stopped ends at once
            pool.shutdown(wait=False, cancel_futures=True)

    def _batches(self) -> Iterator[Sequence[int]]:
        for start in range(0, len(self.rows), self.batch_size):
            yield self.rows[start : start + self.batch_size]

    def _read(self, row: int) -> Sample:
        return self.dataset[0, row]


def _collected(futures: list[Future[Sample]]) -> dict[str, Any]:
    return collate([future.result() for future in futures])
