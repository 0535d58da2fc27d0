"""Photos in the body of a request."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from genspot.common.uploads import UploadedPhoto
from genspot.server.errors import RequestError
from genspot.server.limits import Limits
from genspot.server.uploads import declared_size, read_photos, shown_name

CONTENT = bytes(range(256)) * 8 + b"\r\n--almost a boundary\r\n\r\n--"


def request(parts: list[bytes], content_type: str, **headers: str) -> Request:
    """Return a request whose body arrives in `parts`."""
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        + [{"type": "http.request", "body": b"", "more_body": False}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    pairs = {"content-type": content_type, **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


def form(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """Return a form with files, and its content type, as httpx makes them."""
    parts = [("photo", (name, content, "image/jpeg")) for name, content in files]
    # A boundary of its own would differ between the processes that collect the tests.
    headers = {"Content-Type": "multipart/form-data; boundary=0123456789abcdef"}
    made = httpx.Request("POST", "http://x", files=parts, headers=headers)
    return made.read(), made.headers["content-type"]


def read(asked: Request, name: str | None = None, **limits: int) -> list[UploadedPhoto]:
    return asyncio.run(read_photos(asked, Limits(**limits), name))


def refusal(asked: Request, **limits: int) -> tuple[int, str]:
    with pytest.raises(RequestError) as error:
        read(asked, **limits)
    return error.value.status, error.value.code


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1000, 10**6])
def test_form_is_read_alike_however_it_is_cut(step: int) -> None:
    body, content_type = form(("a.jpg", CONTENT), ("b ü.png", b""), ("c.gif", b"\0" * 5000))
    parts = [body[start : start + step] for start in range(0, len(body), step)]
    photos = read(request(parts, content_type))
    assert photos == [("a.jpg", CONTENT), ("b ü.png", b""), ("c.gif", b"\0" * 5000)]


@pytest.mark.parametrize("content_type", ["image/jpeg", "IMAGE/PNG", "application/octet-stream"])
def test_body_that_is_a_photo_is_read_as_it_is(content_type: str) -> None:
    parts = [CONTENT[:100], b"", CONTENT[100:]]
    assert read(request(parts, content_type)) == [("photo", CONTENT)]
    assert read(request(parts, content_type), name="dir/a.png") == [("a.png", CONTENT)]


def test_photos_of_one_name_get_different_names() -> None:
    body, content_type = form(*[(name, b"x") for name in ("a", "a", "a (2)", "a", "b")])
    names = [photo.name for photo in read(request([body], content_type))]
    assert names[0] == "a"
    assert names[4] == "b"
    assert len(set(names)) == 5


def test_large_photos_are_not_written_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file is opened")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    large = bytes(5_000_000)
    body, content_type = form(("a.jpg", large))
    parts = [body[start : start + 65536] for start in range(0, len(body), 65536)]
    assert read(request(parts, content_type)) == [("a.jpg", large)]


def test_more_photos_than_allowed_are_refused_before_they_are_read() -> None:
    body, content_type = form(*[(f"{number}", b"x") for number in range(4)])
    assert len(read(request([body], content_type), max_photos=4)) == 4
    assert refusal(request([body], content_type), max_photos=3) == (413, "too_many_photos")


def test_body_without_a_declared_size_is_refused_at_the_limit() -> None:
    assert read(request([b"x" * 50, b"y" * 50], "image/png"), max_request_bytes=100)
    endless = request([b"x" * 50] * 1000, "image/png")
    assert refusal(endless, max_request_bytes=100) == (413, "too_large")
    remaining = asyncio.run(endless.receive())
    assert remaining["body"]  # the rest was not read


def test_declared_size_is_refused_before_the_body_arrives() -> None:
    limits = Limits(max_request_bytes=100)
    asked = request([], "image/png", **{"content-length": "100"})
    assert declared_size(asked, limits) == 100
    assert declared_size(request([], "image/png"), limits) == 100  # none: at most the limit
    with pytest.raises(RequestError) as error:
        declared_size(request([], "image/png", **{"content-length": "101"}), limits)
    assert error.value.status == 413


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "text/html", "application/x-www-form-urlencoded", "image", "image/"],
)
def test_other_kinds_of_bodies_are_refused(content_type: str) -> None:
    with pytest.raises(RequestError, match="send the photo itself") as error:
        declared_size(request([], content_type), Limits())
    assert (error.value.status, error.value.code) == (415, "unsupported_type")


def test_body_in_chunks_has_the_largest_size_whatever_content_length_says() -> None:
    headers = {"content-length": "1", "transfer-encoding": "chunked"}
    limits = Limits(max_request_bytes=1000)
    assert declared_size(request([], "image/png", **headers), limits) == 1000
    assert declared_size(request([], "image/png", **{"content-length": "1"}), limits) == 1


def test_forms_that_are_refused_leave_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    refusal(request([b"no form at all"], TYPE))
    assert not caplog.records


def test_photos_that_arrive_too_slowly_are_refused() -> None:
    async def run() -> None:
        asked = request([], "image/png")
        asked._receive = lambda: asyncio.sleep(60)  # type: ignore[assignment]
        await read_photos(asked, Limits(upload_seconds=0), None)

    with pytest.raises(RequestError) as error:
        asyncio.run(run())
    assert (error.value.status, error.value.code) == (408, "too_slow")


BODY, TYPE = form(("a.jpg", b"content"))
BOUNDARY = re.search(rb"boundary=(\w+)", TYPE.encode())[1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (BODY[:-10], TYPE, "invalid_form"),  # cut
        (BODY[: len(BODY) // 2], TYPE, "invalid_form"),
        (b"", TYPE, "invalid_form"),
        (b"no form at all", TYPE, "invalid_form"),
        (BODY, "multipart/form-data", "invalid_form"),
        (BODY, "multipart/form-data; boundary=other", "invalid_form"),
        (BODY, "multipart/form-data; boundary=" + "a" * 300, "invalid_form"),
        (BODY.replace(b'; filename="a.jpg"', b""), TYPE, "unknown_field"),
        (BODY.replace(b"Content-Disposition", b"Content-Else"), TYPE, "unknown_field"),
        (BODY.replace(b"Content-Type", b"X-" + b"a" * 10_000), TYPE, "invalid_form"),
        (b"--" + BOUNDARY + b"--\r\n", TYPE, "no_photo"),
        (*form(("a.jpg", b"")), "no_photo"),
        (b"", "image/png", "no_photo"),
    ],
)
def test_broken_forms_and_empty_bodies_are_refused(
    body: bytes, content_type: str, code: str
) -> None:
    assert refusal(request([body], content_type)) == (422, code)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.jpg", "a.jpg"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x.png", "x.png"),
        ("", "photo"),
        ("dir/", "photo"),
        ("a\nb\x1b[2J.png", r"a\nb\x1b[2J.png"),
        ("ü" * 300, "ü" * 200),
    ],
)
def test_shown_name_is_one_printable_line(name: str, shown: str) -> None:
    assert shown_name(name) == shown
