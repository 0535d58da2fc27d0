from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.report.gallery import SIDE, contact_sheets, gallery_rows, pick_ranks, thumbnail
from helpers.containers import image_table, write_table, write_zip
from helpers.images import save_image
from helpers.odd_images import DEEP_GREY
from helpers.report_runs import COMPLETE


def test_pick_ranks_names_the_ends_and_the_percentiles() -> None:
    assert pick_ranks(0) == []
    assert pick_ranks(1) == [(0, "most fake")]
    assert pick_ranks(2) == [(0, "least fake"), (1, "most fake")]
    assert [index for index, _ in pick_ranks(3)] == [0, 1, 2]
    assert pick_ranks(101) == [
        (0, "least fake"),
        (1, "2nd least fake"),
        (25, "25th percentile"),
        (50, "50th percentile"),
        (75, "75th percentile"),
        (99, "2nd most fake"),
        (100, "most fake"),
    ]


def test_gallery_rows_beyond_the_limit_hold_notes(single) -> None:
    row = gallery_rows(single.runs[0], max_chars=1)[0]
    assert [picture.uri is not None for picture in row.pictures] == [True] + 6 * [False]


def test_contact_sheets_show_the_gallery_of_each_generator(single) -> None:
    (run,) = single.runs
    sheets = contact_sheets(run)
    assert list(sheets) == [*COMPLETE, "only_fakes"]
    with Image.open(io.BytesIO(sheets["only_fakes"])) as sheet:
        assert sheet.size == (7 * SIDE, SIDE)
    with Image.open(io.BytesIO(sheets["sim_nearest"])) as sheet:
        assert sheet.size == (7 * SIDE, 2 * SIDE)
        shown = np.asarray(sheet)[SIDE:, -SIDE:]
    most_fake = next(row for row in gallery_rows(run) if row.kind == "fake").pictures[-1]
    with Image.open(io.BytesIO(most_fake.jpeg)) as image:
        assert (shown[: image.height, : image.width] == np.asarray(image)).all()
    assert (shown[image.height :] == 128).all()  # grey


def test_thumbnail_of_a_bad_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"no image")
    assert thumbnail(tmp_path / "torn.png") == (None, "unreadable")
    assert thumbnail(tmp_path / "missing.png") == (None, "file not found")


def test_thumbnail_ignores_exif_orientation_and_keeps_the_aspect(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 200))
    exif = image.getexif()
    exif[0x0112] = 6  # a rotation by 90°
    image.save(tmp_path / "rotated.jpg", exif=exif)
    content, _ = thumbnail(tmp_path / "rotated.jpg")
    with Image.open(io.BytesIO(content)) as small:
        assert small.size == (128, 64)


@pytest.mark.parametrize("kind", DEEP_GREY)
def test_thumbnail_of_deep_grey_shows_the_most_significant_byte(kind: str, tmp_path: Path) -> None:
    name, content, upper_bytes = DEEP_GREY[kind]
    (tmp_path / name).write_bytes(content)
    jpeg, _ = thumbnail(tmp_path / name)
    with Image.open(io.BytesIO(jpeg)) as small:
        shown = np.asarray(small).mean(axis=2)
    assert np.abs(shown - upper_bytes).mean() < 5  # the loss of the JPEG


def test_thumbnail_of_an_image_in_a_container_is_that_of_the_file(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", 0, fake=False)
    content = (tmp_path / "a.png").read_bytes()
    archive = write_zip(tmp_path / "a.zip", {"1_fake/a.png": content})
    table = write_table(tmp_path / "a.parquet", image_table([content]))
    expected = thumbnail(tmp_path / "a.png")
    assert (
        expected[0] and thumbnail(archive / "1_fake/a.png") == thumbnail(table / "0") == expected
    )
    assert thumbnail(archive / "gone.png") == (None, "unreadable")
    assert thumbnail(tmp_path / "gone.zip" / "a.png") == (None, "file not found")
