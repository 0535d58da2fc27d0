"""How long a transfer waits for a server, and how often it tries."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from genspot.common.errors import GenspotError
from genspot.common.quantities import duration_text


@dataclass(frozen=True)
class Patience:
    """Times of a transfer, in seconds.

    Attributes:
        connect: within which a server must accept a connection.
        stall: without a byte, after which a connection is given up.
        first_wait: before the second try; it doubles with each further one.
        longest_wait: that it grows to; a server may ask for more (`Retry-After`).
        total: without a byte over all tries, after which the transfer ends with an error.
        tries: in a row, after which it ends although `total` is not over: where there is no
            connection and no byte has arrived yet, or where the answers are wrong.
    """

    connect: float = 10.0
    stall: float = 30.0
    first_wait: float = 3.0
    longest_wait: float = 60.0
    total: float = 30 * 60.0
    tries: int = 3


DEFAULT_PATIENCE = Patience()


class TransferStoppedError(GenspotError):
    """A transfer was ended by `Client.cancel`."""


class TryFailedError(Exception):
    """One try failed; the next may succeed.

    Args:
        reason: in words, without the address.
        few: whether only `Patience.tries` of this kind are allowed in a row.
        retry_after: seconds that the server asks to wait; None: it does not say.
    """

    def __init__(self, reason: str, few: bool = False, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.few = few
        self.retry_after = retry_after


class Retries:
    """The waits between the tries of one read.

    Args:
        url: for messages.
        patience: see there.
        stop: ends a wait.
    """

    def __init__(self, url: str, patience: Patience, stop: threading.Event) -> None:
        self.url = url
        self.patience = patience
        self.stop = stop
        self.progressed()

    def progressed(self) -> None:
        """Begin all counts again: a byte has arrived."""
        self.since = time.monotonic()
        self.failures = 0
        self.few = 0

    def next_wait(self, failed: TryFailedError) -> float:
        """Return the seconds to wait before the next try.

        Raises:
            GenspotError: there is to be none.
        """
        backoff = self.patience.first_wait * 2.0 ** min(self.failures, 30)
        wait = max(failed.retry_after or 0.0, min(backoff, self.patience.longest_wait))
        self.failures += 1
        self.few += failed.few
        if failed.few and self.few >= self.patience.tries:
            raise GenspotError(f"{self.url}: {failed.reason} ({self.few} tries)")
        waited = time.monotonic() - self.since
        if waited + wait > self.patience.total:
            asks = failed.retry_after == wait and wait > self.patience.longest_wait
            length = duration_text(wait if asks else waited)
            what = f"asks to wait {length}" if asks else f"no byte came for {length}"
            raise GenspotError(
                f"{self.url}: {failed.reason}, and {what}. What has arrived stays: run the "
                "command again later"
            )
        return wait

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            TransferStoppedError: see `Client.cancel`.
        """
        if self.stop.wait(seconds):
            raise TransferStoppedError(f"the transfer of {self.url} was stopped")
