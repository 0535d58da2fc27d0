"""Bytes that are read at any offset."""

from __future__ import annotations

import io
import itertools
import os
import random
from pathlib import Path

import pytest

from genspot.download.source import ByteSource, LocalFile, SourceFile, Volumes, Window
from helpers.errors import error_of

DATA = random.Random(0).randbytes(1000)
CUTS = [0, 1, 20, 20, 333, 999, 1000]  # one part is empty


def volumes(folder: Path) -> Volumes:
    parts: list[ByteSource] = []
    for start, end in itertools.pairwise(CUTS):
        path = folder / f"{len(parts)}"
        path.write_bytes(DATA[start:end])
        parts.append(LocalFile(path, end - start))
    return Volumes(parts)


def test_volumes_read_at_every_border_equals_the_joined_bytes(tmp_path: Path) -> None:
    source = volumes(tmp_path)
    assert source.size == len(DATA)
    for start in {0, *(cut + step for cut in CUTS for step in (-1, 0, 1))} & set(range(1001)):
        for end in {*CUTS, start, start + 1, 500} & set(range(start, 1001)):
            assert source.read(start, end - start) == DATA[start:end]


def test_window_reads_its_part(tmp_path: Path) -> None:
    window = Window(volumes(tmp_path), 15, 900)
    assert window.read(0, 900) == DATA[15:915]
    assert window.read(4, 2) == DATA[19:21]


def test_source_file_reads_and_seeks_as_a_file_in_memory(tmp_path: Path) -> None:
    rng = random.Random(1)
    file, expected = SourceFile(volumes(tmp_path)), io.BytesIO(DATA)
    for _ in range(300):
        whence = rng.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
        base = {os.SEEK_SET: 0, os.SEEK_CUR: file.tell(), os.SEEK_END: len(DATA)}[whence]
        offset = rng.randrange(-base, 1100 - base)
        assert file.seek(offset, whence) == expected.seek(offset, whence)
        count = rng.choice([-1, 0, 1, 7, 400])
        assert file.read(count) == expected.read(count)
        assert file.tell() == expected.tell()
    with pytest.raises(OSError):
        file.seek(-1)


def test_local_file_of_another_size_names_both(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    message = error_of(LocalFile, path, 1234567)
    assert str(path) in message and "1,000 bytes" in message and "1,234,567" in message


def test_local_file_that_was_cut_meanwhile_says_so(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    file = LocalFile(path, len(DATA))
    os.truncate(path, 500)
    assert file.read(0, 500) == DATA[:500]
    assert "ended before byte 600" in error_of(file.read, 400, 200)


def test_local_file_that_cannot_be_read_names_itself(tmp_path: Path) -> None:
    file = LocalFile(tmp_path, tmp_path.stat().st_size)  # a folder opens, and does not read
    with pytest.raises(IsADirectoryError) as error:
        file.read(0, 1)
    assert error.value.filename == str(tmp_path)
