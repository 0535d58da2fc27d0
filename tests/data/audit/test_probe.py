"""Probes of tables of samples: order, processes, unreadable images, containers, interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from genspot.data import image_io
from genspot.data.audit.jpeg_grid import PART_SIDE, middle
from genspot.data.audit.probe import pixel_statistics, probe, probe_image
from genspot.data.audit.schema import PROBE_SCHEMA, UNREADABLE_SCHEMA
from genspot.data.layout import sample_table
from helpers import faulty_sets
from helpers.settings import ROOT


def table_of(paths: list[Path]) -> pa.Table:
    return sample_table([(str(path), "set", "", 0) for path in paths])


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Forty images, of which two cannot be read."""
    paths = []
    for number, tile in enumerate(faulty_sets.draw(0, 40)[0]):
        path = tmp_path / f"{number:02d}.{('png', 'jpg')[number % 2]}"
        tile.crop((0, 0, 60 + number, 64)).save(path)
        paths.append(path)
    paths[3].write_bytes(b"no image")
    paths[20].unlink()
    return paths


def test_processes_give_the_same_as_one_in_the_order_of_the_table(images: list[Path]) -> None:
    alone, unreadable = probe(table_of(images), 0, 179, "images")
    assert (alone.schema, unreadable.schema) == (PROBE_SCHEMA, UNREADABLE_SCHEMA)
    assert alone["row"].to_pylist() == [row for row in range(40) if row not in (3, 20)]
    assert unreadable["row"].to_pylist() == [3, 20]
    reasons = unreadable["reason"].to_pylist()
    assert "no image of a known format" in reasons[0] and "FileNotFoundError" in reasons[1]
    together, missed = probe(table_of(images), 2, 179, "images")
    assert together.equals(alone) and missed.equals(unreadable)


def test_a_table_without_images_gives_empty_tables() -> None:
    found, unreadable = probe(table_of([]), 0, 179, "none")
    assert (found.num_rows, unreadable.num_rows) == (0, 0) and found.schema == PROBE_SCHEMA


def test_facts_of_a_file_are_those_of_the_disk_and_of_its_pixels(images: list[Path]) -> None:
    for path in images[:2]:
        found = probe_image(str(path), 179)
        with Image.open(path) as file:
            assert (found["width"], found["height"]) == file.size
            assert (found["format"], found["mode"]) == (file.format, file.mode)
        assert found["file_bytes"] == path.stat().st_size
        pixels = image_io.read(str(path))
        assert found["red_mean"] == pytest.approx(pixels[..., 0].mean())


def test_png_of_the_pixels_of_a_jpeg_differs_in_its_file_alone(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.jpg", tmp_path / "a.png"
    faulty_sets.draw(0, 1)[0][0].save(source, quality=75)
    Image.open(source).save(copy)
    first, second = (probe_image(str(path), 179) for path in (source, copy))
    differing = {name for name in first if first[name] != second[name]}
    of_jpeg = {"jpeg_quality", "jpeg_tables", "subsampling", "progressive"}
    assert differing == of_jpeg | {"format", "file_bytes", "file_digest"}


def test_too_many_pixels_are_unreadable(tmp_path: Path) -> None:
    Image.new("RGB", (1001, 1000)).save(tmp_path / "a.png")
    found, unreadable = probe(table_of([tmp_path / "a.png"]), 0, 1, "large")
    assert not len(found) and "max_megapixels=1" in unreadable["reason"][0].as_py()


def test_an_image_within_a_zip_is_probed_as_the_file(images: list[Path], tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in images[:2]:
            file.write(path, f"1_fake/{path.name}")
    inside = probe(table_of([archive / "1_fake" / path.name for path in images[:2]]), 0, 179, "")
    assert inside[0].equals(probe(table_of(images[:2]), 0, 179, "")[0])


def test_statistics_of_a_large_image_are_of_its_middle_with_the_phase_of_the_grid() -> None:
    tile = faulty_sets.jpeg_once(faulty_sets.draw(0, 1)[0][0], 75)
    large = np.tile(np.asarray(tile), (9, 7, 1))[5:, 3:]  # 1,147 × 893 pixels
    part = middle(large)
    assert part.shape == (PART_SIDE, PART_SIDE, 3)
    top, left = 312, 184  # multiples of 8
    np.testing.assert_array_equal(part, large[top : top + PART_SIDE, left : left + PART_SIDE])
    grid = pixel_statistics(large)
    assert (grid["grid_x"], grid["grid_y"]) == (5, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="waits by /proc")
def test_an_interruption_ends_the_processes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    faulty_sets.draw(0, 1)[0][0].resize((1500, 1500)).save(path)
    code = (
        "from genspot.data.audit.probe import probe\n"
        "from genspot.data.layout import sample_table\n"
        f"probe(sample_table([({str(path)!r}, 'set', '', 0)] * 5000), 2, 179, 'images')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 100
    while len(children.read_text().split()) < 2:  # the reading processes
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no process of the group is left
