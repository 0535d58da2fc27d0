"""Batches of questions of several requests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from genspot.common.uploads import Question, UploadedPhoto
from genspot.server.batching import MAX_RETRY_AFTER, Batcher, QueueFullError

SECONDS = 20  # after which a test has failed


class Machine:
    """A reader and a scorer that note what they are given; the answer is the photo's name.

    Args:
        broken: names of photos that fail: "read" to (when they are read), or "answer".
    """

    def __init__(self, broken: dict[str, str] | None = None) -> None:
        self.broken = broken or {}
        self.read_names: list[str] = []
        self.batches: list[list[str]] = []
        self.may_read, self.may_answer = threading.Event(), threading.Event()
        self.may_read.set()
        self.may_answer.set()

    def read(self, question: Question) -> str:
        name = question.photo.name
        self.read_names.append(name)
        assert self.may_read.wait(SECONDS)
        if self.broken.get(name) == "read":
            raise MemoryError(name)
        return name

    def answer(self, names: Sequence[str]) -> list[dict[str, Any]]:
        assert self.may_answer.wait(SECONDS)
        self.batches.append(list(names))
        for name in names:
            if self.broken.get(name) == "answer":
                raise ValueError(name)
            if self.broken.get(name) == "panic":
                raise Panic(name)
        return [{"photo": name} for name in names]


class Panic(BaseException):
    """What a library in Rust raises; no Exception."""


Make = Callable[..., Batcher]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes batchers, which are closed at the end."""
    made: list[tuple[Machine, Batcher]] = []

    def _make(machine: Machine, batch: int = 4, photos: int = 100) -> Batcher:
        batcher = Batcher(machine.read, machine.answer, batch, photos, readers=1)
        made.append((machine, batcher))
        return batcher

    yield _make
    for machine, batcher in made:
        machine.may_read.set()
        machine.may_answer.set()
        batcher.close()
        assert not any(thread.is_alive() for thread in batcher.threads)


def questions(names: str) -> list[Question]:
    return [Question(UploadedPhoto(name, b"")) for name in names]


def run(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(call, SECONDS))


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


def names_of(answers: list[dict[str, Any]]) -> str:
    return "".join(answer["photo"] for answer in answers)


def test_submit_several_photos_returns_answers_in_order(make: Make) -> None:
    machine = Machine()
    batcher = make(machine)
    assert names_of(run(batcher.submit(questions("hgfedcba")))) == "hgfedcba"
    assert (batcher.held, batcher.answered) == (0, 8)
    assert batcher.batches == len(machine.batches)
    assert run(batcher.submit([])) == []


def test_submit_many_requests_at_once_shares_batches_and_loses_none(make: Make) -> None:
    machine = Machine()
    batcher = make(machine, batch=8)

    async def all_at_once() -> list[list[dict[str, Any]]]:
        names = [chr(ord("a") + number % 26) * 3 for number in range(30)]
        machine.may_answer.clear()
        calls = [asyncio.ensure_future(batcher.submit(questions(name))) for name in names]
        await until(lambda: len(batcher.ready) + batcher.reading >= 15)
        machine.may_answer.set()
        answers = await asyncio.gather(*calls)
        assert list(map(names_of, answers)) == names
        return answers

    run(all_at_once())
    sizes = list(map(len, machine.batches))
    assert sum(sizes) == 90 and max(sizes) == 8
    assert sizes.count(8) >= 9  # all but the first ones, which began before the others were there


def test_submit_long_request_first_lets_a_short_one_pass(make: Make) -> None:
    machine = Machine()
    batcher = make(machine, batch=1)

    async def both() -> None:
        machine.may_read.clear()
        long = asyncio.ensure_future(batcher.submit(questions("a" * 50)))
        await until(lambda: machine.read_names == ["a"])
        short = asyncio.ensure_future(batcher.submit(questions("b")))
        await until(lambda: batcher.held == 51)
        machine.may_read.set()
        await asyncio.gather(long, short)

    run(both())
    assert machine.read_names.index("b") <= 2


def test_submit_more_than_there_is_room_for_is_refused(make: Make) -> None:
    machine = Machine()
    batcher = make(machine, photos=3)

    async def fill() -> None:
        machine.may_answer.clear()
        held = asyncio.ensure_future(batcher.submit(questions("ab")))
        await until(lambda: batcher.held == 2)
        with pytest.raises(QueueFullError) as error:
            await batcher.submit(questions("cd"))  # 4 photos
        assert error.value.retry_after == 1
        batcher.seconds = 1000.0
        with pytest.raises(QueueFullError, match=f"try again in {MAX_RETRY_AFTER} s"):
            await batcher.submit(questions("cd"))
        machine.may_answer.set()
        assert names_of(await held) == "ab"
        assert names_of(await batcher.submit(questions("cde"))) == "cde"

    run(fill())


def test_submit_cancelled_request_leaves_the_queue(make: Make) -> None:
    machine = Machine()
    batcher = make(machine, batch=2)

    async def cancel() -> None:
        machine.may_answer.clear()
        gone = asyncio.ensure_future(batcher.submit(questions("a" * 40)))
        await until(lambda: len(batcher.ready) >= 2)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        machine.may_answer.set()
        assert names_of(await batcher.submit(questions("b"))) == "b"

    run(cancel())
    assert machine.read_names.count("a") <= 8  # what was read or being read when it was cancelled
    assert sum(map(len, machine.batches)) <= 3  # one batch was running
    assert batcher.held == 0


@pytest.mark.parametrize(
    ("step", "error"), [("read", MemoryError), ("answer", ValueError), ("panic", RuntimeError)]
)
def test_submit_photo_that_fails_fails_its_own_request_only(
    make: Make, step: str, error: type[Exception]
) -> None:
    machine = Machine({"x": step})
    batcher = make(machine, batch=8)

    async def both() -> None:
        machine.may_answer.clear()
        calls = [asyncio.ensure_future(batcher.submit(questions(one))) for one in ("ab", "axb")]
        await until(lambda: machine.read_names.count("x") == 1 and batcher.reading == 0)
        machine.may_answer.set()
        assert names_of(await calls[0]) == "ab"
        with pytest.raises(error, match="x"):
            await calls[1]
        assert names_of(await batcher.submit(questions("c"))) == "c"  # the threads live

    run(both())
    assert batcher.held == 0


def test_submit_photo_that_is_slow_to_read_holds_up_no_other(make: Make) -> None:
    slow, machine = threading.Event(), Machine()

    def read(question: Question) -> str:
        if question.photo.name == "s":
            assert slow.wait(SECONDS)
        return machine.read(question)

    batcher = Batcher(read, machine.answer, 8, 100, readers=2)

    async def both() -> None:
        held = asyncio.ensure_future(batcher.submit(questions("s")))
        await until(lambda: batcher.reading == 1)
        assert names_of(await batcher.submit(questions("abc"))) == "abc"
        assert not held.done()
        slow.set()
        assert names_of(await held) == "s"

    run(both())
    batcher.close()


def test_read_ahead_is_bounded(make: Make) -> None:
    machine = Machine()
    batcher = make(machine, batch=3)

    async def fill() -> None:
        machine.may_answer.clear()
        call = asyncio.ensure_future(batcher.submit(questions("a" * 50)))
        await until(lambda: len(batcher.ready) >= 6)
        await asyncio.sleep(0.05)
        assert len(machine.read_names) <= 9  # two batches, and the one that is being answered
        machine.may_answer.set()
        assert len(await call) == 50

    run(fill())


def test_close_answers_what_is_accepted_and_refuses_new(make: Make) -> None:
    machine = Machine()
    batcher = make(machine, batch=2)

    async def end() -> None:
        machine.may_answer.clear()
        held = asyncio.ensure_future(batcher.submit(questions("abcdefgh")))
        await until(lambda: batcher.held == 8)
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        await until(lambda: batcher.closing)
        with pytest.raises(QueueFullError):
            await batcher.submit(questions("i"))
        machine.may_answer.set()
        assert names_of(await held) == "abcdefgh"
        await closing

    run(end())
    assert not any(thread.is_alive() for thread in batcher.threads)
