"""What the routes of the API and of the web page have in common: photos in, answers out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from genspot.common.uploads import Question, UploadedPhoto
from genspot.report.answers import make_document
from genspot.server.batching import Answer, Batcher
from genspot.server.errors import RequestError
from genspot.server.jobs import Job, Jobs
from genspot.server.limits import HeldBytes, Limits
from genspot.server.metrics import Metrics
from genspot.server.uploads import declared_size, is_form, read_photos

Result = TypeVar("Result")
# Photos and the document of their answers to a page that shows them.
PageRenderer = Callable[[Sequence[UploadedPhoto], dict[str, Any]], str]
# Raises GenspotError where no photo can be answered with a false-alarm rate and a prior.
OptionsCheck = Callable[[float | None, float | None], None]
# What a reader must know of probabilities at a prior.
PriorNotes = Callable[[float], Sequence[str]]


class Options(BaseModel):
    """What a request asks of its photos, in its address."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    deliveries: bool = Field(
        False, description="score each photo also as messengers and social networks deliver it"
    )
    fpr: float | None = Field(
        None, gt=0, lt=1, description="the false-alarm rate at which each photo is decided"
    )
    prior: float | None = Field(
        None, gt=0, lt=1, description="the share of generated photos among photos like these"
    )
    name: str | None = Field(
        None, max_length=200, description="of the photo, where the body is the photo itself"
    )


AskedOptions = Annotated[Options, Query()]


class Service:
    """Takes the photos of requests and returns their answers.

    Args:
        batcher: answers questions.
        render_page: photos and the document of their answers to a page.
        limits: on requests.
        check: of a request's options.
        prior_notes: on probabilities.
    """

    def __init__(
        self,
        batcher: Batcher,
        render_page: PageRenderer,
        limits: Limits,
        check: OptionsCheck,
        prior_notes: PriorNotes,
    ) -> None:
        self.batcher, self.render_page, self.limits = batcher, render_page, limits
        self.check, self.prior_notes = check, prior_notes
        self.held = HeldBytes(limits.max_held_bytes)
        self.jobs = Jobs(self._ask, limits)
        self.metrics = Metrics(batcher, self.jobs, self.held)
        self._drawing = asyncio.Semaphore(1)  # pictures compute on all cores

    def document(self, answers: list[Answer], prior: float | None) -> dict[str, Any]:
        """Return the document of answers that were asked for with a prior, or without."""
        return make_document(answers, [] if prior is None else self.prior_notes(prior))

    async def answer(self, request: Request, options: Options) -> dict[str, Any]:
        """Return the document of the answers for the photos of a request, in order.

        Raises:
            RequestError: a limit, no photo that can be read, or a client that has gone.
        """
        with self.held.reserve(self._size(request, options)):
            photos = await read_photos(request, self.limits, options.name)
            answers = await _unless_gone(request, self._ask(_questions(photos, options)))
        return self.document(_readable(answers), options.prior)

    async def page(self, request: Request, options: Options) -> str:
        """Return a page that shows the photos of a request and their answers.

        Raises:
            RequestError: see `answer`.
        """
        with self.held.reserve(self._size(request, options)):
            photos = await read_photos(request, self.limits, options.name)
            return await _unless_gone(request, self._make_page(photos, options))

    async def start_job(self, request: Request, options: Options) -> Job:
        """Return a job for the photos of a request.

        Raises:
            RequestError: a limit, or no photo in the request.
        """
        self.jobs.check_room()
        with ExitStack() as held:
            held.enter_context(self.held.reserve(self._size(request, options)))
            photos = await read_photos(request, self.limits, options.name)
            return self.jobs.add(_questions(photos, options), held.pop_all())

    async def close(self) -> int:
        """End the jobs and the batches; return the number of jobs that were not finished."""
        unfinished = await self.jobs.close()
        await run_in_threadpool(self.batcher.close)
        return unfinished

    def _size(self, request: Request, options: Options) -> int:
        if options.name is not None and is_form(request):
            raise RequestError(
                422, "invalid", "name: the files of a form have names of their own; leave it out"
            )
        self.check(options.fpr, options.prior)
        return declared_size(request, self.limits)

    async def _ask(self, questions: Sequence[Question]) -> list[Answer]:
        answers = await self.batcher.submit(questions)
        self.metrics.count_photos(answers)
        return answers

    async def _make_page(self, photos: list[UploadedPhoto], options: Options) -> str:
        answers = _readable(await self._ask(_questions(photos, options)))
        document = self.document(answers, options.prior)
        async with self._drawing:
            return await run_in_threadpool(self.render_page, photos, document)


def _questions(photos: Sequence[UploadedPhoto], options: Options) -> list[Question]:
    return [Question(one, options.deliveries, options.fpr, options.prior) for one in photos]


def _readable(answers: list[Answer]) -> list[Answer]:
    """Return `answers`.

    Raises:
        RequestError: no photo could be read.
    """
    reasons = [{"photo": one["photo"], "reason": one["unreadable"]} for one in answers]
    if not any(one["detectors"] for one in answers):
        shown = "; ".join(f"{one['photo']}: {one['reason']}" for one in reasons[:3])
        more = f"; and {len(reasons) - 3} others" if len(reasons) > 3 else ""
        raise RequestError(
            422, "unreadable", f"no photo can be read: {shown}{more}", details={"photos": reasons}
        )
    return answers


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`, which ends where the client does.

    Raises:
        RequestError: the client has gone.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_wait_until_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise RequestError(499, "gone", "the client ended the request")  # nginx's status for it
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
