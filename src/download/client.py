"""Connections to servers, with the proxies and certificates of the environment."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from contextlib import suppress
from urllib.parse import urlsplit

import requests
import urllib3

import genspot
from genspot.common.errors import GenspotError
from genspot.download.answers import failed_connection
from genspot.download.patience import (
    DEFAULT_PATIENCE,
    Patience,
    TransferStoppedError,
    TryFailedError,
)

HUB = "https://huggingface.co/"
NOTICE_SECONDS = 60.0  # before the same is logged again
PERMANENT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)

log = logging.getLogger(__name__)


def server_address(url: str) -> str:
    """Return `url`, at HF_ENDPOINT where that is set and `url` is one of huggingface.co.

    Raises:
        GenspotError: HF_ENDPOINT is no http address.
    """
    endpoint = os.environ.get("HF_ENDPOINT", "").strip()
    if not endpoint or not url.startswith(HUB):
        return url
    if not re.match(r"https?://[^\s/]", endpoint):
        raise GenspotError(f"HF_ENDPOINT={endpoint}: write an address such as https://HOST")
    return f"{endpoint.rstrip('/')}/{url.removeprefix(HUB)}"


class Answer:
    """An answer whose body is still to be read; closes it as a context."""

    def __init__(
        self, client: Client, url: str, session: requests.Session, response: requests.Response
    ) -> None:
        self.client = client
        self.url = url
        self.session = session
        self.response = response
        self.status = response.status_code
        self.headers = response.headers
        self.location = session.get_redirect_target(response)  # None: it is no redirect

    def read(self, limit: int) -> bytes:
        """Return the next bytes of the body as they were sent, at most `limit`; b"" at its end.

        Raises:
            TryFailedError: the connection ended or stalls.
            TransferStoppedError: see `Client.cancel`.
        """
        try:
            data: bytes = self.response.raw.read1(limit, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self.client.raise_if_stopped()
            raise TryFailedError(failed_connection(error, self.client.patience)) from error
        self.client.raise_if_stopped()
        return data

    def finish(self) -> None:
        """Read the end of a body whose bytes have all been read, to keep the connection."""
        self.response.raw.drain_conn()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.release(self)


class Client:
    """Connections to servers, through the proxies of the environment; closes them as a context.

    Args:
        patience: see `Patience`.

    Attributes:
        stop: set when reads are to end; `cancel` sets it and also ends those that wait for bytes.
        requests: number of requests sent.
        received: bytes of files that arrived; before the first, a missing connection is no outage
            that is waited for: there may be no network, or a firewall before the storage servers.
    """

    def __init__(self, patience: Patience = DEFAULT_PATIENCE) -> None:
        self.patience = patience
        self.stop = threading.Event()
        self.requests = 0
        self.received = 0
        self._idle: deque[requests.Session] = deque()  # a session serves one thread at a time
        self._answers: set[Answer] = set()
        self._noticed: dict[str, float] = {}
        self._lock = threading.Lock()

    def get(self, url: str, headers: dict[str, str]) -> Answer:
        """Send a request and return the answer, which may be a redirect.

        Raises:
            TryFailedError: there is no answer.
            TransferStoppedError: see `cancel`.
            GenspotError: the address is wrong, or the server's certificate.
        """
        self.raise_if_stopped()
        session = self._take_session()
        with self._lock:
            self.requests += 1
        try:
            response = session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(self.patience.connect, self.patience.stall),
            )
        except OSError as error:  # RequestException is one
            self._idle.append(session)
            raise self._failed(url, error) from error
        except ValueError as error:  # of a redirect, which requests reads at once
            self._idle.append(session)
            raise TryFailedError(f"it redirects to no address: {error}", few=True) from error
        answer = Answer(self, url, session, response)
        with self._lock:
            self._answers.add(answer)
        return answer

    def release(self, answer: Answer) -> None:
        """Close an answer."""
        with self._lock:
            self._answers.discard(answer)
        answer.response.close()
        self._idle.append(answer.session)

    def count(self, received: int) -> None:
        """Count bytes of a file that arrived."""
        with self._lock:
            self.received += received

    def notice(self, text: str) -> None:
        """Log a warning, unless the same text was logged within the last minute."""
        now = time.monotonic()
        with self._lock:
            if now - self._noticed.get(text, -NOTICE_SECONDS) < NOTICE_SECONDS:
                return
            self._noticed[text] = now
        log.warning("%s", text)

    def cancel(self) -> None:
        """End all reads soon, from any thread: they raise `TransferStoppedError`.

        A request without an answer yet ends after `Patience.stall` seconds at most.
        """
        self.stop.set()
        with self._lock:
            answers = list(self._answers)
        for answer in answers:
            with suppress(ValueError, RuntimeError, OSError):  # it has ended meanwhile
                answer.response.raw.shutdown()

    def raise_if_stopped(self) -> None:
        """Raise `TransferStoppedError` after `cancel`."""
        if self.stop.is_set():
            raise TransferStoppedError("the transfer was stopped")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        while self._idle:
            self._idle.pop().close()

    def _take_session(self) -> requests.Session:
        try:
            return self._idle.pop()
        except IndexError:
            session = requests.Session()
            session.headers["User-Agent"] = f"genspot/{genspot.__version__}"
            session.headers["Accept-Encoding"] = "identity"  # the bytes as the table knows them
            return session

    def _failed(self, url: str, error: OSError) -> Exception:
        reason = failed_connection(error, self.patience)
        if isinstance(error, PERMANENT) or not isinstance(error, requests.RequestException):
            return GenspotError(f"{url}: {reason}")
        if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" in reason:
            return GenspotError(
                f"{urlsplit(url).hostname}: {reason}; name the certificates of your network in "
                "REQUESTS_CA_BUNDLE"
            )
        return TryFailedError(f"{urlsplit(url).netloc}: {reason}", few=not self.received)
