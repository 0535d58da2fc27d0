"""What answers of servers say."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from genspot.download.answers import (
    UNSIGNED_LIFETIME,
    address_lifetime,
    check_part,
    failed_status,
    read_linked,
    retry_after,
)
from genspot.download.patience import TryFailedError
from genspot.download.table import FileEntry
from helpers.errors import error_of

COMMIT = "f287cf3c3e92ca2e5451ce200bab8b6f5e0175b2"
URL = f"https://host/datasets/a/b/resolve/{COMMIT}/file"
SHA256 = "ab" * 32
ENTRY = FileEntry("file", URL, 1000, SHA256)
NOON = "Fri, 27 Nov 2026 12:00:00 GMT"


def test_read_linked_of_the_right_file_returns_its_commit_and_hash() -> None:
    headers = {"X-Repo-Commit": COMMIT, "X-Linked-Size": "1000", "X-Linked-ETag": f'"{SHA256}"'}
    linked = read_linked(headers, URL, ENTRY)
    assert (linked.commit, linked.sha256) == (COMMIT, SHA256)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-Repo-Commit": "0" * 40}, "revision 000"),
        ({"X-Linked-Size": "999"}, "has 999 bytes, expected are 1000"),
        ({"X-Linked-ETag": f'"{"cd" * 32}"'}, f"expected is {SHA256}"),
    ],
)
def test_read_linked_of_another_file_raises_one_line(headers: dict[str, str], words: str) -> None:
    assert words in error_of(read_linked, headers, URL, ENTRY)


@pytest.mark.parametrize("tag", [f'W/"{SHA256}"', '"0123456789"', ""])
def test_read_linked_of_another_kind_of_etag_knows_no_hash(tag: str) -> None:
    assert read_linked({"X-Linked-ETag": tag}, URL, ENTRY).sha256 is None


def test_read_linked_of_a_hash_known_in_part_compares_that_part() -> None:
    headers = {"X-Linked-ETag": f'"{SHA256}"'}
    entry = FileEntry("file", URL, 1000, SHA256[:8])
    assert read_linked(headers, URL, entry).sha256 == SHA256
    other = FileEntry("file", URL, 1000, "12345678")
    assert "expected is 12345678" in error_of(read_linked, headers, URL, other)


def test_read_linked_of_a_branch_accepts_any_commit() -> None:
    linked = read_linked({"X-Repo-Commit": COMMIT}, "https://host/a/b/resolve/main/file", ENTRY)
    assert linked.commit == COMMIT


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 100-149/1000"},
        {"Content-Range": "bytes 100-149/1000", "Content-Length": "50"},
        {"Content-Range": "bytes 100-149/1000", "Content-Encoding": "identity"},
    ],
)
def test_check_part_of_the_right_part_accepts_it(headers: dict[str, str]) -> None:
    check_part(headers, 206, 100, 50, ENTRY)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {}),
        (206, {"Content-Range": "bytes 101-150/1000"}),
        (206, {"Content-Range": "bytes 100-148/1000"}),
        (206, {"Content-Range": "bytes 100-150/1000"}),
        (206, {"Content-Range": "bytes 100-149/1001"}),
        (206, {"Content-Range": "bytes 100-149/*"}),
        (206, {"Content-Range": f"bytes 100-149/{'9' * 5000}"}),
        (206, {"Content-Range": "items 100-149/1000"}),
        (206, {"Content-Type": "multipart/byteranges; boundary=x"}),
        (206, {"Content-Range": "bytes 100-149/1000", "Content-Length": "49"}),
        (206, {"Content-Range": "bytes 100-149/1000", "Content-Encoding": "gzip"}),
        (206, {"Content-Range": "bytes 100-149/1000", "Content-Type": "text/html"}),
        (200, {"Content-Length": "1000"}),
        (200, {"Content-Type": "Text/HTML; charset=utf-8"}),
    ],
)
def test_check_part_of_anything_else_refuses_it(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(TryFailedError) as error:
        check_part(headers, status, 100, 50, ENTRY)
    assert error.value.few


def test_check_part_of_the_whole_file_accepts_it_only_from_its_start() -> None:
    check_part({"Content-Length": "1000"}, 200, 0, 50, ENTRY)
    with pytest.raises(TryFailedError):
        check_part({"Content-Length": "998"}, 200, 0, 50, ENTRY)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 522])
def test_failed_status_of_a_busy_server_may_be_tried_often(status: int) -> None:
    failed = failed_status(status, {"Retry-After": "7"}, None)
    assert failed is not None
    assert (failed.few, failed.retry_after) == (False, 7)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_failed_status_of_a_refusal_is_final_except_of_a_redirected_address(status: int) -> None:
    assert failed_status(status, {}, None) is None
    failed = failed_status(status, {}, "storage.example")
    assert failed is not None
    assert failed.few
    assert failed.reason == f"storage.example answers {status}"


def test_retry_after_of_a_date_counts_from_the_servers_clock() -> None:
    assert retry_after({"Retry-After": "Fri, 27 Nov 2026 12:02:30 GMT", "Date": NOON}) == 150
    assert retry_after({"Retry-After": "Fri, 27 Nov 2026 11:00:00 GMT", "Date": NOON}) == 0
    without_date = {"Retry-After": formatdate(time.time() + 60, usegmt=True)}
    assert retry_after(without_date) == pytest.approx(60, abs=5)


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ('"resolvers";r=0;t=55', 56),
        ('"api"; r = 0; t = 0', 1),
        ('"resolvers";r=2999;t=172', None),
        ('"resolvers";r=10;t=5', None),
        ("limit=100, remaining=0, reset=50", None),
        (f'"api";r=0;t={"9" * 400}', None),
    ],
)
def test_retry_after_of_a_rate_limit_is_the_end_of_its_window(
    limit: str, seconds: float | None
) -> None:
    assert retry_after({"RateLimit": limit}) == seconds
    assert retry_after({"RateLimit": limit, "Retry-After": "7"}) == 7


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-5", "1.5 minutes", "\xb2", "9" * 400, "Fri, 27 Nov 99999999999 12:00:00 GMT"],
)
def test_retry_after_of_anything_else_is_unknown(text: str) -> None:
    assert retry_after({"Retry-After": text}) is None
    assert retry_after({"Retry-After": "7", "Date": text}) == 7


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("X-Amz-Date=20261127T115000Z&X-Amz-Expires=3600&X-Amz-Signature=0", 3000),
        ("X-Amz-Date=20261127T100000Z&X-Amz-Expires=3600", -3600),
        ("Expires=1795781700&Signature=x&Key-Pair-Id=y", 900),  # 12:15 UTC
        ("X-Amz-Expires=3600", UNSIGNED_LIFETIME),
        ("X-Amz-Date=today&X-Amz-Expires=3600", UNSIGNED_LIFETIME),
        ("Expires=never", UNSIGNED_LIFETIME),
        (f"Expires={'9' * 400}", UNSIGNED_LIFETIME),
        (f"X-Amz-Date=20261127T115000Z&X-Amz-Expires={'9' * 400}", UNSIGNED_LIFETIME),
        ("", UNSIGNED_LIFETIME),
    ],
)
def test_address_lifetime_is_that_of_the_signature(query: str, seconds: float) -> None:
    assert address_lifetime(f"https://cdn/file?{query}", {"Date": NOON}) == seconds


def test_address_lifetime_without_a_date_uses_this_machines_clock() -> None:
    url = f"https://cdn/file?Expires={int(time.time()) + 100}"
    assert address_lifetime(url, {}) == pytest.approx(100, abs=5)
