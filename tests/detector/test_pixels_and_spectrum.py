"""The network of two halves, against a plain loop over windows and frequencies in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.backbones.pixels_and_spectrum import (
    BOUND,
    SMALL,
    PixelsAndSpectrum,
    _drawn_weights,
    _excess,
    mean_power,
)
from genspot.detector.inputs import INPUTS
from genspot.detector.network import DetectorNetwork, fuse_batchnorm


def make(halves: Any = ("pixels", "spectrum"), width: int = 4) -> PixelsAndSpectrum:
    torch.manual_seed(0)
    settings = {"channels": 6, "width": width, "halves": list(halves)}
    found = BACKBONES.build({"name": "pixels_and_spectrum", **settings})
    assert isinstance(found, PixelsAndSpectrum)
    return found.eval()


def features(count: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, 6, height, width, generator=generator)


def hann() -> torch.Tensor:
    window = torch.hann_window(64, periodic=False)
    return torch.outer(window, window)


def power_by_loop(image: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the mean power of all windows, over mirrored and transposed frequencies."""
    total, count = np.zeros((64, 64)), 0
    for top in range(0, image.shape[0] - 63, 32):
        for left in range(0, image.shape[1] - 63, 32):
            part = image[top : top + 64, left : left + 64]
            total += np.abs(np.fft.fft2((part - part.mean()) * window)) ** 2
            count += 1
    mean = total / count
    result = np.zeros((33, 33))
    for i in range(33):
        for j in range(33):
            pairs = [(i, j), (-i, j), (i, -j), (-i, -j)]
            alike = [*pairs, *[(b, a) for a, b in pairs]]
            result[i, j] = np.mean([mean[a % 64, b % 64] for a, b in alike])
    return result


@pytest.mark.parametrize("size", [(64, 64), (100, 64), (130, 97)], ids=str)
def test_mean_power_is_that_of_a_loop_over_windows_and_frequencies(size: tuple[int, int]) -> None:
    image = features(1, *size)[0, 0]
    found = mean_power(image[None], hann())[0].numpy()
    np.testing.assert_allclose(found, power_by_loop(image.double().numpy(), hann().numpy()), 1e-3)


def test_a_mirrored_and_a_transposed_image_have_the_same_power() -> None:
    image = features(1, 128, 128)[0, :1]
    found = mean_power(image, hann())
    for other in (image.flip(2), image.flip(1), image.transpose(1, 2)):
        torch.testing.assert_close(mean_power(other, hann()), found, rtol=1e-4, atol=1e-4)


def test_checkerboard_of_a_period_of_four_is_a_peak_at_a_quarter_of_the_frequencies() -> None:
    noise = 0.05 * features(1, 128, 128)[0, 0]
    places = torch.arange(128)
    wave = torch.cos(torch.pi / 2 * places)
    power = mean_power((noise + 0.2 * torch.outer(wave, wave))[None], hann())
    excess = _excess((power + SMALL).log())[0]
    peak = np.unravel_index(int(excess.argmax()), excess.shape)
    assert peak == (16, 16) and excess[16, 16] > 2


def test_excess_subtracts_the_mean_of_seven_by_seven_mirrored_neighbours() -> None:
    spectra = torch.randn(2, 33, 33, generator=torch.Generator().manual_seed(1))
    expected = [one - uniform_filter(one, 7, mode="mirror") for one in spectra.double().numpy()]
    np.testing.assert_allclose(_excess(spectra), expected, atol=1e-5)


def test_brightness_and_contrast_do_not_move_the_excess() -> None:
    """Where the power is far above what keeps its logarithm finite."""
    image = features(1, 128, 128)[0, :1]
    excess = [_excess(mean_power(one, hann()).log()) for one in (image, 3 * image + 7)]
    torch.testing.assert_close(excess[0], excess[1], atol=1e-3, rtol=0)


def test_logit_is_the_mean_of_the_bounded_logits_of_the_halves() -> None:
    network, found = make(), features(3, 96, 96)
    both = torch.cat([half(found) for half in network.halves.values()], 1)
    expected = (BOUND * (both / BOUND).tanh()).mean(1, keepdim=True)
    torch.testing.assert_close(network(found), expected)
    assert network(1e4 * found).abs().max() <= BOUND


@pytest.mark.parametrize("half", ["pixels", "spectrum"])
def test_one_half_alone_has_no_parameters_of_the_other(half: str) -> None:
    network = make([half])
    assert list(network.halves) == [half]
    assert network(features(2, 80, 72)).shape == (2, 1)


def test_a_training_leaves_out_each_half_of_a_third_of_the_images() -> None:
    torch.manual_seed(0)
    weights = _drawn_weights(torch.zeros(6000, 2))
    assert set(map(tuple, weights.tolist())) == {(1, 0), (0, 1), (0.5, 0.5)}
    np.testing.assert_allclose((weights == 1).float().mean(0), 1 / 3, atol=0.02)


def test_both_halves_learn_in_a_training() -> None:
    network = make().train()
    loss = network(features(16, 64, 64)).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    for half in network.halves.values():
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in half.parameters())


def test_a_batch_of_one_image_trains_with_the_statistics_of_those_before() -> None:
    network, found = make(["spectrum"]), features(1, 64, 64)
    expected = network(found)
    half: Any = network.train().halves["spectrum"]
    half.dropout.p = 0.0
    torch.testing.assert_close(network(found), expected)


def test_flat_images_have_finite_logits_and_gradients() -> None:
    network = make().train()
    flat = torch.zeros(4, 6, 64, 64, requires_grad=True)
    network(flat).sum().backward()
    assert flat.grad is not None and flat.grad.isfinite().all()
    assert network.eval()(flat).isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (40, 90)], ids=str)
def test_a_small_image_is_padded_with_zeros_for_its_spectrum(size: tuple[int, int]) -> None:
    network, found = make(["spectrum"]), features(2, *size)
    padded = torch.zeros(2, 6, max(64, size[0]), max(64, size[1]))
    padded[..., : size[0], : size[1]] = found
    torch.testing.assert_close(network(found), network(padded))


def test_fused_network_has_the_same_logits() -> None:
    parts = [{"name": "pixels", "mean": 3 * [0.5], "std": 3 * [0.5]}, {"name": "laplacian"}]
    network = DetectorNetwork(INPUTS.build({"name": "stacked", "parts": parts}), make()).eval()
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (3, 96, 96, 3), dtype=np.uint8))
    fused = fuse_batchnorm(network)
    assert type(fused.backbone) is not PixelsAndSpectrum  # traced
    torch.testing.assert_close(fused(images), network(images), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width"),
        ({"channels": 2.5}, "channels"),
        ({"halves": []}, "halves"),
        ({"halves": ["pixels", "pixels"]}, "halves"),
        ({"halves": ["phase"]}, "halves"),
        ({"halves": "pixels"}, "halves"),
        ({"halves": [{"a": 1}]}, "halves"),
    ],
)
def test_setting_out_of_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(GenspotError, match=rf"model\.backbone\.{message}"):
        PixelsAndSpectrum(**{"channels": 6, "width": 4, **settings})
