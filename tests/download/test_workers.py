"""Threads that work ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from genspot.download.workers import map_ahead

TIMEOUT = 20  # seconds that no test takes


def never() -> None:
    raise AssertionError("cancelled")


def slow_first(number: int) -> int:
    time.sleep(0.05 if number == 0 else 0)
    return 10 * number


def test_map_ahead_where_the_first_is_slow_keeps_the_order() -> None:
    with map_ahead(slow_first, range(50), 4, never) as results:
        assert list(results) == [10 * number for number in range(50)]


def test_map_ahead_works_on_several_at_once() -> None:
    meeting = threading.Barrier(3, timeout=TIMEOUT)
    with map_ahead(lambda _: meeting.wait(), range(6), 3, never) as results:
        assert sorted(results) == [0, 0, 1, 1, 2, 2]


def test_map_ahead_takes_twice_as_many_jobs_as_threads_at_most() -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        while taken < 100:
            taken += 1
            yield taken

    with map_ahead(lambda job: job, jobs(), 3, never) as results:
        ahead = [taken - result for result in results]
    assert len(ahead) == 100
    assert max(ahead) == 5  # the sixth is the one that is returned


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_map_ahead_after_an_error_cancels_and_drops_what_did_not_start(
    error: type[BaseException],
) -> None:
    cancelled, started = threading.Event(), list[int]()

    def work(number: int) -> None:
        started.append(number)
        if number == 0:
            raise error("first")
        assert cancelled.wait(TIMEOUT)  # it ends only because it is cancelled

    with (
        pytest.raises(error, match="first"),
        map_ahead(work, range(1000), 2, cancelled.set) as results,
    ):
        list(results)
    assert len(started) <= 4


def leave(results: Iterator[int]) -> None:
    next(results)
    raise KeyboardInterrupt


def fail_at_once(results: Iterator[int]) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("body", [leave, fail_at_once])
def test_map_ahead_whose_block_raises_cancels_and_waits(
    body: Callable[[Iterator[int]], None],
) -> None:
    cancelled, running = threading.Event(), set[int]()

    def work(number: int) -> int:
        if number:
            running.add(number)
            assert cancelled.wait(TIMEOUT)
            running.remove(number)
        return number

    with pytest.raises(KeyboardInterrupt), map_ahead(work, range(9), 2, cancelled.set) as results:
        body(results)
    assert cancelled.is_set()
    assert not running
