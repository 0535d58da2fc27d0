"""Mean spectra against a plain loop; upsampling shows where it must."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import median_filter

from conftest import save_image, save_set
from genspot.data.index import scan
from genspot.data.spectra import mean_spectrum, spectrum, write_spectra


def test_a_spectrum_is_the_log_magnitude_of_what_the_median_leaves() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(float)
    rest = grey - median_filter(grey, 5, mode="nearest")
    expected = np.log(np.abs(np.fft.fftshift(np.fft.fft2(rest))) + 1e-8)
    # PIL and OpenCV round grey differently in a few pixels, by one level.
    assert np.median(np.abs(spectrum(image) - expected)) < 0.05


def test_a_flat_image_has_no_spectrum_to_speak_of() -> None:
    assert spectrum(np.full((16, 16, 3), 77, np.uint8)).max() < -18


def test_the_mean_leaves_out_what_is_small_or_broken(tmp_path: Path) -> None:
    for number in range(3):
        save_image(tmp_path / f"{number}.png", number, fake=False)
    save_image(tmp_path / "small.png", 9, fake=False, size=(20, 60))
    (tmp_path / "broken.png").write_bytes(b"no image")
    paths = [str(tmp_path / f"{name}.png") for name in (0, "small", 1, "broken", 2)]
    mean, count = mean_spectrum(paths, 40)
    single = [mean_spectrum([paths[place]], 40)[0] for place in (0, 2, 4)]
    assert count == 3 and mean is not None
    np.testing.assert_allclose(mean, np.mean(np.stack(single), axis=0))  # type: ignore[arg-type]
    assert mean_spectrum(paths[3:4], 40) == (None, 0)


def test_nearest_upsampling_shows_as_dots(tmp_path: Path) -> None:
    """Every second pixel repeated: the spectrum vanishes at the highest frequencies."""
    folder = save_set(tmp_path / "set", 6, 6)
    write_spectra(scan(folder, "mine", None), tmp_path / "spectra", side=40, limit=5, seed=0)
    real, fake = (
        np.asarray(Image.open(tmp_path / "spectra" / f"mine_{kind}.png")).astype(float)
        for kind in ("real", "fake")
    )
    assert real.shape == fake.shape == (40, 40)
    assert fake[0].mean() < 0.5 * real[0].mean()  # row 0 is the highest vertical frequency
    about = json.loads((tmp_path / "spectra" / "spectra.json").read_text())
    assert about == {"side": 40, "images": {"mine": {"real": 5, "fake": 5}}}


def test_a_set_of_small_images_warns_and_writes_no_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_set(tmp_path / "set", 2, 2)
    write_spectra(scan(folder, "mine", None), tmp_path / "spectra", side=64, limit=5, seed=0)
    assert not list((tmp_path / "spectra").glob("*.png"))
    assert "no spectra of mine" in caplog.text
