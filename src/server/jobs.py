"""Jobs: photos that are examined after their request has ended. Kept in memory alone."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from genspot.common.errors import GenspotError
from genspot.common.uploads import Question
from genspot.server.batching import Answer, QueueFullError
from genspot.server.errors import RequestError
from genspot.server.limits import Limits

log = logging.getLogger(__name__)

STATUSES = WAITING, DONE, FAILED = "waiting", "done", "failed"
FULL_S = 10  # after which a client may ask again where no kept job is finished


@dataclass
class Job:
    """Photos that are examined without a client that waits.

    Attributes:
        id: by which it is asked for; it cannot be guessed.
        photos: number of them.
        created: when the job was accepted.
        status: "waiting", "done" or "failed".
        prior: that they are answered with.
        answers: of the photos, in order, once it is done.
        error: why it failed.
        finished: time of the loop at which it ended.
        task: that examines the photos.
    """

    id: str
    photos: int
    created: datetime
    prior: float | None
    status: str = WAITING
    answers: list[Answer] = field(default_factory=list)
    error: str | None = None
    finished: float | None = None
    task: asyncio.Task[None] | None = None


class Jobs:
    """The jobs of a server.

    Args:
        ask: examines photos and returns their answers.
        limits: on the number of jobs, and the time for which a finished one is kept.
    """

    def __init__(
        self, ask: Callable[[Sequence[Question]], Awaitable[list[Answer]]], limits: Limits
    ) -> None:
        self.ask, self.limits = ask, limits
        self._jobs: dict[str, Job] = {}

    def count(self, status: str) -> int:
        """Return the number of kept jobs with a status."""
        return sum(job.status == status for job in self._jobs.values())

    def check_room(self) -> None:
        """Raise RequestError if no further job can be kept."""
        if len(self._jobs) < self.limits.max_jobs:
            return
        ends = [job.finished for job in self._jobs.values() if job.finished is not None]
        now = asyncio.get_running_loop().time()
        left = min(ends) + self.limits.job_seconds - now if ends else FULL_S
        seconds = max(1, round(left))
        raise RequestError(
            503,
            "too_many_jobs",
            f"{self.limits.max_jobs} jobs are kept (task.max_jobs): DELETE those that are read, "
            f"or try again in {seconds} s",
            seconds,
        )

    def add(self, questions: Sequence[Question], held: ExitStack) -> Job:
        """Return a new job for photos.

        Args:
            questions: about them.
            held: is closed when the photos are no longer in memory.

        Raises:
            RequestError: no further job can be kept.
        """
        self.check_room()
        now, prior = datetime.now(UTC), questions[0].prior
        job = Job(secrets.token_urlsafe(16), len(questions), now, prior)
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._run(job, questions))
        job.task.add_done_callback(lambda _: held.close())  # also of one that never began
        return job

    def find(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            RequestError: there is none with this id.
        """
        try:
            return self._jobs[job_id]
        except KeyError:
            raise RequestError(
                404,
                "no_job",
                "no such job: finished ones are kept for "
                f"{self.limits.job_seconds / 60:g} min (task.job_minutes), and none over a stop "
                "of the server",
            ) from None

    def remove(self, job_id: str) -> None:
        """Forget a job; one that is not finished is cancelled.

        Raises:
            RequestError: there is none with this id.
        """
        self.find(job_id)
        self._forget(job_id)

    async def close(self) -> int:
        """Cancel what is not finished, forget all, and return the number that was not finished."""
        tasks = [job.task for job in self._jobs.values() if job.status == WAITING and job.task]
        for job_id in list(self._jobs):
            self._forget(job_id)
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    def _forget(self, job_id: str) -> None:
        job = self._jobs.pop(job_id, None)
        if job and job.task:
            job.task.cancel()

    async def _run(self, job: Job, questions: Sequence[Question]) -> None:
        try:
            job.answers = await self._ask_patiently(questions)
            job.status = DONE
        except GenspotError as error:
            job.status, job.error = FAILED, str(error)
        except Exception:
            log.exception("a job failed")
            job.status, job.error = FAILED, "a fault of the server, which its log describes"
        loop = asyncio.get_running_loop()
        job.finished = loop.time()
        loop.call_later(self.limits.job_seconds, self._forget, job.id)

    async def _ask_patiently(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the answers; where the queue is full, wait for room in it."""
        while True:
            try:
                return await self.ask(questions)
            except QueueFullError as error:
                await asyncio.sleep(error.retry_after)
