"""The networks of AutoGAN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from genspot.data.simulated.autogan import Discriminator, Generator


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("width", "blocks"), [(4, 0), (8, 2), (64, 9)])
def test_networks_have_the_parameters_of_cyclegans_tables(width: int, blocks: int) -> None:
    """arXiv 1703.10593, appendix: c7s1-64, d128, d256, R256, u128, u64, c7s1-3; C64 to C512."""
    kernels = [(7, 3, 1), (3, 1, 2), (3, 2, 4), *[(3, 4, 4)] * 2 * blocks, (3, 4, 2), (3, 2, 1)]
    expected = 7 * 7 * width * 3 + 3
    for kernel, inputs, outputs in kernels:
        inputs = inputs if kernel == 7 else inputs * width
        expected += kernel**2 * inputs * outputs * width + outputs * width
    assert count(Generator(width, blocks)) == expected
    expected = 16 * 8 * width + 1 + 16 * 3 * width + width
    expected += sum(16 * size * 2 * size + 2 * size for size in (width, 2 * width, 4 * width))
    assert count(Discriminator(width)) == expected


@pytest.mark.parametrize("sides", [(32, 32), (64, 48), (33, 47)])
def test_generator_gives_back_images_in_range_at_the_next_multiple_of_4(
    sides: tuple[int, int],
) -> None:
    images = torch.rand(2, 3, *sides)
    with torch.inference_mode():
        fakes = Generator(4, 1)(images)
    assert fakes.shape[2:] == tuple(-(-side // 4) * 4 for side in sides)
    assert fakes.min() >= 0 and fakes.max() <= 1 and fakes.std() > 0


def test_discriminator_sees_patches_of_70_pixels() -> None:
    """A pixel changes the scores whose patches hold it; instance norm would mix all places."""
    network = Discriminator(2)
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.InstanceNorm2d):
                    setattr(module, name, nn.Identity())
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    images = torch.zeros(1, 3, 256, 256, requires_grad=True)
    scores = network(images)
    assert scores.shape == (1, 1, 30, 30)
    scores[0, 0, 15, 15].backward()
    assert images.grad is not None
    seen = images.grad[0, 0].nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [70, 70]


def test_upsampling_is_a_transposed_convolution_of_kernel_3_and_stride_2() -> None:
    layers = [one for one in Generator(2, 0).layers if isinstance(one, nn.ConvTranspose2d)]
    assert [one.weight.shape[:2] for one in layers] == [(8, 4), (4, 2)]
    features = torch.rand(1, 8, 5, 5)
    spread = np.zeros((8, 11, 11))  # zeros between the values, and one after the last
    spread[:, :9:2, :9:2] = features[0]
    kernels = layers[0].weight.detach().numpy()
    bias = layers[0].bias
    assert bias is not None
    expected = [
        sum(
            correlate2d(np.pad(spread[i], 1)[:12, :12], kernels[i, o, ::-1, ::-1], mode="valid")
            for i in range(8)
        )
        for o in range(4)
    ]
    actual = layers[0](features)[0].detach().numpy() - bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(actual, np.stack(expected), atol=1e-5)
