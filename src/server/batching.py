"""Questions of many requests, read by a few threads and answered in common batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from genspot.common.uploads import Question

Answer = dict[str, Any]


class QueueFullError(Exception):
    """There is no room for the questions of a request.

    Attributes:
        retry_after: seconds after which there may be room, 1 or more.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after} s")
        self.retry_after = retry_after


class Batcher:
    """Answers the questions of requests in batches, in a bounded queue.

    Requests take turns: each gets one photo read before another gets its second. A request that
    is cancelled leaves the queue.

    Args:
        read: a question to what `answer` takes; called by several threads.
        answer: what `read` returned to the answers, in order; called by one thread.
        batch_size: questions that are answered at once at most.
        max_photos: questions that wait, are read or answered, at most.
        max_bytes: of their photos, encoded, at most.
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
        max_bytes: int,
        readers: int = 2,
    ) -> None:
        self.held = self.answered = self.batches = 0
        self.read, self.answer, self.batch_size = read, answer, batch_size
        self.max_photos, self.max_bytes, self.readers = max_photos, max_bytes, readers

    async def submit(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the answers, in order.

        A cancelled call drops the questions that are not yet read.

        Raises:
            QueueFullError: they would exceed `max_photos` or `max_bytes`.
            Exception: whatever `read` or `answer` raises.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Answer what is accepted, and end the threads; new questions are refused."""
        raise NotImplementedError
