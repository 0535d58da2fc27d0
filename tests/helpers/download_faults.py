"""What the servers of published files do wrong, and with which requests."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FOREVER = 10**9
PAGE = b"<!DOCTYPE html><html><body>Sign in to go on</body></html>"
Kind = Literal[
    "cut", "stall", "flip", "shift", "short", "whole", "gzip", "answer", "loop", "headers"
]


@dataclass
class Fault:
    """One fault; it hits `times` requests after it let `skip` of them pass.

    Attributes:
        server: "hub" or "cdn".
        name: of the file whose requests it hits; "": any file's.
        after: bytes of the answer's body that still come, for "cut" and "stall".
        offset: of a byte of the file; requests without it do not count; "flip" changes it.
        reset: a cut ends the connection with a reset instead of an end.
        status, headers, body: of an "answer"; `headers` replace those of a right answer.
    """

    kind: Kind
    server: Literal["hub", "cdn"] = "cdn"
    name: str = ""
    times: int = 1
    skip: int = 0
    after: int = 0
    offset: int | None = None
    reset: bool = False
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def cut(after: int = 0, **where: Any) -> Fault:
    """The connection ends `after` bytes of the body."""
    return Fault("cut", after=after, **where)


def stall(after: int = 0, **where: Any) -> Fault:
    """Nothing comes `after` bytes of the body, and the connection stays open."""
    return Fault("stall", after=after, **where)


def flip(offset: int, **where: Any) -> Fault:
    """The byte at `offset` of the file is another one."""
    return Fault("flip", offset=offset, **where)


def wrong_start(**where: Any) -> Fault:
    """The answer is the range one byte further on, and says so."""
    return Fault("shift", **where)


def short(**where: Any) -> Fault:
    """The answer is the first half of the range, and says so."""
    return Fault("short", **where)


def no_ranges(**where: Any) -> Fault:
    """The answer is the whole file with 200."""
    return Fault("whole", **where)


def gzipped(**where: Any) -> Fault:
    """The answer is compressed, whatever was accepted."""
    return Fault("gzip", **where)


def answer(status: int, retry_after: str | None = None, body: bytes = b"", **where: Any) -> Fault:
    """Another status, with `Retry-After` where given."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Fault("answer", status=status, headers=headers, body=body, **where)


def html(**where: Any) -> Fault:
    """A page with 200 instead of the file."""
    return Fault("answer", status=200, headers={"Content-Type": "text/html"}, body=PAGE, **where)


def redirect_loop(**where: Any) -> Fault:
    """The address leads to itself."""
    return Fault("loop", server="hub", **{"times": FOREVER, **where})


def wrong_headers(headers: Mapping[str, str], **where: Any) -> Fault:
    """A right answer except for `headers`; a wrong total is one of `Content-Range`."""
    return Fault("headers", headers=headers, **where)


class Faults:
    """The faults to come; threads may ask at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.waiting = list(faults)
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self.waiting += faults

    def clear(self) -> None:
        with self._lock:
            self.waiting.clear()

    def take(self, server: str, name: str, start: int, end: int) -> Fault | None:
        """Return the fault of a request for the bytes `start` to `end` of a file."""
        with self._lock:
            for fault in self.waiting:
                hit = fault.server == server and fault.name in ("", name)
                if not hit or (fault.offset is not None and not start <= fault.offset < end):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self.waiting.remove(fault)
                return fault
        return None
