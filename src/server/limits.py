"""Limits on what clients send: bytes, photos, requests a minute."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from genspot.server.errors import RequestError, queue_full

MEGABYTE = 1_000_000
MAX_CLIENTS = 10_000  # whose requests are counted; the one unseen for longest is forgotten
IPV6_NETWORK = 64  # bits of an address: one customer of a provider has all addresses below
BUSY_S = 2  # after which there may be memory for another request


@dataclass(frozen=True)
class Limits:
    """What a client may ask of the server.

    Attributes:
        max_photos: of one request.
        max_request_bytes: of one request's body.
        max_held_bytes: of all requests that are received, wait or are answered, and of the jobs.
        requests_per_minute: of one client; None for any number.
        upload_seconds: in which the body of a request must arrive.
        max_jobs: that are kept, finished or not.
        job_seconds: for which a finished job is kept.
    """

    max_photos: int = 32
    max_request_bytes: int = 64 * MEGABYTE
    max_held_bytes: int = 256 * MEGABYTE
    requests_per_minute: int | None = 1200
    upload_seconds: int = 60
    max_jobs: int = 100
    job_seconds: int = 3600


class RateLimiter:
    """Counts the requests of each client in a bucket that holds those of a minute.

    Args:
        per_minute: requests that a client may send in a minute; None for any number.
        clock: seconds, as `time.monotonic`.
    """

    def __init__(
        self, per_minute: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, address: str) -> int:
        """Count a request of the client at `address`.

        Returns:
            0, or the seconds, 1 or more, after which a refused client may send another.
        """
        if self.per_minute is None:
            return 0
        client, now = client_of(address), self.clock()
        left, before = self._buckets.pop(client, (float(self.per_minute), now))
        left = min(self.per_minute, left + (now - before) * self.per_minute / 60)
        allowed = left >= 1
        self._buckets[client] = (left - allowed, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0 if allowed else math.ceil((1 - left) * 60 / self.per_minute)


def client_of(address: str) -> str:
    """Return what all requests of one client have: its IPv4 address or its IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:  # where one socket serves both versions
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))


class HeldBytes:
    """Counts the bytes of all requests in memory.

    Args:
        limit: of them.

    Attributes:
        held: of them now.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Hold `size` bytes within the block.

        Raises:
            RequestError: there is no room for them now.
        """
        if self.held + size > self.limit:
            raise queue_full(BUSY_S)
        self.held += size
        try:
            yield
        finally:
            self.held -= size


def too_large(limit: int) -> RequestError:
    """Return the error of a request with more than `limit` bytes."""
    return RequestError(
        413,
        "too_large",
        f"the request is larger than {limit / MEGABYTE:g} MB (task.max_request_mb): "
        "send fewer or smaller photos",
    )
