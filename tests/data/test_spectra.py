"""Mean spectra against a plain computation; upsampling shows where it must."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import median_filter

from genspot.data.layout import load_samples
from genspot.data.spectra import mean_spectrum, spectrum, write_spectra
from helpers.arrays import make_noise
from helpers.images import save_image, save_set


def test_spectrum_equals_a_plain_computation() -> None:
    image = make_noise(32, 48, 0)
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(float)
    residual = grey - median_filter(grey, 5, mode="nearest")
    expected = np.log(np.abs(np.fft.fftshift(np.fft.fft2(residual))) + 1e-8)
    # PIL and OpenCV round grey differently in a few pixels, by one level.
    assert np.median(np.abs(spectrum(image) - expected)) < 0.05
    assert spectrum(np.full((16, 16, 3), 77, np.uint8)).max() < -18


def test_mean_spectrum_leaves_out_small_and_unreadable_images(tmp_path: Path) -> None:
    for number in range(3):
        save_image(tmp_path / f"{number}.png", number, fake=False)
    save_image(tmp_path / "small.png", 9, fake=False, size=(20, 60))
    (tmp_path / "broken.png").write_bytes(b"no image")
    paths = [str(tmp_path / f"{name}.png") for name in (0, "small", 1, "broken", 2)]
    mean, count = mean_spectrum(paths, 40)
    assert count == 3 and mean is not None
    single = [mean_spectrum([paths[number]], 40)[0] for number in (0, 2, 4)]
    np.testing.assert_allclose(mean, np.mean(np.stack(single), axis=0))  # type: ignore[arg-type]
    assert mean_spectrum(paths[3:4], 40) == (None, 0)


def test_write_spectra_shows_nearest_upsampling(tmp_path: Path) -> None:
    """With every second pixel repeated, the spectrum vanishes at the highest frequencies."""
    table = load_samples(save_set(tmp_path / "set", 6, 6), "mine", None).table
    write_spectra(table, tmp_path / "spectra", side=40, limit=5, seed=0)
    real, fake = (
        np.asarray(Image.open(tmp_path / "spectra" / f"mine_{kind}.png")).astype(float)
        for kind in ("real", "fake")
    )
    assert real.shape == fake.shape == (40, 40)
    assert fake[0].mean() < 0.5 * real[0].mean()  # row 0 has the highest vertical frequency
    counts = json.loads((tmp_path / "spectra" / "spectra.json").read_text())
    assert counts == {"side": 40, "images": {"mine": {"real": 5, "fake": 5}}}


def test_write_spectra_of_small_images_warns_and_writes_no_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = load_samples(save_set(tmp_path / "set", 2, 2), "mine", None).table
    write_spectra(table, tmp_path / "spectra", side=64, limit=5, seed=0)
    assert not list((tmp_path / "spectra").glob("*.png"))
    assert "no spectra of mine" in caplog.text
