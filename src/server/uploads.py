"""Photos in the body of a request: in memory, never on disk."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from genspot.common.text import printable
from genspot.common.uploads import UploadedPhoto
from genspot.server.errors import RequestError
from genspot.server.limits import Limits, too_large

MAX_NAME = 200  # characters
MULTIPART = "multipart/form-data"
RAW = re.compile(r"image/[\w.+-]+|application/octet-stream")
# The parser logs each form that it refuses: clients could fill the disk.
logging.getLogger("python_multipart").setLevel(logging.ERROR)
HOW_TO_SEND = (
    "send the photo itself, with Content-Type: image/jpeg or application/octet-stream, or photos "
    "as files of a form, multipart/form-data"
)


def declared_size(request: Request, limits: Limits) -> int:
    """Return the bytes of a request's body at most.

    Raises:
        RequestError: they are more than is allowed, or the body has no kind that is read.
    """
    if not is_form(request) and not RAW.fullmatch(_content_type(request)):
        kind = _content_type(request) or "a body without Content-Type"
        raise RequestError(415, "unsupported_type", f"{kind} is not read: {HOW_TO_SEND}")
    # A body in chunks may be of any length, whatever Content-Length says beside them.
    in_chunks = "transfer-encoding" in request.headers
    declared = "" if in_chunks else request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else limits.max_request_bytes
    if size > limits.max_request_bytes:
        raise too_large(limits.max_request_bytes)
    return size


async def read_photos(request: Request, limits: Limits, name: str | None) -> list[UploadedPhoto]:
    """Return the photos in the body of a request, with different names.

    Args:
        request: whose body is not yet read.
        limits: of its bytes, photos and seconds.
        name: of the photo where the body is the photo itself.

    Raises:
        RequestError: too many bytes or photos, none, too slow, or no form.
    """
    body = _Form(request, limits) if is_form(request) else _Raw(name)
    received = 0
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > limits.max_request_bytes:
                    raise too_large(limits.max_request_bytes)
                body.write(chunk)
    except TimeoutError:
        raise RequestError(
            408,
            "too_slow",
            f"the photos took longer than {limits.upload_seconds} s to arrive "
            "(task.upload_seconds): send fewer at once",
        ) from None
    except ClientDisconnect:
        raise RequestError(400, "incomplete", "the client ended before the photos") from None
    photos = body.photos()
    if not any(photo.content for photo in photos):
        raise RequestError(422, "no_photo", f"there is no photo in the request: {HOW_TO_SEND}")
    return _with_different_names(photos)


def shown_name(name: str) -> str:
    """Return the last part of a file's name, as one printable line."""
    last = re.split(r"[/\\]", name.strip())[-1]
    return printable(last)[-MAX_NAME:] or "photo"


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_form(request: Request) -> bool:
    """Return whether the body of a request is a form with files."""
    return _content_type(request) == MULTIPART


def _with_different_names(photos: list[UploadedPhoto]) -> list[UploadedPhoto]:
    """Return `photos`, of which those with the name of an earlier one have a number too."""
    seen: Counter[str] = Counter()
    named = []
    for photo in photos:
        name = photo.name
        while seen[name]:
            seen[photo.name] += 1
            name = f"{photo.name} ({seen[photo.name]})"
        seen[name] += 1
        named.append(photo._replace(name=name))
    return named


class _Raw:
    """A body that is a photo."""

    def __init__(self, name: str | None) -> None:
        self.name = shown_name(name or "")
        self.chunks: list[bytes] = []

    def write(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def photos(self) -> list[UploadedPhoto]:
        return [UploadedPhoto(self.name, b"".join(self.chunks))]


class _Form:
    """A body that is a form with files. Starlette's own parser would write large ones to disk."""

    def __init__(self, request: Request, limits: Limits) -> None:
        boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary")
        if not boundary:
            raise _not_a_form("Content-Type has no boundary; let the client write it")
        self.max_photos = limits.max_photos
        self.names: list[str] = []
        self.chunks: list[list[bytes]] = []
        self.header, self.value, self.disposition = b"", b"", b""
        self.complete = False
        try:
            self.parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:  # of its boundary
            raise _not_a_form(str(error)) from error

    def write(self, chunk: bytes) -> None:
        try:
            self.parser.write(chunk)
        except FormParserError as error:
            raise _not_a_form(str(error)) from error

    def photos(self) -> list[UploadedPhoto]:
        if not self.complete:
            raise _not_a_form("it ends before its last boundary")
        pairs = zip(self.names, self.chunks, strict=True)
        return [UploadedPhoto(name, b"".join(chunks)) for name, chunks in pairs]

    def _begin(self) -> None:
        self.header, self.value, self.disposition = b"", b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def _header_end(self) -> None:
        if self.header.lower() == b"content-disposition":
            self.disposition = self.value
        self.header, self.value = b"", b""

    def _headers_finished(self) -> None:
        options = parse_options_header(self.disposition)[1]
        if b"filename" not in options:
            field = printable(options.get(b"name", b"").decode("utf-8", "replace"))
            raise RequestError(
                422,
                "unknown_field",
                f"the form's field {field!r} is no file: settings such as fpr=0.01 are part of "
                "the address, behind ?",
            )
        if len(self.names) == self.max_photos:
            raise RequestError(
                413,
                "too_many_photos",
                f"more than {self.max_photos} photos in one request (task.max_photos): send "
                "several requests",
            )
        self.names.append(shown_name(options[b"filename"].decode("utf-8", "replace")))
        self.chunks.append([])

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.chunks[-1].append(data[start:end])

    def _end(self) -> None:
        self.complete = True


def _not_a_form(reason: str) -> RequestError:
    return RequestError(422, "invalid_form", f"the form cannot be read: {reason}")
