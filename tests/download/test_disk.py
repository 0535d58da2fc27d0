"""Space on disks before a download starts."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.download.directory import Directory
from genspot.download.disk import free_space, need, require_space
from helpers.errors import error_of


def directory(sizes: list[int]) -> Directory:
    return Directory("set.zip", pa.table({"size": pa.array(sizes, pa.int64())}))


def test_need_counts_whole_blocks(tmp_path: Path) -> None:
    block = os.statvfs(tmp_path).f_frsize
    sizes = [0, 1, block - 1, block, block + 1]
    assert need(directory(sizes), tmp_path) == 5 * block
    assert need(directory(sizes), tmp_path / "not" / "there") == 5 * block
    assert need(directory([]), tmp_path) == 0


def test_need_of_more_than_32_bits_is_exact(tmp_path: Path) -> None:
    block = os.statvfs(tmp_path).f_frsize
    assert need(directory([2**40 * block] * 3), tmp_path) == 3 * 2**40 * block


def test_free_space_of_a_folder_to_come_is_that_of_its_disk(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    expected = disk.f_bavail * disk.f_frsize
    assert free_space(tmp_path / "not" / "there") == pytest.approx(expected, rel=0.05)


def test_require_space_names_folder_and_gigabytes(tmp_path: Path) -> None:
    require_space({tmp_path: 0})
    require_space({tmp_path / "not" / "there": 1000})
    message = error_of(require_space, {tmp_path / "not" / "there": 10**18})
    assert f"are needed for {tmp_path}/not/there" in message
    assert " free; make room" in message


def test_require_space_adds_what_goes_to_one_disk(tmp_path: Path) -> None:
    part = int(0.6 * free_space(tmp_path))
    require_space({tmp_path / "train": part})
    require_space({tmp_path / "train": part, tmp_path / "val": 0})
    message = error_of(require_space, {tmp_path / "train": part, tmp_path / "val": part})
    assert f"{tmp_path}/train" in message and f"{tmp_path}/val" in message


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_require_space_keeps_disks_apart(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("the temporary folder is in /dev/shm")
    require_space({path: int(0.6 * free_space(path)) for path in (tmp_path, other)})
    message = error_of(require_space, {tmp_path: 1, other: 10**18})
    assert str(tmp_path) not in message
