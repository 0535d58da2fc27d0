"""The spectra against SciPy and NumPy, and the statistics that are fitted to them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

from genspot.common.errors import GenspotError
from genspot.detector.inputs import INPUTS
from genspot.detector.inputs.dct_log import LogCosine
from genspot.detector.inputs.fft_log import fourier_amplitudes

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


def images(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Return images with a slope and noise, so that no coefficient is near 0 by symmetry."""
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(height), np.arange(width)) * 3
    values = slope + rng.integers(0, 120, (count, 3, height, width))
    return torch.from_numpy(values.clip(0, 255).astype(np.uint8))


def represent(module: torch.nn.Module, pixels: torch.Tensor, dtype: torch.dtype) -> np.ndarray:
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        found = module(pixels)
        other = module(pixels.to(memory_format=torch.channels_last))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, other, atol=1e-3, rtol=0)
    return found.numpy()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 224])
@dtypes
def test_dct_log_equals_scipys(size: int, dtype: torch.dtype) -> None:
    pixels = images(2, size, size)
    found = represent(INPUTS.build({"name": "dct_log", "size": size}), pixels, dtype)
    amplitudes = np.abs(scipy.fft.dctn(pixels.double().numpy(), axes=(-2, -1), norm="ortho"))
    # Not the logarithms: those of amplitudes near 0 magnify the rounding of float32.
    np.testing.assert_allclose(np.exp(found), amplitudes, rtol=3e-5, atol=5e-3)
    large = amplitudes > 1
    np.testing.assert_allclose(found[large], np.log(amplitudes[large] + 1e-12), atol=5e-3)


def test_dct_log_of_nothing_is_the_log_of_the_small_term() -> None:
    module = INPUTS.build({"name": "dct_log", "size": 4})
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    np.testing.assert_allclose(module(black).numpy(), np.log(1e-12), rtol=1e-6)


@pytest.mark.parametrize("height,width", [(8, 7), (7, 8), (1, 1), (224, 224)])
def test_dct_log_of_another_size_is_refused(height: int, width: int) -> None:
    module = INPUTS.build({"name": "dct_log", "size": 8})
    with pytest.raises(GenspotError, match=rf"8 × 8 pixels, .*{height} × {width} were given"):
        module(images(1, height, width))


@pytest.mark.parametrize("size", [0, -1, 2.5, True, None, 20_000])
def test_dct_log_of_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(GenspotError, match=r"^model\.input\.size="):
        INPUTS.build({"name": "dct_log", "size": size})


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 1), (1, 9), (2, 2), (5, 3), (7, 7), (8, 6), (21, 21), (64, 64)]
)
@dtypes
def test_fft_log_equals_scipys_and_numpys(size: tuple[int, int], dtype: torch.dtype) -> None:
    pixels = images(2, *size)
    found = represent(INPUTS.build({"name": "fft_log"}), pixels, dtype)
    assert found.shape == pixels.shape
    for index in np.ndindex(2, 3):
        amplitudes = np.abs(scipy.fft.fft2(pixels[index].double().numpy()))
        spectrum = np.log(amplitudes + 1e-3)
        low, high = np.percentile(spectrum, [5, 95])
        expected = np.zeros(size)
        if high > low:
            expected = 2 * (spectrum.clip(low, high) - low) / (high - low) - 1
        np.testing.assert_allclose(found[index], expected, atol=1e-3)


def test_fft_log_of_one_colour_is_finite_and_within_its_range() -> None:
    for value in (0, 255):
        pixels = torch.full((1, 3, 16, 16), value, dtype=torch.uint8)
        found = INPUTS.build({"name": "fft_log"})(pixels)
        assert found.isfinite().all()
        assert found.abs().max() <= 1


def fit(batches: list[torch.Tensor], size: int) -> LogCosine:
    module = LogCosine(size)
    for batch in batches:
        module.update(batch)
    module.finish()
    return module


def test_fitted_dct_log_is_standardised_by_the_images_it_was_fitted_to() -> None:
    pixels, other = images(20, 6, 6), images(4, 6, 6, seed=9)
    module = fit(list(pixels.split(7)), 6)
    assert module.fitted
    plain = LogCosine(6)
    assert not plain.fitted
    values = plain(pixels).double().numpy()
    expected = (plain(other).numpy() - values.mean(0)) / values.std(0)
    np.testing.assert_allclose(module(other).numpy(), expected, rtol=1e-4, atol=1e-4)
    standard = module(pixels).numpy()
    np.testing.assert_allclose(standard.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std(0), 1, atol=1e-4)


def test_fit_does_not_depend_on_the_batches() -> None:
    pixels = images(20, 6, 6)
    whole, parts = fit([pixels], 6), fit(list(pixels.split(3)), 6)
    for name in ("mean", "std"):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name), rtol=1e-6, atol=0)


def test_fit_to_equal_images_only_centres() -> None:
    pixels = images(1, 6, 6)
    module = fit([pixels] * 3, 6)
    assert (module.std == 1).all()
    torch.testing.assert_close(module(pixels), torch.zeros(1, 3, 6, 6), rtol=0, atol=1e-5)


def test_statistics_travel_in_the_state_dict() -> None:
    module, loaded = fit([images(5, 6, 6)], 6), LogCosine(6)
    state = module.state_dict()
    assert set(state) == {"fitted", "mean", "std"}
    loaded.load_state_dict(state)
    pixels = images(2, 6, 6, seed=1)
    assert loaded.fitted and torch.equal(loaded(pixels), module(pixels))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (33, 20), (64, 64)])
def test_fourier_amplitudes_by_products_equal_numpys(height: int, width: int) -> None:
    values = images(2, height, width).float()
    expected = np.abs(np.fft.fft2(values.double().numpy()))
    found = fourier_amplitudes(values).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())
