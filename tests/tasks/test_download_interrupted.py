"""task=download that is killed, runs twice at once, or lacks the disk: processes of their own.

What a second run costs is counted at the servers.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from genspot.download.members import LIMIT
from genspot.download.whole_file import CHUNK
from helpers import download_faults as faults
from helpers.published_release import CLASSES, Release, published_release, random_members
from helpers.small_disks import make_read_only, small_disk

DOWNLOADS = Path("datasets/downloads")
TRAIN = ("data=mini", "generator=[]")  # two of the three classes, by ranges
WHOLE = ("data=mini_all", "generator=[]")  # all, by whole archives
MB = 10**6


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    with published_release(tmp_path) as release:
        yield release


@contextmanager
def large_release(root: Path, train: int, val: int = 2, pause: float = 0.01) -> Iterator[Release]:
    """Yield a release with `train` and `val` files in each of six label folders.

    Each takes 100 kB in the archive; a connection transfers 64 KiB in `pause` seconds.
    """
    members = {
        "train": random_members(CLASSES, train, 100_000, seed=1),
        "val": random_members(CLASSES, val, 200_000, seed=2),
        "test": random_members(("mini_a", "mini_b/car", "mini_b/cat"), 2, seed=3),
    }
    with published_release(root, members, pause=pause) as release:
        yield release


def assert_refused(result: tuple[int, str], *words: str) -> None:
    """The run failed, and its last line has the words."""
    code, output = result
    assert code == 1, output
    assert "Traceback" not in output
    line = output.strip().splitlines()[-1]
    assert all(word in line for word in words), output


def assert_done(result: tuple[int, str]) -> str:
    assert result[0] == 0, result[1]
    assert "Traceback" not in result[1]
    return result[1]


@pytest.mark.parametrize(
    "how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_download_that_is_stopped_says_how_to_continue_and_keeps_what_came(
    how: signal.Signals, tmp_path: Path
) -> None:
    with large_release(tmp_path, 10) as release:
        stall = faults.stall(name="mini_train.7z.006", times=faults.FOREVER)
        release.servers.faults.add(stall)
        code, output = release.kill_when(
            lambda: (tmp_path / DOWNLOADS / "mini_train.7z.006.part").exists(), *WHOLE, how=how
        )
        assert code == 128 + how, output
        assert "Traceback" not in output
        assert "to continue: " in output.strip().splitlines()[-1]
        release.servers.faults.clear()
        release.servers.forget()
        assert_done(release.run(*WHOLE))
        assert not release.wrong("train", *CLASSES)
        assert release.servers.served("mini_train.7z.005") == 0
        assert release.servers.served("mini_train.7z.006") > 0


@pytest.mark.slow
def test_download_of_ranges_that_is_killed_continues_within_a_few_files(tmp_path: Path) -> None:
    with large_release(tmp_path, 200) as release:
        needed = release.bytes_of("train", "car", "cat") + release.bytes_of("val", "car", "cat")
        border = needed * 0.8
        release.kill_when(lambda: release.servers.served() > border, *TRAIN)
        first = release.servers.served()
        release.servers.forget()
        assert_done(release.run(*TRAIN))
        assert not release.wrong("train", "car", "cat")
        assert not release.wrong("val", "car", "cat")
        assert first + release.servers.served() < needed + 4 * LIMIT + MB


@pytest.mark.slow
def test_download_of_archives_that_is_killed_continues_within_a_few_chunks(
    tmp_path: Path,
) -> None:
    with large_release(tmp_path, 200) as release:
        needed = sum(
            len(data) for name, data in release.servers.files.items() if "test" not in name
        )
        release.kill_when(lambda: release.servers.served() > needed * 0.8, *WHOLE)
        first = release.servers.served()
        release.servers.forget()
        assert_done(release.run(*WHOLE))
        assert not release.wrong("train", *CLASSES)
        assert first + release.servers.served() < needed + 4 * CHUNK + MB


@pytest.mark.slow
@pytest.mark.parametrize("choice", [TRAIN, WHOLE], ids=["ranges", "whole"])
def test_download_that_is_killed_anywhere_again_and_again_ends_right(
    choice: tuple[str, ...], tmp_path: Path
) -> None:
    chance = random.Random(1)
    with large_release(tmp_path, 40, pause=0.02) as release:
        for _ in range(8):
            end = time.monotonic() + chance.uniform(0.5, 5)  # its start takes a part of it
            release.kill_when(lambda end=end: time.monotonic() > end, *choice)
        release.servers.pause = 0
        assert_done(release.run(*choice))
        assert not release.wrong("train", "car", "cat")
        assert not release.wrong("val", "car", "cat")


@pytest.mark.slow
def test_download_killed_while_it_unpacks_serves_nothing_again(tmp_path: Path) -> None:
    with large_release(tmp_path, 60, pause=0) as release:
        folder = tmp_path / "datasets/train/car/0_real"
        release.kill_when(lambda: folder.is_dir() and any(folder.glob("*.png")), *WHOLE)
        release.servers.forget()
        assert_done(release.run(*WHOLE))
        assert sum(map(release.servers.served, release.files("train"))) == 0
        assert not release.wrong("train", *CLASSES)


def test_two_downloads_at_once_wait_for_each_other(tmp_path: Path) -> None:
    with large_release(tmp_path, 10, pause=0.005) as release:
        processes = [release.start(*TRAIN) for _ in range(2)]
        outputs = [assert_done(release.finish(process)) for process in processes]
        assert sum("waiting" in output for output in outputs) == 1, outputs
        assert not release.wrong("train", "car", "cat")
        needed = release.bytes_of("train", "car", "cat") + release.bytes_of("val", "car", "cat")
        assert release.servers.served() < needed + MB


def test_download_without_space_is_refused_before_it_begins(tmp_path: Path) -> None:
    with small_disk(tmp_path / "datasets", MB), published_release(tmp_path) as release:
        assert_refused(release.run(*TRAIN), "free", str(tmp_path / "datasets"))
        assert not (tmp_path / "datasets/train/car").exists()
        assert release.servers.served() < 200_000  # the directories of the archives


@pytest.mark.slow
@pytest.mark.parametrize("choice", [TRAIN, WHOLE], ids=["ranges", "whole"])
def test_download_whose_disk_others_fill_keeps_what_came_and_continues(
    choice: tuple[str, ...], tmp_path: Path
) -> None:
    datasets = tmp_path / "datasets"
    with small_disk(datasets, 40 * MB), large_release(tmp_path, 25) as release:
        process = release.start(*choice)
        while process.poll() is None and release.servers.served() < 4 * MB:
            time.sleep(0.005)
        release.servers.pause = 0.5
        ballast = datasets / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(2**16)):
                pass
        release.servers.pause = 0
        assert_refused(release.finish(process), str(datasets), "no space left")
        ballast.unlink()
        assert_done(release.run(*choice))
        assert not release.wrong("train", "car", "cat")


def test_download_to_a_read_only_disk_is_one_line(tmp_path: Path) -> None:
    datasets = tmp_path / "datasets"
    with small_disk(datasets, MB), published_release(tmp_path) as release:
        make_read_only(datasets)
        assert_refused(release.run(*TRAIN), str(datasets), "read-only")
        assert release.servers.served() < 200_000


def test_download_where_a_file_is_in_the_place_of_a_folder_is_one_line(release: Release) -> None:
    train = release.root / "datasets/train"
    train.parent.mkdir()
    train.write_bytes(b"")
    assert_refused(release.run(*TRAIN), str(train))
    assert release.servers.served() == 0


@pytest.mark.slow
def test_download_goes_on_after_an_outage_of_seconds(tmp_path: Path) -> None:
    with large_release(tmp_path, 25) as release:
        process = release.start(*TRAIN)
        while process.poll() is None and release.servers.served() < 4 * MB:
            time.sleep(0.01)
        with release.servers.outage():
            time.sleep(5)
        assert_done(release.finish(process))
        assert not release.wrong("train", "car", "cat")


@pytest.mark.slow
def test_download_without_network_is_one_line_within_seconds(release: Release) -> None:
    began = time.monotonic()
    with release.servers.outage():
        result = release.run(*WHOLE)
    assert_refused(result, release.servers.url("mini_train.7z.001"), str(DOWNLOADS))
    assert time.monotonic() - began < 40


@pytest.mark.slow
def test_byte_that_flips_in_a_part_is_fetched_again_alone(tmp_path: Path) -> None:
    name = "mini_val.zip"
    with large_release(tmp_path, 2, val=120) as release:
        size = len(release.servers.files[name])
        last = (size // CHUNK - 1) * CHUNK  # of the last whole chunk, before the directory
        lost = faults.stall(name=name, offset=last, times=faults.FOREVER)
        release.servers.faults.add(lost)
        release.kill_when(lambda: release.servers.served(name) >= size - CHUNK, *WHOLE)
        release.servers.faults.clear()
        flip(next((tmp_path / DOWNLOADS).rglob(f"{name}.part")), 5)  # its first chunk is complete
        release.servers.forget()
        assert "damaged" in assert_done(release.run(*WHOLE))
        assert not release.wrong("val", *CLASSES)
        assert release.servers.served(name) < 4 * CHUNK


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_finished_volume_with_a_flipped_byte_is_named_with_both_hashes(release: Release) -> None:
    assert_done(release.run(*WHOLE))
    name = "mini_train.7z.005"
    path = next((release.root / DOWNLOADS).rglob(name))
    flip(path, 70_000)
    (release.root / "datasets/train/car/0_real/00000.png").unlink()
    assert_refused(release.run(*WHOLE), str(path), release.servers.sha256(name))
