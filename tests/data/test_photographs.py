"""The packaged photographs and their table."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.data.simulated import photographs

SPLITS = ("train", "val", "test")
LICENCES = {
    "CC0 1.0",
    "CC BY 3.0",
    "CC BY 4.0",
    "CC BY-SA 3.0",
    "CC BY-SA 4.0",
    "Public Domain",
}
FOLDER = Path(str(photographs.FOLDER))


@pytest.fixture(scope="module")
def images() -> dict[str, Image.Image]:
    """All photographs by their names."""
    return {name: image for split in SPLITS for name, image in photographs.load(split).items()}


def test_table_each_row_names_author_free_licence_and_source() -> None:
    for row in photographs.table():
        assert row["author"] and row["title"], row["file"]
        assert row["licence"] in LICENCES, row["file"]
        assert "package " in row["source"], row["file"]


def test_attribution_links_the_text_of_each_licence() -> None:
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for licence in {row["licence"] for row in photographs.table()}:
        assert f"| {licence} |" in text


def test_table_and_folder_hold_the_same_files() -> None:
    listed = [row["file"] for row in photographs.table()]
    assert sorted(listed) == sorted(file.name for file in FOLDER.glob("*.jpg"))
    others = {file.name for file in FOLDER.iterdir()} - set(listed)
    assert others == {"ATTRIBUTION.md", "photographs.csv"}


def test_splits_are_disjoint_and_large_enough() -> None:
    counts = Counter(row["split"] for row in photographs.table())
    assert set(counts) == set(SPLITS)
    assert counts["train"] >= 20 and counts["val"] >= 4 and counts["test"] >= 10
    names = [name for split in SPLITS for name in photographs.names(split)]
    assert len(names) == len(set(names)) == counts.total()


def test_folder_is_at_most_8_megabytes() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 8_000_000


def test_load_returns_rgb_images_with_sides_of_480_pixels_or_more(
    images: dict[str, Image.Image],
) -> None:
    assert list(photographs.load("val")) == photographs.names("val")
    for name, image in images.items():
        assert image.mode == "RGB" and min(image.size) >= 480, name


def test_photographs_carry_no_metadata() -> None:
    for file in FOLDER.glob("*.jpg"):
        with Image.open(file) as image:
            assert not image.getexif() and "icc_profile" not in image.info, file.name


def test_photographs_show_different_scenes(images: dict[str, Image.Image]) -> None:
    thumbnails = {name: _thumbnail(image) for name, image in images.items()}
    for one, other in combinations(thumbnails, 2):
        correlation = float(np.mean(thumbnails[one] * thumbnails[other]))
        assert correlation < 0.9, f"{one} and {other} look the same"


def test_thumbnails_of_one_scene_correlate(images: dict[str, Image.Image]) -> None:
    """The comparison above would notice a photograph that is in twice, cropped and darkened."""
    image = images[photographs.names("test")[0]]
    width, height = image.size
    cropped = image.crop((10, 10, width - 10, height - 10)).point(lambda value: value // 2)
    assert float(np.mean(_thumbnail(image) * _thumbnail(cropped))) > 0.9


def test_load_row_without_its_file_raises_genspot_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(FOLDER / "photographs.csv", tmp_path)
    monkeypatch.setattr(photographs, "FOLDER", tmp_path)
    with pytest.raises(GenspotError, match=r"photograph .* is missing"):
        photographs.load("val")


def _thumbnail(image: Image.Image) -> np.ndarray:
    """Return a 16 × 16 RGB thumbnail of mean 0 and variance 1."""
    pixels = np.asarray(image.resize((16, 16), Image.Resampling.BOX), dtype=np.float64)
    return (pixels - pixels.mean()) / pixels.std()
