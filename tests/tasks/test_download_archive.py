"""The files of an archive: those that are there come before those of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from genspot.download.client import Client
from genspot.download.patience import Patience
from genspot.download.progress import Progress
from genspot.download.table import Archive
from genspot.tasks.download_archive import ArchiveFiles
from helpers.archives import STORED, cut, seven_zip_bytes, zip_bytes
from helpers.download_servers import Servers, published_files
from helpers.errors import error_of
from helpers.published_release import random_members

MEMBERS = random_members(("car", "cat"), 4, 20_000)
ZIP = zip_bytes(MEMBERS, STORED, folders=False)
FILES = cut(seven_zip_bytes(ZIP), "mini.7z")
FAST = Patience(connect=2, stall=2, first_wait=0.01, longest_wait=0.05, total=2)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with published_files(FILES) as servers:
        yield servers


@pytest.fixture
def archive(servers: Servers) -> Archive:
    files = tuple(servers.entry(name) for name in FILES)
    about = ("mini images", files, "none", "https://example.org")
    return Archive("mini", *about, split="train", wrapper="7z", classes=("car", "cat"))


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(FAST) as client:
        yield client


def read(files: ArchiveFiles) -> bytes:
    source = files.source()
    return source.read(0, source.size)


def test_volumes_of_the_server_hold_the_archive_that_was_stored(
    archive: Archive, client: Client, tmp_path: Path
) -> None:
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    assert read(files) == ZIP
    assert set(files.directory().table["name"].to_pylist()) == set(MEMBERS)


@pytest.mark.parametrize("there", [["001"], ["002", "005"], ["007"], list("1234567")])
def test_volumes_that_are_there_are_not_asked_of_the_server(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers, there: list[str]
) -> None:
    names = [name for name in FILES if name.endswith(tuple(there))]
    for name in names:
        (tmp_path / name).write_bytes(FILES[name])
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    assert read(files) == ZIP
    assert not {request.name for request in servers.requests}.intersection(names)
    files.close()


def test_progress_counts_bytes_of_the_disk_and_of_the_server(
    archive: Archive, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "mini.7z.004").write_bytes(FILES["mini.7z.004"])
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    with Progress("mini", len(ZIP), quiet=True) as progress:
        files.source(progress).read(0, len(ZIP))
    assert progress.arrived == len(ZIP)


def test_bytes_of_members_are_those_of_volumes_that_are_not_there(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers
) -> None:
    local = "mini.7z.006"
    (tmp_path / local).write_bytes(FILES[local])
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    members = files.directory()
    # All members of the ZIP file lie one behind another, after 32 bytes of the first volume.
    end = max(members.table["end"].to_pylist()) + 32
    ends = [sum(len(data) for data in list(FILES.values())[:n]) for n in range(8)]
    expected = sum(
        max(0, min(end, ends[n + 1]) - max(32, ends[n]))
        for n, name in enumerate(FILES)
        if name != local
    )
    assert files.bytes_of(members) == expected
    assert files.bytes_of_whole() == sum(map(len, FILES.values())) - len(FILES[local])


def test_fetched_files_are_used_and_removed(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers
) -> None:
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    with Progress("mini", files.bytes_of_whole(), quiet=True) as progress:
        files.fetch(progress)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    servers.forget()
    assert read(files) == ZIP and servers.served() == 0 and files.remote == []
    files.remove()
    assert not set(FILES).intersection(path.name for path in tmp_path.iterdir())


def test_known_directory_needs_no_server_until_recheck(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers
) -> None:
    first = ArchiveFiles(archive, tmp_path, client, recheck=False).directory()
    servers.forget()
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    second = files.directory()
    assert second.table.equals(first.table)
    assert files.bytes_of(second) > 0 and servers.requests == []
    assert (
        ArchiveFiles(archive, tmp_path, client, recheck=True).directory().table.equals(first.table)
    )
    assert servers.requests


@pytest.mark.parametrize("content", ["", "[]", "{", '{"digest": 1}'])
def test_damaged_record_of_the_directory_is_read_from_the_archive(
    archive: Archive, client: Client, tmp_path: Path, content: str
) -> None:
    first = ArchiveFiles(archive, tmp_path, client, recheck=False).directory()
    record = tmp_path / "mini.json"
    right = record.read_text()
    record.write_text(content)
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    assert files.directory().table.equals(first.table)
    assert record.read_text() == right


@pytest.mark.parametrize("change", [{"start": 7}, {"size": 9}, {"directory": 5}, {"size": None}])
def test_record_of_the_directory_that_is_wrong_is_not_believed(
    archive: Archive, client: Client, tmp_path: Path, change: dict[str, object]
) -> None:
    first = ArchiveFiles(archive, tmp_path, client, recheck=False).directory()
    record = tmp_path / "mini.json"
    right = record.read_text()
    record.write_text(json.dumps(json.loads(right) | change))
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    assert files.directory().table.equals(first.table)
    assert read(files) == ZIP and record.read_text() == right


def test_directory_of_another_release_is_not_taken_for_this_one(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers
) -> None:
    ArchiveFiles(archive, tmp_path, client, recheck=False).directory()
    other = zip_bytes({name: data for name, data in MEMBERS.items() if "car" in name}, STORED)
    with published_files({"mini.zip": other}) as second:
        changed = replace(archive, files=(second.entry("mini.zip"),), wrapper=None)
        found = ArchiveFiles(changed, tmp_path, client, recheck=False).directory()
    assert len(found) == len(MEMBERS) / 2


def test_volume_with_another_content_is_named_with_both_hashes(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers
) -> None:
    data = bytearray(FILES["mini.7z.005"])
    data[7] ^= 1
    (tmp_path / "mini.7z.005").write_bytes(data)
    message = error_of(ArchiveFiles, archive, tmp_path, client, False)
    assert f"{tmp_path}/mini.7z.005 has the SHA-256 " in message
    assert servers.sha256("mini.7z.005") in message


def without_hash(archive: Archive, number: int) -> Archive:
    files = list(archive.files)
    files[number] = replace(files[number], sha256=None)
    return replace(archive, files=tuple(files))


def test_volume_of_an_unknown_hash_is_compared_with_that_of_the_server(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers
) -> None:
    (tmp_path / "mini.7z.003").write_bytes(b"\0" * len(FILES["mini.7z.003"]))
    message = error_of(ArchiveFiles, without_hash(archive, 2), tmp_path, client, False)
    assert servers.sha256("mini.7z.003") in message


def test_volume_of_an_unknown_hash_is_used_without_a_server_and_said(
    archive: Archive,
    client: Client,
    tmp_path: Path,
    servers: Servers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    servers.close()
    files = ArchiveFiles(without_hash(archive, 2), tmp_path, client, recheck=False)
    assert read(files) == ZIP
    assert "mini.7z.003 is used without its SHA-256" in caplog.text
    assert "CRC-32 of every image in it is compared" in caplog.text
    files.close()


def test_error_of_the_server_says_how_to_place_the_file_by_hand(
    archive: Archive, client: Client, tmp_path: Path, servers: Servers
) -> None:
    servers.close()
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    message = error_of(files.directory)
    entry = archive.files[0]
    assert message.endswith(
        f"; by hand: save {entry.url} as {tmp_path / entry.name} ({entry.size:,} bytes, SHA-256 "
        f"{entry.sha256}), and 6 more files of download/{archive.name}.yaml beside it"
    )
    files.close()
    for file in archive.files[:-1]:
        (tmp_path / file.name).write_bytes(FILES[file.name])
    files = ArchiveFiles(archive, tmp_path, client, recheck=False)
    assert error_of(files.directory).endswith(f"SHA-256 {archive.files[-1].sha256})")
    files.close()
