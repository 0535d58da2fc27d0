"""Whole files: fetched in chunks, resumed, verified."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genspot.common.errors import GenspotError
from genspot.download import whole_file
from genspot.download.client import Client
from genspot.download.locks import lock
from genspot.download.patience import Patience
from genspot.download.progress import Progress
from genspot.download.remote import RemoteFile
from genspot.download.whole_file import fetch_file, is_verified, missing_bytes
from helpers.download_faults import FOREVER, answer, flip, stall
from helpers.download_servers import Servers, published_files
from helpers.errors import error_of

CHUNK = 1000
DATA = random.Random(0).randbytes(10 * CHUNK + 123)  # eleven chunks
DIGEST = hashlib.sha256(DATA).hexdigest()
NAME = "weights.pth"
PATIENCE = Patience(connect=1, stall=0.3, first_wait=0.01, longest_wait=0.02, total=0.5, tries=3)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_file, "CHUNK", CHUNK)


@pytest.fixture
def servers() -> Iterator[Servers]:
    with published_files({NAME: DATA}) as running:
        yield running


def fetch(servers: Servers, path: Path, connections: int = 2, **changes: Any) -> Progress:
    """Fetch the file and return the progress."""
    entry = servers.entry(NAME, **changes)
    with Client(PATIENCE) as client, Progress(NAME, entry.size, quiet=True) as progress:
        fetch_file(RemoteFile(client, entry, progress), path, progress, connections)
    return progress


def part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def journal(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.chunks")


def interrupt(servers: Servers, path: Path, chunks: int) -> None:
    """Leave what a killed process leaves that has fetched `chunks` of the file."""
    servers.faults.add(answer(404, times=FOREVER, skip=chunks))
    with pytest.raises(GenspotError):
        fetch(servers, path, connections=1)
    servers.faults.waiting.clear()
    servers.forget()
    assert part(path).exists() == journal(path).exists() == (chunks > 0)
    assert not path.exists()


def test_fetch_file_leaves_the_file_alone(servers: Servers, tmp_path: Path) -> None:
    path = tmp_path / "new" / NAME
    progress = fetch(servers, path)
    assert path.read_bytes() == DATA
    assert progress.arrived == progress.checked == len(DATA)
    assert servers.served() == len(DATA)
    assert {file.name for file in path.parent.iterdir()} == {NAME, f"{NAME}.lock"}


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_fetch_file_of_any_length_is_the_file(size: int, tmp_path: Path) -> None:
    with published_files({NAME: DATA[:size]}) as servers:
        fetch(servers, tmp_path / NAME, connections=4)
    assert (tmp_path / NAME).read_bytes() == DATA[:size]


@pytest.mark.parametrize("chunks", [0, 1, 5, 10])
def test_fetch_file_continues_what_was_interrupted(
    chunks: int, servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    interrupt(servers, path, chunks)
    assert missing_bytes(path, len(DATA), DIGEST) == len(DATA) - chunks * CHUNK
    fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() == len(DATA) - chunks * CHUNK
    assert not part(path).exists() and not journal(path).exists()


def test_fetch_file_continues_at_another_place(servers: Servers, tmp_path: Path) -> None:
    """As on another machine, with the two files alone."""
    here, there = tmp_path / "here" / NAME, tmp_path / "there" / NAME
    here.parent.mkdir()
    there.parent.mkdir()
    interrupt(servers, here, 7)
    for file in (part, journal):
        file(there).write_bytes(file(here).read_bytes())
    fetch(servers, there)
    assert there.read_bytes() == DATA
    assert servers.served() == len(DATA) - 7 * CHUNK


def test_fetch_file_after_an_incomplete_line_of_the_journal_fetches_its_chunk(
    servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    interrupt(servers, path, 4)
    text = journal(path).read_text()
    journal(path).write_text(text[:-3])
    fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() == len(DATA) - 3 * CHUNK


@pytest.mark.parametrize("garbage", [b"", b"\xff\x00", b"{", b"[]\n1 00000000\n", b"null\n"])
def test_fetch_file_with_a_damaged_journal_starts_from_the_beginning(
    garbage: bytes, servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    interrupt(servers, path, 4)
    journal(path).write_bytes(garbage)
    fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() == len(DATA)


@pytest.mark.parametrize("line", ["99 00000000", "-1 00000000", "1", "x y", "5 1234567g"])
def test_fetch_file_ignores_lines_of_the_journal_that_are_none(
    line: str, servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    interrupt(servers, path, 2)
    with journal(path).open("a") as file:
        file.write(f"{line}\n")
    fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() == len(DATA) - 2 * CHUNK


def test_fetch_file_does_not_continue_another_file(servers: Servers, tmp_path: Path) -> None:
    path = tmp_path / NAME
    interrupt(servers, path, 6)
    servers.files[NAME] = DATA[::-1]  # of the same length
    fetch(servers, path)
    assert path.read_bytes() == DATA[::-1]
    assert servers.served() == len(DATA)


def test_fetch_file_without_its_part_starts_from_the_beginning(
    servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    interrupt(servers, path, 6)
    part(path).unlink()
    fetch(servers, path)
    assert path.read_bytes() == DATA


def test_fetch_file_fetches_a_flipped_byte_of_an_earlier_chunk_again(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / NAME
    interrupt(servers, path, 6)
    content = bytearray(part(path).read_bytes())
    content[2 * CHUNK + 7] ^= 1
    part(path).write_bytes(content)
    fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() == len(DATA) - 5 * CHUNK  # the five that were missing, and one
    assert "chunks damaged on the disk: 1" in caplog.text


def test_fetch_file_fetches_wrong_bytes_of_the_server_once_more(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    servers.faults.add(flip(3 * CHUNK + 5))
    path = tmp_path / NAME
    progress = fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() == 2 * len(DATA)
    assert progress.checked == len(DATA)
    assert "has another SHA-256: fetched once more" in caplog.text


def test_fetch_file_of_a_server_with_another_file_names_both_hashes(
    servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    wrong = DIGEST[::-1]
    url = servers.dropbox_url(NAME)  # which says no hash itself
    message = error_of(lambda: fetch(servers, path, url=url, sha256=wrong))
    assert f"has the SHA-256 {DIGEST}, also when fetched once more" in message
    assert f"expected is {wrong}" in message
    assert [file.name for file in tmp_path.iterdir()] == [f"{NAME}.lock"]


def test_fetch_file_with_the_first_digits_of_a_hash_accepts_the_file(
    servers: Servers, tmp_path: Path
) -> None:
    url = servers.dropbox_url(NAME)
    fetch(servers, tmp_path / "right", url=url, sha256=DIGEST[:8])
    assert (tmp_path / "right").read_bytes() == DATA
    message = error_of(lambda: fetch(servers, tmp_path / "wrong", url=url, sha256="0" * 8))
    assert "expected is 00000000" in message


def test_fetch_file_takes_an_unknown_hash_from_the_server(
    servers: Servers, tmp_path: Path
) -> None:
    servers.faults.add(flip(5))
    fetch(servers, tmp_path / NAME, sha256=None)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert servers.served() > 2 * len(DATA)  # it was compared with what the server names


def test_fetch_file_that_is_there_asks_for_nothing(servers: Servers, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    fetch(servers, path)
    assert not servers.requests


def test_fetch_file_leaves_another_file_in_its_place(servers: Servers, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA[::-1])
    message = error_of(lambda: fetch(servers, path))
    assert f"{path} has the SHA-256 {hashlib.sha256(DATA[::-1]).hexdigest()}" in message
    assert f"expected is {DIGEST}" in message
    assert path.read_bytes() == DATA[::-1]
    assert not servers.requests


def test_fetch_file_waits_for_another_process_and_finds_its_file(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / NAME
    caplog.set_level("INFO")
    with lock(path.with_name(f"{NAME}.lock"), path):
        waiting = threading.Thread(target=fetch, args=(servers, path), daemon=True)
        waiting.start()
        deadline = time.monotonic() + 10
        while "waiting until it has ended" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        path.write_bytes(DATA)
    waiting.join(10)
    assert not waiting.is_alive()
    assert not servers.requests


def test_fetch_file_by_several_threads_at_once_fetches_it_once(
    servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    threads = [threading.Thread(target=fetch, args=(servers, path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert path.read_bytes() == DATA
    assert servers.served() == len(DATA)


def test_fetch_file_on_a_full_disk_keeps_what_was_fetched(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / NAME, os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset >= 6 * CHUNK:
            raise OSError(28, "No space left on device")
        return write(descriptor, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(GenspotError, match=f"{path}: no space left.*; what is complete stays"):
            fetch(servers, path, connections=1)
    servers.forget()
    fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() <= len(DATA) - 6 * CHUNK


def test_fetch_file_on_a_disk_that_writes_less_at_once_writes_all(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:77], at))
    fetch(servers, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_fetch_file_on_a_disk_that_loses_what_is_written_ends(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: len(data))
    message = error_of(lambda: fetch(servers, tmp_path / NAME))
    assert "does not keep what is written to it: check the disk" in message


def test_fetch_file_that_a_signal_stops_ends_soon_and_continues(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both connections wait for a server that stalls, and would for a minute."""

    class StoppedError(BaseException):
        pass

    def stop(*_: object) -> None:
        raise StoppedError

    caplog.set_level("INFO")
    path, entry = tmp_path / NAME, servers.entry(NAME)
    servers.faults.add(stall(times=FOREVER, skip=3))
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    started = time.monotonic()
    try:
        with (
            pytest.raises(StoppedError),
            Client(Patience(stall=60, total=60)) as client,
            Progress(NAME, entry.size, quiet=True) as progress,
        ):
            fetch_file(RemoteFile(client, entry, progress), path, progress, connections=2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 10
    assert f"{part(path)} keeps 3 of 11 chunks for the next run" in caplog.messages
    servers.faults.waiting.clear()
    servers.forget()
    fetch(servers, path)
    assert path.read_bytes() == DATA
    assert servers.served() == len(DATA) - 3 * CHUNK


def test_is_verified_of_a_missing_file_is_false(tmp_path: Path) -> None:
    assert not is_verified(tmp_path / NAME, len(DATA), DIGEST)


@pytest.mark.parametrize("expected", [DIGEST, DIGEST[:8]])
def test_is_verified_of_the_right_file_is_true(expected: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(DATA)
    assert is_verified(tmp_path / NAME, len(DATA), expected)
    assert [file.name for file in tmp_path.iterdir()] == [NAME]  # nothing is remembered of it


def test_is_verified_of_another_file_names_what_was_found_and_expected(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA[:-1] + b"\0")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    message = error_of(is_verified, path, len(DATA), DIGEST)
    assert message == (
        f"{path} has the SHA-256 {found}, expected is {DIGEST}: remove it or move it away, and "
        "it is downloaded again"
    )


def test_is_verified_of_a_file_of_another_size_names_both(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    message = error_of(is_verified, path, 12_345_678, DIGEST)
    assert message.startswith(f"{path} has 10,123 bytes, expected are 12,345,678: remove it")


def test_is_verified_of_a_folder_raises(tmp_path: Path) -> None:
    assert error_of(is_verified, tmp_path, 1, DIGEST).startswith(f"{tmp_path} is no file")


def test_is_verified_reads_a_large_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    monkeypatch.setattr(whole_file, "LARGE", 1)
    assert is_verified(path, len(DATA), DIGEST)
    record = json.loads((tmp_path / f"{NAME}.verified").read_text())
    assert record["sha256"] == DIGEST and record["bytes"] == len(DATA)
    status = path.stat()
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # unseen without a second reading
    assert is_verified(path, len(DATA), DIGEST)
    assert "expected is" in error_of(is_verified, path, len(DATA), DIGEST, True)
    os.utime(path, ns=(0, 0))
    assert "expected is" in error_of(is_verified, path, len(DATA), DIGEST)


def test_is_verified_does_not_take_what_is_remembered_of_another_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    monkeypatch.setattr(whole_file, "LARGE", 1)
    assert is_verified(path, len(DATA), DIGEST)
    assert "expected is 0000" in error_of(is_verified, path, len(DATA), "0" * 64)


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"bytes": 1}', "\0"])
def test_is_verified_with_a_damaged_record_reads_the_file(
    record: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA[::-1])
    monkeypatch.setattr(whole_file, "LARGE", 1)
    (tmp_path / f"{NAME}.verified").write_text(record)
    assert "expected is" in error_of(is_verified, path, len(DATA), DIGEST)


def test_is_verified_without_a_known_hash_takes_only_what_was_verified_before(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    assert not is_verified(path, len(DATA), None)
    monkeypatch.setattr(whole_file, "LARGE", 1)
    fetch(servers, path, sha256=None)  # asks the server for the hash alone
    assert servers.served() <= 1
    assert is_verified(path, len(DATA), None)
