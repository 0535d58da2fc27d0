"""What a run has scored, on the disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from genspot.detector.score_log import ScoreLog, changed_since

ABOUT = {"weights": "abc", "geometry": {"resize": (3, 4)}}
THIRD = 0.1 + 0.2  # its shortest decimal form has 17 digits
BATCHES = [({3: (THIRD, False), 4: (-7.25, True)}, {5: "torn"}), ({6: (1e-30, False)}, {})]


def write(folder: Path, rank: int = 0, about: dict[str, object] = ABOUT) -> Path:
    log = ScoreLog(folder, "test", about)
    log.open(rank)
    for scores, unreadable in BATCHES:
        log.append(scores, unreadable)
    log.close()
    return folder / f"test.{rank}.scores.jsonl"


def read(folder: Path, about: dict[str, object] = ABOUT) -> ScoreLog:
    log = ScoreLog(folder, "test", about)
    log.read()
    return log


def test_log_gives_back_the_same_numbers(tmp_path: Path) -> None:
    write(tmp_path)
    log = read(tmp_path)
    assert log.scores == BATCHES[0][0] | BATCHES[1][0]
    assert log.unreadable == {5: "torn"}
    assert read(tmp_path / "elsewhere").scores == {}
    log.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bytes_left", [1, 5, 40])
def test_log_that_is_cut_short_loses_its_last_batch_alone(bytes_left: int, tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()
    start = len(whole) - len(whole.splitlines(keepends=True)[-1])
    path.write_bytes(whole[: start + bytes_left])
    log = read(tmp_path)
    assert log.scores == BATCHES[0][0]
    log.open(0)  # goes on after the whole lines
    log.append(*BATCHES[1])
    log.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("junk", [b"\0\0\0\0\n", b"[]\n", b'{"scores": []}\n', b"\xff\n"])
def test_log_with_damage_is_read_up_to_it(junk: bytes, tmp_path: Path) -> None:
    path = write(tmp_path)
    header, first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + first + junk + second)
    assert read(tmp_path).scores == BATCHES[0][0]
    path.write_bytes(junk + first)
    assert read(tmp_path).scores == {}


@pytest.mark.parametrize("key", ABOUT)
def test_log_about_something_else_is_ignored_and_replaced(key: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    log = read(tmp_path, ABOUT | {key: "other"})
    assert (log.scores, log.unreadable, log.differing) == ({}, {}, [key])
    log.open(0)
    log.append({0: (1.0, False)}, {})
    log.close()
    assert len(path.read_text().splitlines()) == 2
    assert read(tmp_path).scores == {}
    assert read(tmp_path, ABOUT | {key: "other"}).scores == {0: (1.0, False)}


def test_logs_of_all_ranks_are_read(tmp_path: Path) -> None:
    write(tmp_path, rank=1)
    log = ScoreLog(tmp_path, "test", ABOUT)
    log.open(0)
    log.append({8: (2.0, False)}, {})
    assert set(read(tmp_path).scores) == {3, 4, 6, 8}  # also before the file is closed


def test_batch_with_a_logit_that_is_not_finite_is_scored_again(tmp_path: Path) -> None:
    log = ScoreLog(tmp_path, "test", ABOUT)
    log.open(0)
    log.append({1: (1.0, False)}, {})
    log.append({2: (1.0, False), 3: (float("nan"), False)}, {})
    log.append({4: (float("-inf"), False)}, {})
    assert set(log.scores) == {1, 2, 3, 4}
    assert set(read(tmp_path).scores) == {1}


def test_image_that_became_readable_is_no_longer_unreadable(tmp_path: Path) -> None:
    for first, second in (
        (({}, {1: "torn"}), ({1: (2.0, False)}, {})),
        (
            ({1: (2.0, False)}, {}),
            ({}, {1: "torn"}),  # of another rank, which had it from the log
        ),
    ):
        log = ScoreLog(tmp_path, "test", ABOUT)
        log.append(*first)
        log.append(*second)
        assert (log.scores, log.unreadable) == ({1: (2.0, False)}, {})


def test_changed_since_names_replaced_files(tmp_path: Path) -> None:
    log = json.loads(write(tmp_path).read_text().splitlines()[0])
    old, new = tmp_path / "old.png", tmp_path / "new.png"
    for file in (old, new):
        file.write_bytes(b"1")
    after = old.stat().st_ctime_ns
    assert after >= log["started"] - 10**9
    while new.stat().st_ctime_ns <= after:  # a copy that keeps the date of its content
        new.write_bytes(b"2")
        os.utime(new, (1, 1))
    pairs = [(0, str(old)), (7, str(new)), (8, str(tmp_path / "gone"))]
    assert changed_since(pairs, after) == [7]
