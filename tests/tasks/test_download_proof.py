"""task=download against servers that do what they should not, and archives that are damaged.

What is transferred is counted at the servers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from genspot.download.client import Client
from genspot.download.patience import Patience
from genspot.tasks import download as module
from helpers import download_faults as faults
from helpers.archives import (
    LINK_MODE,
    SEVEN_ZIP,
    Entry,
    cut,
    named_entries,
    seven_zip_bytes,
    seven_zip_volumes,
    zip_bytes,
)
from helpers.download_faults import FOREVER
from helpers.errors import error_of
from helpers.http_proxy import http_proxy
from helpers.published_release import CLASSES, METHODS, Release, published_release

DOWNLOADS = Path("datasets/downloads")
SOME = ("data=mini", "generator=[]")  # two of the three classes: by ranges
ALL = ("data=mini_all", "generator=[]")  # all: by whole archives
RANGES = (*ALL, "archives=none")
TAILS = 3 * 2**17  # bytes: the ends of archives, where their directories are
SLOW = pytest.mark.slow
QUICK = Patience(connect=2, stall=0.4, first_wait=0.01, longest_wait=0.05, total=1.5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls in this process wait little."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "Client", partial(Client, QUICK))


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    with published_release(tmp_path) as release:
        yield release


def archives_there(release: Release) -> set[str]:
    found = {path.name for path in (release.root / DOWNLOADS).iterdir()}
    return found & release.servers.files.keys()


def change_files(release: Release, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the files of an entry of the table."""
    path = release.root / "conf/download" / f"{name}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for file in content["files"]:
        change(file)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


# What is transferred


def test_download_of_some_classes_transfers_their_bytes_alone(release: Release) -> None:
    release.call(*SOME)
    assert not release.wrong("train", "car", "cat")
    assert not release.wrong("val", "car", "cat")
    assert not (release.root / "datasets/train/dog").exists()
    wanted = release.bytes_of("train", "car", "cat") + release.bytes_of("val", "car", "cat")
    assert release.servers.served() < wanted + TAILS
    assert not archives_there(release)


def test_download_of_all_classes_keeps_the_archives(release: Release) -> None:
    release.call(*ALL)
    assert not release.wrong("train", *CLASSES)
    assert not release.wrong("val", *CLASSES)
    assert archives_there(release) == {*release.files("train"), *release.files("val")}
    for name in archives_there(release):
        assert (release.root / DOWNLOADS / name).read_bytes() == release.servers.files[name]


def test_download_of_all_classes_without_archives_transfers_their_bytes_alone(
    release: Release,
) -> None:
    release.call(*RANGES)
    assert not release.wrong("train", *CLASSES)
    assert not archives_there(release)
    names = [*release.files("train"), *release.files("val")]
    size = sum(len(release.servers.files[name]) for name in names)
    assert release.servers.served() < size + TAILS


@pytest.mark.parametrize("choice", [SOME, ALL], ids=["ranges", "whole"])
def test_complete_download_needs_no_server(choice: tuple[str, ...], release: Release) -> None:
    release.call(*choice)
    release.servers.forget()
    with release.servers.outage():
        release.call(*choice)
    release.call(*choice)
    assert not release.servers.requests


def test_download_from_volumes_that_are_there_needs_no_server(release: Release) -> None:
    folder = release.root / DOWNLOADS
    folder.mkdir(parents=True)
    for name in (*release.files("train"), *release.files("val")):
        (folder / name).write_bytes(release.servers.files[name])
    with release.servers.outage():
        release.call(*SOME)
    assert not release.wrong("train", "car", "cat")


def test_download_with_some_volumes_there_transfers_the_others_alone(release: Release) -> None:
    folder = release.root / DOWNLOADS
    folder.mkdir(parents=True)
    for name in release.files("train")[2:5]:
        (folder / name).write_bytes(release.servers.files[name])
    release.call(*ALL)
    assert not release.wrong("train", *CLASSES)
    assert sum(map(release.servers.served, release.files("train")[2:5])) == 0


def test_download_of_generators_takes_the_test_sets_alone(release: Release) -> None:
    release.call("generator=[mini_b]")
    assert not release.wrong("test", "mini_b")
    assert not (release.root / "datasets/test/mini_a").exists()
    assert not (release.root / "datasets/train").exists()
    assert release.servers.served() < release.bytes_of("test", "mini_b") + TAILS


def test_download_takes_unknown_hashes_from_the_server_and_says_them(release: Release) -> None:
    change_files(release, "mini_train", lambda file: file.update(sha256=None))
    code, output = release.run(*ALL)
    assert code == 0, output
    assert all(release.servers.sha256(name) in output for name in release.files("train"))


def test_download_with_unknown_hashes_refuses_another_file(release: Release) -> None:
    change_files(release, "mini_train", lambda file: file.update(sha256=None))
    name = "mini_train.7z.006"
    release.servers.faults.add(faults.flip(100, name=name, times=FOREVER))
    text = error_of(release.call, *ALL)
    assert release.servers.sha256(name) in text
    assert not (release.root / "datasets/train/car").exists()


@pytest.mark.skipif(SEVEN_ZIP is None, reason="7-Zip is not installed")
@pytest.mark.parametrize("choice", [SOME, ALL], ids=["ranges", "whole"])
def test_download_reads_volumes_that_7_zip_wrote(choice: tuple[str, ...], tmp_path: Path) -> None:
    with published_release(tmp_path / "a") as first:
        members = first.members
    archive = zip_bytes(members["train"], METHODS["train"])
    made = seven_zip_volumes(archive, tmp_path / "7z", [300_000, 200_000, 100_000])
    volumes = {name.replace("progan", "mini"): data for name, data in made.items()}
    assert len(volumes) > 7
    with published_release(tmp_path / "b", members, volumes=volumes) as release:
        release.call(*choice)
        assert not release.wrong("train", "car", "cat")


# Servers


ONCE = {
    "cut": faults.cut(1000),
    "cut before the answer": faults.cut(server="hub"),
    "resets": faults.cut(5000, reset=True, times=3),
    "stall": faults.stall(1000),
    "flipped bit": faults.flip(60_000, name="mini_train.7z.006"),
    "wrong start": faults.wrong_start(),
    "short": faults.short(),
    "no ranges": faults.no_ranges(),
    "gzip": faults.gzipped(),
    "page": faults.html(),
    "page of the hub": faults.html(server="hub"),
    "wrong total": faults.wrong_headers({"Content-Range": "bytes 0-999/1000"}),
    "another node of the CDN": faults.wrong_headers({"ETag": '"other"'}, skip=3),
    "429": faults.answer(429, "0"),
    "429 of the hub": faults.answer(429, "0", server="hub"),
    "503": faults.answer(503, times=4),
    "416": faults.answer(416),
    "403 of an address": faults.answer(403),
    "several": faults.cut(100, times=30),
}


@pytest.mark.parametrize(
    "choice", [pytest.param(RANGES, marks=SLOW), ALL], ids=["ranges", "whole"]
)
@pytest.mark.parametrize("name", ONCE)
def test_download_survives_a_fault(name: str, choice: tuple[str, ...], release: Release) -> None:
    fault = replace(ONCE[name])
    release.servers.faults.add(fault)
    release.call(*choice)
    assert not release.servers.faults.waiting  # it was met
    assert not release.wrong("train", *CLASSES)
    assert not release.wrong("val", *CLASSES)


ALWAYS = {
    "stall": (faults.stall(), "no byte came for"),
    "wrong start": (faults.wrong_start(), "were asked for"),
    "short": (faults.short(), "were asked for"),
    "gzip": (faults.gzipped(), "compressed"),
    "page": (faults.html(), "HTML"),
    "wrong total": (faults.wrong_headers({"Content-Range": "bytes 0-9/10"}), "were asked for"),
    "429": (faults.answer(429), "429"),
    "503": (faults.answer(503, "3600"), "503"),
    "416": (faults.answer(416), "416"),
    "403": (faults.answer(403, server="hub"), "403"),
    "404": (faults.answer(404, server="hub"), "404"),
    "loop": (faults.redirect_loop(), "redirects"),
    "other size": (faults.wrong_headers({"X-Linked-Size": "7"}, server="hub"), "7 bytes"),
    "other revision": (faults.wrong_headers({"X-Repo-Commit": "b" * 40}, server="hub"), "b" * 40),
    "other hash": (
        faults.wrong_headers({"X-Linked-ETag": f'"{"c" * 64}"'}, server="hub"),
        "c" * 64,
    ),
}


@pytest.mark.parametrize(
    "choice", [RANGES, pytest.param(ALL, marks=SLOW)], ids=["ranges", "whole"]
)
@pytest.mark.parametrize("name", ALWAYS)
def test_download_from_a_server_that_stays_wrong_is_one_line_and_continues_later(
    name: str, choice: tuple[str, ...], release: Release
) -> None:
    there = ["car"] if choice == RANGES else []  # whole archives are fetched if nothing is there
    if there:
        release.call("data=mini", "data.classes=[car]", "generator=[]")
    fault, words = ALWAYS[name]
    release.servers.faults.add(replace(fault, times=FOREVER))
    text = error_of(release.call, *choice)
    assert words in text
    assert release.servers.hub in text
    assert not there or not release.wrong("train", *there)
    release.servers.faults.clear()
    release.servers.forget()
    release.call(*choice)
    assert not release.wrong("train", *CLASSES)
    rest = [one for one in CLASSES if one not in there]
    wanted = release.bytes_of("train", *rest) + release.bytes_of("val", *rest)
    assert release.servers.served() < wanted + TAILS


@pytest.mark.parametrize("choice", [RANGES, ALL], ids=["ranges", "whole"])
def test_wrong_bytes_that_stay_are_named_and_do_not_become_files(
    choice: tuple[str, ...], release: Release
) -> None:
    name = "mini_train.7z.004"  # within cat, where the volumes are cut unevenly
    release.servers.faults.add(faults.flip(50_000, name=name, times=FOREVER))
    text = error_of(release.call, *choice)
    assert "CRC-32" in text if choice == RANGES else "SHA-256" in text
    right = {**release.members["train"]}
    top = release.root / "datasets/train"
    for path in top.rglob("*.png"):
        assert path.read_bytes() == right[path.relative_to(top).as_posix()]
    release.servers.faults.clear()
    release.call(*choice)
    assert not release.wrong("train", *CLASSES)


@pytest.mark.parametrize("signing", ["amz", pytest.param("epoch", marks=SLOW)])
def test_download_uses_no_address_that_has_expired(signing: str, tmp_path: Path) -> None:
    with published_release(tmp_path, lifetime=2, signing=signing, pause=0.1) as release:
        release.call(*RANGES)
        assert not release.wrong("train", *CLASSES)
        hub = [one for one in release.servers.requests if one.server == "hub"]
        assert len(hub) > len({one.name for one in hub})  # some had to be asked for again
        assert not [one for one in release.servers.requests if one.status == 403]


def test_download_survives_addresses_that_expire_earlier_than_they_say(release: Release) -> None:
    release.servers.signing = "silent"
    release.servers.pause = 0.02
    expiring = itertools.count()

    class Expiring(dict[str, float]):
        def get(self, key: str, default: Any = None) -> Any:
            return 0 if next(expiring) % 5 == 4 else super().get(key, default)

    release.servers.valid = Expiring()
    release.call(*RANGES)
    assert not release.wrong("train", *CLASSES)
    assert [one for one in release.servers.requests if one.status == 403]


# The environment


def test_download_goes_through_the_proxy_of_the_environment(release: Release) -> None:
    with http_proxy() as proxy:
        code, output = release.run(*SOME, http_proxy=proxy.url, no_proxy="")
    assert code == 0, output
    assert not release.wrong("train", "car", "cat")
    assert len(proxy.addresses) == len(release.servers.requests)


def test_download_takes_files_of_the_hub_from_its_mirror(release: Release) -> None:
    for name in ("mini_train", "mini_val"):
        change_files(
            release,
            name,
            lambda file: file.update(
                url=file["url"].replace(release.servers.hub, "https://huggingface.co")
            ),
        )
    code, output = release.run(*SOME, HF_ENDPOINT=f"{release.servers.hub}/")
    assert code == 0, output
    assert not release.wrong("train", "car", "cat")


# Archives


def hostile(name: str, **about: Any) -> Callable[[list[Entry]], list[Entry]]:
    return lambda entries: [*entries, Entry(name, b"x" * 1000, **about)]


HOSTILE = {
    "above": hostile("../../outside.png"),
    "absolute": hostile("/outside.png"),
    "drive": hostile("C:/outside.png"),
    "backslash": hostile("car\\0_real\\outside.png"),
    "link": hostile("car/0_real/outside.png", mode=LINK_MODE),
    "twice": hostile("car/0_real/00000.png"),
    "encrypted": hostile("car/0_real/outside.png", flags=1),
    "bzip2": hostile("car/0_real/outside.png", method=12),
}


@pytest.mark.parametrize("choice", [SOME, ALL], ids=["ranges", "whole"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_download_of_a_hostile_archive_writes_nothing(
    kind: str, choice: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "work"
    with published_release(tmp_path / "good") as good:
        members = good.members
    entries = HOSTILE[kind](named_entries(members["train"], 0, folders=True))
    volumes = cut(seven_zip_bytes(zip_bytes(entries)), "mini_train.7z")
    with published_release(root, members, volumes=volumes) as release:
        text = error_of(release.call, *choice)
        assert "train images" in text
    written = [path for path in tmp_path.rglob("*.png") if path.is_file() or path.is_symlink()]
    assert not written


@pytest.mark.parametrize("choice", [SOME, ALL], ids=["ranges", "whole"])
def test_member_whose_checksum_is_wrong_is_named_and_no_archive_removed(
    choice: tuple[str, ...], tmp_path: Path
) -> None:
    with published_release(tmp_path / "good") as good:
        members = good.members
    wrong = "cat/1_fake/00003.png"
    entries = [
        replace(entry, crc=1) if entry.name == wrong else entry
        for entry in named_entries(members["train"], 0, folders=True)
    ]
    volumes = cut(seven_zip_bytes(zip_bytes(entries)), "mini_train.7z")
    with published_release(tmp_path / "work", members, volumes=volumes) as release:
        text = error_of(release.call, *choice, "archives=remove")
        assert wrong in text and "CRC-32" in text
        assert wrong in release.wrong("train", "cat")
        if choice == ALL:
            assert set(release.files("train")) <= archives_there(release)
