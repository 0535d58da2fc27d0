"""Jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from genspot.common.errors import GenspotError
from genspot.common.uploads import Question, UploadedPhoto
from genspot.server.batching import Answer, QueueFullError
from genspot.server.errors import RequestError
from genspot.server.jobs import DONE, FAILED, WAITING, Jobs
from genspot.server.limits import Limits

QUESTIONS = [Question(UploadedPhoto("a", b"x"))]
ANSWERS: list[Answer] = [{"photo": "a"}]
Ask = Callable[[Sequence[Question]], Awaitable[list[Answer]]]


def test_job_is_done_once_its_photos_are_answered_and_lets_their_memory_go() -> None:
    async def run() -> None:
        go, released = asyncio.Event(), []

        async def ask(_: Sequence[Question]) -> list[Answer]:
            await go.wait()
            return ANSWERS

        jobs, held = Jobs(ask, Limits()), ExitStack()
        held.callback(released.append, True)
        job = jobs.add(QUESTIONS, held)
        await asyncio.sleep(0.01)
        assert (job.status, jobs.count(WAITING), released) == (WAITING, 1, [])
        go.set()
        await finished(job)
        assert jobs.find(job.id) is job
        assert (job.status, job.answers, jobs.count(DONE)) == (DONE, ANSWERS, 1)
        assert released == [True]

    asyncio.run(run())


async def finished(job: Any) -> None:
    assert job.task is not None
    await asyncio.wait([job.task], timeout=20)
    await asyncio.sleep(0)  # what follows its end
    assert job.task.done()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GenspotError("no reference"), "no reference"),
        (KeyError("secret"), "a fault of the server"),
    ],
)
def test_job_that_fails_says_why_and_lets_its_memory_go(error: Exception, text: str) -> None:
    async def run() -> None:
        async def ask(_: Sequence[Question]) -> list[Answer]:
            raise error

        held, released = ExitStack(), []
        held.callback(released.append, True)
        job = Jobs(ask, Limits()).add(QUESTIONS, held)
        await finished(job)
        assert job.status == FAILED
        assert str(job.error).startswith(text)
        assert "secret" not in str(job.error)
        assert released == [True]

    asyncio.run(run())


def test_job_waits_for_room_in_the_queue() -> None:
    async def run() -> None:
        tries = 0

        async def ask(_: Sequence[Question]) -> list[Answer]:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise QueueFullError(0)
            return ANSWERS

        job = Jobs(ask, Limits()).add(QUESTIONS, ExitStack())
        await finished(job)
        assert (job.status, tries) == (DONE, 3)

    asyncio.run(run())


@pytest.mark.parametrize("began", [False, True])
def test_removed_job_is_cancelled_and_unknown(began: bool) -> None:
    async def run() -> None:
        jobs = Jobs(never, Limits())
        held, released = ExitStack(), []
        held.callback(released.append, True)
        job = jobs.add(QUESTIONS, held)
        if began:
            await asyncio.sleep(0.01)
        jobs.remove(job.id)
        await finished(job)
        assert released == [True]
        for call in (jobs.find, jobs.remove):
            with pytest.raises(RequestError) as error:
                call(job.id)
            assert error.value.status == 404

    asyncio.run(run())


async def never(_: Sequence[Question]) -> list[Answer]:
    await asyncio.sleep(3600)
    return []


async def at_once(_: Sequence[Question]) -> list[Answer]:
    return ANSWERS


def test_finished_job_is_forgotten_after_its_time() -> None:
    async def run() -> None:
        jobs = Jobs(at_once, Limits(job_seconds=0))
        job = jobs.add(QUESTIONS, ExitStack())
        await finished(job)
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError, match="no such job"):
            jobs.find(job.id)

    asyncio.run(run())


def test_number_of_kept_jobs_is_bounded_and_none_is_lost_for_a_new_one() -> None:
    async def run() -> None:
        jobs = Jobs(at_once, Limits(max_jobs=2, job_seconds=100))
        kept = [jobs.add(QUESTIONS, ExitStack()) for _ in range(2)]
        with pytest.raises(RequestError) as error:
            jobs.add(QUESTIONS, ExitStack())
        assert (error.value.status, error.value.retry_after) == (503, 10)
        for job in kept:
            await finished(job)
        with pytest.raises(RequestError) as error:
            jobs.check_room()
        assert error.value.retry_after == 100
        assert [jobs.find(job.id).status for job in kept] == [DONE, DONE]
        jobs.remove(kept[0].id)
        assert jobs.add(QUESTIONS, ExitStack()).id not in {job.id for job in kept}

    asyncio.run(run())


@pytest.mark.parametrize(("ask", "unfinished"), [(never, 3), (at_once, 0)])
def test_close_counts_what_was_not_finished(ask: Ask, unfinished: int) -> None:
    async def run() -> None:
        jobs = Jobs(ask, Limits())
        for _ in range(3):
            jobs.add(QUESTIONS, ExitStack())
        await asyncio.sleep(0.05)
        assert await jobs.close() == unfinished
        assert not any(map(jobs.count, (WAITING, DONE, FAILED)))

    asyncio.run(run())
