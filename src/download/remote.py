"""A file of a server, read by ranges."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from genspot.common.errors import GenspotError
from genspot.common.quantities import duration_text
from genspot.download.answers import (
    ENDED_EARLY,
    PINNED,
    Linked,
    address_lifetime,
    check_part,
    failed_status,
    read_linked,
)
from genspot.download.client import Answer, Client, server_address
from genspot.download.patience import Retries, TryFailedError
from genspot.download.progress import Progress
from genspot.download.table import FileEntry

PIECE = 256 * 1024  # bytes between two looks at `Client.stop`
MAX_REDIRECTS = 10
REFUSED = (400, 401, 403, 404, 410)  # what storage answers to an address that has expired


@dataclass(frozen=True)
class Address:
    """Where the bytes of a file are.

    Attributes:
        until: on the clock of `time.monotonic`.
        redirected: whether it is another one than that of the table.
    """

    url: str
    until: float
    redirected: bool


class RemoteFile:
    """A file of a server as a `ByteSource`; several threads may read it at once.

    All retries are inside `read`. Nothing is asked of the server before the first read.

    Raises:
        GenspotError: HF_ENDPOINT is no http address.
    """

    def __init__(self, client: Client, entry: FileEntry, progress: Progress) -> None:
        self.client = client
        self.entry = entry
        self.progress = progress
        self.size = entry.size
        self.url = server_address(entry.url)
        self._address: Address | None = None
        self._linked = Linked(None, None)
        self._resolving = threading.Lock()

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`, and count them in `progress`.

        Raises:
            GenspotError: the server does not have the file, has another one, or gave no byte for
                as long as `Patience` allows.
            TransferStoppedError: see `Client.cancel`.
        """
        return self._read(offset, length, self.progress)

    def sha256(self) -> str:
        """Return the SHA-256 of the table; else what the server says of the pinned revision.

        Returns:
            64 hexadecimal digits, or 8 where neither knows more.

        Raises:
            GenspotError: nobody knows it, or the server has another one than the table.
        """
        known = self.entry.sha256
        if known is not None and len(known) == 64:
            return known
        if self._linked.sha256 is None:
            self._read(0, min(1, self.size), None)
        found, commit = self._linked.sha256, self._linked.commit
        if known is not None:
            return found or known
        pinned = PINNED.search(self.url)
        if found is None or pinned is None or commit != pinned[1]:
            raise GenspotError(
                f"{self.url}: neither the table nor the server names its SHA-256 for a pinned "
                "revision, so that it cannot be verified: give it in the entry of download/"
            )
        self.client.notice(
            f"{self.entry.name}: its SHA-256 is not in the table; the server names {found} for "
            f"revision {commit}"
        )
        return found

    def _read(self, offset: int, length: int, progress: Progress | None) -> bytes:
        data = bytearray()
        retries = Retries(self.url, self.client.patience, self.client.stop)
        while len(data) < length:
            before = len(data)
            try:
                self._receive(data, offset + before, length - before, progress)
            except TryFailedError as failed:
                if len(data) > before:
                    retries.progressed()
                wait = retries.next_wait(failed)
                self.client.notice(
                    f"{self.entry.name}: {failed.reason}; the next try follows in "
                    f"{duration_text(wait)}"
                )
                retries.pause(wait)
        return bytes(data)

    def _receive(
        self, data: bytearray, offset: int, length: int, progress: Progress | None
    ) -> None:
        """Append `length` bytes to `data`; what came before an error stays in it."""
        end = len(data) + length
        with self._request(offset, length) as answer:
            while len(data) < end:
                piece = answer.read(min(end - len(data), PIECE))
                if not piece:
                    raise TryFailedError(ENDED_EARLY)
                data += piece
                self.client.count(len(piece))
                if progress is not None:
                    progress.add(len(piece))
            if answer.headers.get("Content-Length") == str(length):
                answer.finish()

    def _request(self, offset: int, length: int) -> Answer:
        """Return the right answer to a request for a part of the file."""
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        answer = self._from_known_address(headers)
        if answer is None:
            with self._resolving:  # one thread asks, the others use what it has found
                answer = self._from_known_address(headers) or self._resolve(headers)
        try:
            self._check(answer, offset, length)
        except BaseException:
            self._address = None  # the next try may lead to another server
            self.client.release(answer)
            raise
        return answer

    def _from_known_address(self, headers: dict[str, str]) -> Answer | None:
        """Return the answer of the address in use; None: there is no valid one any more."""
        address = self._address
        if address is None or time.monotonic() >= address.until:
            return None
        try:
            answer = self.client.get(address.url, headers)
        except TryFailedError:
            self._address = None  # the next try may lead to another server
            raise
        if answer.location or (address.redirected and answer.status in REFUSED):
            self.client.release(answer)
            self._address = None
            return None
        return answer

    def _resolve(self, headers: dict[str, str]) -> Answer:
        """Follow the redirects of the table's address, keep the last one, return its answer."""
        url, until, seen = self.url, math.inf, set[str]()
        while True:
            answer = self.client.get(url, headers)
            if not answer.location:
                if not seen:
                    self._keep_linked(answer)
                self._address = Address(url, until, redirected=bool(seen))
                return answer
            with answer:
                self._keep_linked(answer)
                seen.add(url)
                url = urljoin(url, answer.location)
                until = time.monotonic() + address_lifetime(url, answer.headers)
            if url in seen or len(seen) > MAX_REDIRECTS:
                raise GenspotError(f"{self.url}: the server redirects without an end")

    def _keep_linked(self, answer: Answer) -> None:
        linked = read_linked(answer.headers, self.url, self.entry)
        if linked.sha256 is not None:
            self._linked = linked

    def _check(self, answer: Answer, offset: int, length: int) -> None:
        """Raise if an answer does not hold the part that was asked for."""
        if answer.status not in (200, 206):
            storage = urlsplit(answer.url).netloc if answer.url != self.url else None
            why = answer.headers.get("X-Error-Message")  # of huggingface.co
            raise failed_status(answer.status, answer.headers, storage) or GenspotError(
                f"{self.url}: the server does not give this file out: it answers {answer.status}"
                + (f" ({why})" if why else "")
            )
        check_part(answer.headers, answer.status, offset, length, self.entry)
