"""Threads that work ahead of the loop that takes their results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


@contextmanager
def map_ahead(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    threads: int,
    cancel: Callable[[], object],
) -> Iterator[Iterator[Result]]:
    """Yield an iterator over `work(job)` for each job in order.

    At most twice `threads` jobs are taken ahead. Where the block ends with an exception, of
    `work`, of a signal or of its own, `cancel` is called, jobs that did not start are dropped, and
    those that run are waited for: `cancel` should let them end soon.
    """
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield _results(pool, work, jobs, 2 * threads)
        except BaseException:
            cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _results(
    pool: ThreadPoolExecutor, work: Callable[[Job], Result], jobs: Iterable[Job], ahead: int
) -> Iterator[Result]:
    running: deque[Future[Result]] = deque()
    for job in jobs:
        running.append(pool.submit(work, job))
        if len(running) >= ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
