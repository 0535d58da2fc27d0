"""Questions of many requests, read by a few threads and answered in common batches."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Condition, Thread
from typing import Any, NamedTuple

from genspot.common.uploads import Question

Answer = dict[str, Any]

AHEAD = 2  # batches that are read before they are answered, at most
PATIENCE = 0.05  # seconds that a photo waits at most for others of its batch, which are being read
SMOOTHING = 0.2  # weight of the last batch in the mean time of a photo
MAX_RETRY_AFTER = 60  # seconds


class QueueFullError(Exception):
    """There is no room for the questions of a request, or the batcher is closed.

    Attributes:
        retry_after: seconds after which there may be room, 1 or more.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after} s")
        self.retry_after = retry_after


class _Request:
    """The questions of one call of `Batcher.submit`.

    Attributes:
        unread: places and questions that no thread has taken yet.
        answers: by place.
        missing: number of answers that are not there yet.
        future: of all answers.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self.unread = deque(enumerate(questions))
        self.answers: list[Answer] = [{}] * len(questions)
        self.missing = len(questions)
        self.future: Future[list[Answer]] = Future()

    def set(self, place: int, outcome: Answer | Exception) -> None:
        """Store an answer, or let the whole request fail."""
        if self.future.done():
            return
        if not isinstance(outcome, Exception):
            self.answers[place] = outcome
            self.missing -= 1
        if isinstance(outcome, Exception) and self.future.set_running_or_notify_cancel():
            self.future.set_exception(outcome)
        elif not self.missing and self.future.set_running_or_notify_cancel():
            self.future.set_result(self.answers)


class _Task(NamedTuple):
    """A question that a thread has taken, and once it is read, what `answer` takes of it."""

    request: _Request
    place: int
    question: Question
    since: float = 0.0  # when it was read, by time.monotonic
    content: Any = None


class Batcher:
    """Answers the questions of requests in batches, in a bounded queue.

    Requests take turns: each gets one photo read before another gets its second. A request that
    is cancelled leaves the queue. A batch is answered when it is full, when no question is left
    to read, or when its first photo has waited for `PATIENCE`.

    Args:
        read: a question to what `answer` takes; called by several threads.
        answer: what `read` returned to the answers, in order; called by one thread.
        batch_size: questions that are answered at once at most.
        max_photos: questions that wait, are read or answered, at most.
        readers: threads that read.

    Attributes:
        held: questions that are accepted and not yet answered.
        answered: questions answered so far.
        batches: in which they were answered.
    """

    def __init__(
        self,
        read: Callable[[Question], Any],
        answer: Callable[[Sequence[Any]], list[Answer]],
        batch_size: int,
        max_photos: int,
        readers: int = 2,
    ) -> None:
        self.held = self.answered = self.batches = 0
        self.read, self.answer, self.batch_size = read, answer, batch_size
        self.max_photos = max_photos
        self.waiting: deque[_Request] = deque()  # with unread questions
        self.ready: deque[_Task] = deque()
        self.reading, self.closing, self.seconds = 0, False, 0.0  # of a photo, in the mean
        self.change = Condition()
        targets = [self._answer_all, *[self._read_all] * readers]
        self.threads = [Thread(target=target, daemon=True) for target in targets]
        for thread in self.threads:
            thread.start()

    async def submit(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the answers, in order.

        A cancelled call drops the questions that are not yet read.

        Raises:
            QueueFullError: they would exceed `max_photos`, or `close` was called.
            Exception: whatever `read` or `answer` raises.
        """
        if not questions:
            return []
        request = _Request(questions)
        with self.change:
            if self.held + len(questions) > self.max_photos or self.closing:
                raise QueueFullError(self._retry_after())
            self.held += len(questions)
            self.waiting.append(request)
            self.change.notify_all()
        try:
            return await asyncio.wrap_future(request.future)
        finally:
            self._drop(request)

    def close(self) -> None:
        """Answer what is accepted, and end the threads; new questions are refused."""
        with self.change:
            self.closing = True
            self.change.notify_all()
        for thread in self.threads:
            thread.join()

    def _retry_after(self) -> int:
        return min(max(1, math.ceil(self.held * self.seconds)), MAX_RETRY_AFTER)

    def _drop(self, request: _Request) -> None:
        """Take the unread questions of a request that failed or is cancelled out of the queue."""
        with self.change:
            self.held -= len(request.unread)
            request.unread.clear()
            with suppress(ValueError):
                self.waiting.remove(request)
            self.change.notify_all()

    def _finish(self, tasks: Sequence[_Task], outcomes: Sequence[Answer | Exception]) -> None:
        self.held -= len(tasks)
        for task, outcome in zip(tasks, outcomes, strict=True):
            task.request.set(task.place, outcome)
        self.change.notify_all()

    def _read_all(self) -> None:
        while task := self._take():
            content = _attempt(self.read, task.question)
            with self.change:
                self.reading -= 1
                if isinstance(content, Exception):
                    self._finish([task], [content])
                else:
                    self.ready.append(task._replace(since=time.monotonic(), content=content))
                    self.change.notify_all()

    def _take(self) -> _Task | None:
        """Return the next question to read, once there is one; None at the end."""
        with self.change:
            while not self.waiting or self._is_ahead():
                if self.closing and not self.waiting:
                    return None
                self.change.wait()
            request = self.waiting.popleft()
            place, question = request.unread.popleft()
            if request.unread:
                self.waiting.append(request)
            self.reading += 1
            return _Task(request, place, question)

    def _is_ahead(self) -> bool:
        return len(self.ready) + self.reading >= AHEAD * self.batch_size

    def _answer_all(self) -> None:
        while tasks := self._collect():
            start = time.monotonic()
            outcomes = self._answers(tasks)
            taken = (time.monotonic() - start) / len(tasks)
            with self.change:
                weight = SMOOTHING if self.batches else 1.0
                self.seconds += weight * (taken - self.seconds)
                self.batches += 1
                self.answered += len(tasks)
                self._finish(tasks, outcomes)

    def _collect(self) -> list[_Task]:
        """Return what is to be answered next, once there is something; nothing at the end."""
        with self.change:
            while True:
                self._forget_ended()
                more = self.waiting or self.reading
                if self.ready:
                    left = self.ready[0].since + PATIENCE - time.monotonic()
                    if len(self.ready) >= self.batch_size or left <= 0 or not more:
                        break
                    self.change.wait(left)
                elif self.closing and not more:
                    break
                else:
                    self.change.wait()
            count = min(self.batch_size, len(self.ready))
            tasks = [self.ready.popleft() for _ in range(count)]
            self.change.notify_all()
            return tasks

    def _forget_ended(self) -> None:
        """Drop what was read for requests that failed or are cancelled."""
        found, self.ready = self.ready, deque()
        for task in found:
            if task.request.future.done():
                self._finish([task], [{}])
            else:
                self.ready.append(task)

    def _answers(self, tasks: list[_Task]) -> list[Answer | Exception]:
        """Return what became of the tasks. Where a batch fails, each of it is answered alone."""
        answers = _attempt(self.answer, [task.content for task in tasks])
        if not isinstance(answers, Exception):
            return list(answers)
        if len(tasks) == 1:
            return [answers]
        return [outcome for task in tasks for outcome in self._answers([task])]


def _attempt(function: Callable[[Any], Any], argument: Any) -> Any:
    """Return what `function` returns, or the exception that it raises."""
    try:
        return function(argument)
    except Exception as error:
        return error
    except BaseException as error:  # a panic in Rust is none; the thread must go on
        return RuntimeError(repr(error))
