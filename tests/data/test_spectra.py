"""Mean spectra against a plain computation; upsampling shows where it must."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import median_filter

from genspot.data.places import load_samples
from genspot.data.spectra import (
    high_frequencies,
    mean_spectrum,
    peaks,
    spectrum,
    write_spectra,
)
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
    content = json.loads((tmp_path / "spectra" / "spectra.json").read_text())
    assert content["side"] == 40
    assert content["images"] == {"mine": {"real": 5, "fake": 5}}
    assert content["peaks"]["mine"].keys() == {"real", "fake"}
    assert content["high_frequencies"]["mine"] < 0.9


def log_noise(side: int, images: int, step: int = 1) -> np.ndarray:
    """Return the mean log spectrum of white noise with every `step`-th pixel 4 brighter."""
    rng, total = np.random.default_rng(0), np.zeros((side, side))
    for _ in range(images):
        noise = rng.normal(size=(side, side))
        if step > 1:
            noise[::step, ::step] += 4
        total += np.fft.fftshift(np.log(np.abs(np.fft.fft2(noise))))
    return total / images


def test_peaks_of_noise_are_absent() -> None:
    heights = peaks(log_noise(64, 400))
    assert heights.keys() == {"2", "4", "8"}
    assert list(heights.values()) == pytest.approx(3 * [1], abs=0.1)


@pytest.mark.parametrize(("step", "expected"), [(2, {"2"}), (4, {"2", "4"})])
def test_peaks_are_at_the_frequencies_of_the_grid(step: int, expected: set[str]) -> None:
    # A grid of step 4 has all multiples of 1/4, so those of 1/2, and none of 1/8 between them.
    heights = peaks(log_noise(64, 50, step))
    assert {factor for factor, height in heights.items() if height > 2} == expected


def test_peaks_leave_out_factors_that_do_not_divide_the_side() -> None:
    assert peaks(np.zeros((68, 68))).keys() == {"2", "4"}
    assert peaks(np.zeros((40, 40))).keys() == {"2", "4"}  # too close for a factor of 8
    assert peaks(np.zeros((65, 65))) == {}


def test_high_frequencies_compare_the_outer_half_of_the_spectrum() -> None:
    real = log_noise(32, 4)
    fake = real + np.log(0.25)
    fake[9:24, 9:24] += 100  # frequencies below 1/4, whose index is 16 ± 7 at most
    assert high_frequencies(real, fake) == pytest.approx(0.25)


def test_write_spectra_of_single_pixels_compares_no_high_frequencies(tmp_path: Path) -> None:
    table = load_samples(save_set(tmp_path / "set", 2, 2), "mine", None).table
    write_spectra(table, tmp_path / "spectra", side=1, limit=5, seed=0)
    content = json.loads((tmp_path / "spectra" / "spectra.json").read_text())
    assert content["images"] == {"mine": {"real": 2, "fake": 2}}
    assert content["high_frequencies"] == {}


def test_write_spectra_of_small_images_warns_and_writes_no_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = load_samples(save_set(tmp_path / "set", 2, 2), "mine", None).table
    write_spectra(table, tmp_path / "spectra", side=64, limit=5, seed=0)
    assert not list((tmp_path / "spectra").glob("*.png"))
    assert "no spectra of mine" in caplog.text
