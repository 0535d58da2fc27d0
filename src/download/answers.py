"""What an answer of a server says, and whether it is the part of the file that was asked for."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, urlsplit

import requests
import urllib3

from genspot.common.errors import GenspotError
from genspot.download.patience import Patience, TryFailedError
from genspot.download.table import FileEntry

UNSIGNED_LIFETIME = 300.0  # seconds for which an address that does not say it is used
BUSY = (408, 425, 429)  # and all from 500 on
ENDED_EARLY = "the connection ended early"
# No request is left for t seconds.
RATE_LIMIT = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})\b")
RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")
PINNED = re.compile(r"/resolve/([0-9a-f]{40})/")
SHA256 = re.compile(r"[0-9a-f]{64}")

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Linked:
    """What the hub says of a file beside the redirect to it; None: nothing."""

    commit: str | None
    sha256: str | None


def read_linked(headers: Headers, url: str, entry: FileEntry) -> Linked:
    """Return what `headers` say of the file.

    Raises:
        GenspotError: it is another file than that of the table.
    """
    commit = headers.get("X-Repo-Commit")
    pinned = PINNED.search(url)
    if commit and pinned and commit != pinned[1]:
        raise GenspotError(f"{url}: the server answers with revision {commit}, not the pinned one")
    size = headers.get("X-Linked-Size")
    if size and size != str(entry.size):
        raise _other_size(url, size, entry)
    sha256 = headers.get("X-Linked-ETag", "").strip('"')
    if not SHA256.fullmatch(sha256):
        return Linked(commit, None)
    if not sha256.startswith(entry.sha256 or ""):
        raise GenspotError(
            f"{url}: the server has a file of SHA-256 {sha256}, expected is {entry.sha256}"
        )
    return Linked(commit, sha256)


def check_part(headers: Headers, status: int, offset: int, length: int, entry: FileEntry) -> None:
    """Raise if an answer with status 200 or 206 is not the part that was asked for.

    Raises:
        TryFailedError: it is not.
        GenspotError: the file has another size.
    """
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise TryFailedError("a page (HTML) came instead of the file", few=True)
    encoding = headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise TryFailedError(
            f"the answer is compressed ({encoding}), against the request", few=True
        )
    if status == 200:
        expected = entry.size
        if offset:
            raise TryFailedError("the whole file came instead of a part of it", few=True)
    else:
        expected = length
        said = headers.get("Content-Range", "")
        found = RANGE.fullmatch(said.strip())
        wanted = (offset, offset + length - 1, entry.size)
        if found is None or tuple(map(int, found.groups())) != wanted:
            asked = "bytes {}-{}/{}".format(*wanted)
            raise TryFailedError(f"{asked} were asked for, the answer is {said!r}", few=True)
    stated = headers.get("Content-Length")
    if stated is not None and stated != str(expected):
        raise TryFailedError(f"{stated} bytes came instead of {expected}", few=True)


def failed_status(status: int, headers: Headers, storage: str | None) -> TryFailedError | None:
    """Return why an answer that has no bytes of the file may be tried again; None: it may not.

    Args:
        status: of the answer.
        headers: of the answer.
        storage: the server that the table's address redirects to; None: the answer is that of
            the table's address.
    """
    said = f"{storage or 'the server'} answers {status}"
    if status in BUSY or status >= 500:
        return TryFailedError(said, retry_after=retry_after(headers))
    if status == 416:
        return TryFailedError("the server's file has another size (416)", few=True)
    if storage or status < 400:
        return TryFailedError(said, few=True)
    return None


def retry_after(headers: Headers) -> float | None:
    """Return the seconds that a server asks to wait; None: it does not say.

    The headers are `Retry-After`, and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-09,
    which huggingface.co sends (docs "Hub Rate limits").
    """
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", said):
        return float(said)
    until = _date(said)
    if until is not None:
        return max(0.0, until - _now(headers))
    limit = RATE_LIMIT.search(headers.get("RateLimit", ""))
    return None if limit is None else float(limit[1]) + 1  # whole seconds, rounded down


def address_lifetime(url: str, headers: Headers) -> float:
    """Return for how many seconds an address may be used.

    Args:
        url: of a redirect; a signed one says when it expires.
        headers: of the redirect; its `Date` is that of the clock that signed.
    """
    query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
    try:
        if "X-Amz-Expires" in query:
            date = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
            end = date.replace(tzinfo=UTC).timestamp() + int(query["X-Amz-Expires"])
        else:
            end = float(int(query["Expires"]))
    except (KeyError, ValueError, OverflowError):
        return UNSIGNED_LIFETIME
    return end - _now(headers)


def failed_connection(error: Exception, patience: Patience) -> str:
    """Return in words why a request or the reading of its answer failed."""
    timeouts = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)
    if isinstance(error, timeouts):
        return f"no byte came for {patience.stall:g} s"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {patience.connect:g} s"
    cause = _cause(error)
    if isinstance(cause, http.client.IncompleteRead):
        return ENDED_EARLY
    words = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
    proxy = "the proxy: " if isinstance(error, requests.exceptions.ProxyError) else ""
    return proxy + " ".join(words.split()).rstrip(".")


def _cause(error: BaseException) -> BaseException:
    """Return the innermost error of one by requests, whose own text is long."""
    inner = [getattr(error, "reason", None), *reversed(error.args), error.__cause__]
    for candidate in inner:
        if isinstance(candidate, BaseException):
            return _cause(candidate)
    return error


def _other_size(url: str, size: str, entry: FileEntry) -> GenspotError:
    return GenspotError(f"{url}: the server's file has {size} bytes, expected are {entry.size}")


def _now(headers: Headers) -> float:
    return _date(headers.get("Date", "")) or time.time()


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
