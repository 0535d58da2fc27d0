"""The features of the shortcut baseline are finite and see what they are named after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.data.layout import sample_table
from genspot.data.shortcut_baseline import FEATURES, features, image_features
from genspot.data.simulated import photographs
from helpers.containers import write_zip
from helpers.images import save_image


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (8, 8), (40, 33)])
def test_image_features_of_any_size_are_finite(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "image.png"
    for level in (0, 255):
        Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)
        values = image_features(str(path))
        assert values.shape == (len(FEATURES),) and np.isfinite(values).all()
        np.testing.assert_array_equal(values[1:4], level)  # mean colours


def test_features_of_a_table_are_a_matrix_with_zeros_for_unreadable_files(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (10, 20, 30)).save(tmp_path / "a.png")
    table = sample_table((f"{tmp_path}/{name}.png", "", "", 0) for name in ("a", "missing"))
    matrix = features(table, "test")
    assert matrix.shape == (2, len(FEATURES))
    assert matrix[0, 1:4].tolist() == [10, 20, 30] and not matrix[1].any()
    assert features(sample_table([]), "test").shape == (0, len(FEATURES))


def test_jpeg_grid_is_larger_after_compression(tmp_path: Path) -> None:
    column = FEATURES.index("JPEG grid")
    ratios = []
    for photo in photographs.load("test").values():
        window = photo.resize((photo.width // 3, photo.height // 3), Image.Resampling.LANCZOS)
        window.save(tmp_path / "image.png")
        window.save(tmp_path / "image.jpg", quality=30)
        names = ("image.png", "image.jpg")
        ratios.append([image_features(str(tmp_path / name))[column] for name in names])
    uncompressed, compressed = np.mean(ratios, axis=0)
    assert uncompressed == pytest.approx(1, abs=0.1)
    assert compressed > uncompressed + 0.3


def test_image_features_within_a_container_are_those_of_the_file(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", 0, fake=False)
    content = (tmp_path / "a.png").read_bytes()
    archive = write_zip(tmp_path / "a.zip", {"a.png": content, "b.png": bytes(9999)})
    expected = image_features(str(tmp_path / "a.png"))
    np.testing.assert_array_equal(image_features(f"{archive}/a.png"), expected)
