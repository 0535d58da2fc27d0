"""Threads that work ahead of the loop that takes their results."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_ahead(
    work: Callable[[Job], Result], jobs: Iterable[Job], threads: int, stop: threading.Event
) -> Iterator[Result]:
    """Yield `work(job)` for each job in order; at most twice `threads` jobs are taken ahead.

    Where the loop ends early, by an error of `work`, by a signal or by the caller, `stop` is set,
    jobs that did not start are dropped, and those that run are waited for. `work` should look at
    `stop` where it takes long.
    """
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in jobs:
                running.append(pool.submit(work, job))
                if len(running) >= 2 * threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
