"""What a run has scored, on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from genspot.detector.score_log import ScoreLog
from helpers.containers import write_zip

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


def truncated(line: bytes) -> bytes:
    return line[:-9] + b"\n"


def with_another_digit(line: bytes) -> bytes:
    return line.replace(b"7.25", b"7.26").replace(b"abc", b"abd")


def with_another_row(line: bytes) -> bytes:
    return line.replace(b"[4,", b"[400,").replace(b'"abc"', b"[]")


def with_more_values(line: bytes) -> bytes:
    return line.replace(b"true", b"true, 1").replace(b"{", b'{"more": 1, ', 1)


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        with_another_digit,
        with_another_row,
        with_more_values,
        lambda line: b"\0\0\0\0\n",
        lambda line: b"[]\n",
        lambda line: b"7\n",
        lambda line: b'{"scores": [], "unreadable": []}\n',
        lambda line: b"\xff\n",
        lambda line: line[:9] + b"\r" + line[9:].replace(b"7", b"8"),
    ],
)
def test_damaged_line_costs_its_batch_alone(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = write(tmp_path)
    header, first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + damage(first) + second)
    log = read(tmp_path)
    assert (log.scores, log.unreadable, log.damaged) == (BATCHES[1][0], {}, 1)
    log.open(0)
    log.append({0: (1.0, False)}, {})
    log.close()
    assert read(tmp_path).scores == BATCHES[1][0] | {0: (1.0, False)}
    path.write_bytes(damage(header) + first)
    log = read(tmp_path)
    assert (log.scores, log.damaged) == ({}, 1)


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


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three files, older than any log."""
    folder = tmp_path / "photos"
    folder.mkdir()
    files = [folder / f"{number}.png" for number in range(3)]
    for file in files:
        file.write_bytes(b"1")
    tick = tmp_path / "tick"
    tick.touch()
    while tick.stat().st_ctime_ns <= files[-1].stat().st_ctime_ns:
        tick.touch()
    return files


def score(folder: Path, photos: list[Path]) -> None:
    log = ScoreLog(folder, "test", ABOUT, [str(photo) for photo in photos])
    log.open(0)
    log.append({row: (float(row), False) for row in range(len(photos))}, {})
    log.close()


def read_of(folder: Path, photos: list[Path]) -> ScoreLog:
    log = ScoreLog(folder, "test", ABOUT, [str(photo) for photo in photos])
    log.read()
    return log


def rewrite(photo: Path) -> None:
    """Write again, as a copy that keeps the size and the date of its content."""
    photo.write_bytes(b"2")
    os.utime(photo, (1, 1))


def test_image_that_was_changed_or_removed_since_is_scored_again(
    photos: list[Path], tmp_path: Path
) -> None:
    score(tmp_path, photos)
    assert (len(read_of(tmp_path, photos).scores), read_of(tmp_path, photos).changed) == (3, set())
    rewrite(photos[1])
    photos[2].unlink()
    log = read_of(tmp_path, photos)
    assert (log.scores, log.changed) == ({0: (0.0, False)}, {1, 2})
    log.open(0)
    log.append({1: (5.0, False), 2: (6.0, False)}, {})
    log.close()
    assert read_of(tmp_path, photos).scores[2] == (6.0, False)  # of a packed copy


def test_images_of_a_folder_that_was_swapped_are_scored_again(
    photos: list[Path], tmp_path: Path
) -> None:
    """Renaming the folder, or a link to it, changes no date of its files."""
    folder, other, link = (tmp_path / name for name in ("photos", "other", "link"))
    shutil.copytree(folder, other)
    link.symlink_to(folder)
    by_link = [link / photo.name for photo in photos]
    log_folder = tmp_path / "log"
    log_folder.mkdir()
    tick = tmp_path / "tick"
    while tick.stat().st_ctime_ns <= (other / "2.png").stat().st_ctime_ns:
        tick.touch()
    score(log_folder, by_link)
    assert len(read_of(log_folder, by_link).scores) == 3
    link.unlink()
    link.symlink_to(other)
    assert read_of(log_folder, by_link).changed == {0, 1, 2}
    score(tmp_path, photos)
    folder.rename(tmp_path / "old")
    other.rename(folder)
    assert read_of(tmp_path, photos).changed == {0, 1, 2}


def test_image_that_changes_while_it_is_scored_is_scored_again(
    photos: list[Path], tmp_path: Path
) -> None:
    log = ScoreLog(tmp_path, "test", ABOUT, [str(photo) for photo in photos])
    log.started = photos[0].stat().st_ctime_ns - 1  # its stamp is that of the changed file
    log.open(0)
    log.append({0: (1.0, False)}, {})
    log.close()
    assert read_of(tmp_path, photos).changed == {0}


def test_scores_of_images_in_a_container_are_left_out_once_it_is_replaced(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.png": b"x", "b.png": b"y"})
    paths = [f"{archive}/a.png", f"{archive}/b.png"]

    def known() -> tuple[set[int], set[int]]:
        log = ScoreLog(tmp_path / "run", "test", ABOUT, paths)
        log.read()
        return set(log.scores), log.changed

    (tmp_path / "run").mkdir()
    log = ScoreLog(tmp_path / "run", "test", ABOUT, paths)
    log.open(0)
    log.append({0: (1.0, False), 1: (2.0, False)}, {})
    log.close()
    assert known() == ({0, 1}, set())
    write_zip(tmp_path / "b.zip", {"a.png": b"z", "b.png": b"y"}).replace(archive)
    assert known() == (set(), {0, 1})
