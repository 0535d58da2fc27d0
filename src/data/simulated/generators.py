"""Simulated generators: small autoencoders whose decoders upsample as real generators do.

A detector of generated images learns the traces of upsampling. An autoencoder that reconstructs a
photograph through such a decoder therefore produces fakes to train on, without any GAN (Zhang,
Karaman & Chang, "Detecting and simulating artifacts in GAN fake images", WIFS 2019). Theirs is
trained against a discriminator (`genspot.data.simulated.autogan`). These are trained to match the
pixels and the high-frequency energy of the photograph instead: they are small, and their sharpness
does not give them away.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from genspot.common.errors import GenspotError
from genspot.data.settings import UPSAMPLERS

WEIGHTS = Path(__file__).with_name("simulators.safetensors")


def make_upsampler(kind: str, inputs: int, outputs: int) -> nn.Module:
    """Return a module that doubles height and width, from `inputs` to `outputs` channels.

    Args:
        kind: one of `UPSAMPLERS`.
        inputs: number of channels.
        outputs: number of channels.

    Raises:
        GenspotError: there is no such kind.
    """
    if kind in ("nearest", "bilinear"):  # ProGAN; StyleGAN
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode=kind), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
    if kind == "deconv4":  # DCGAN: the kernel is a multiple of the stride
        return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
    if kind == "deconv3":  # CycleGAN: it is not, so the windows overlap unevenly
        return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
    if kind == "deconv2":  # the windows do not overlap: each pixel of four has weights of its own
        return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
    if kind == "shuffle":  # super-resolution
        return nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2))
    raise GenspotError(f"unknown upsampling {kind!r}; choose one of {', '.join(UPSAMPLERS)}")


class Simulator(nn.Module):
    """Autoencoder of RGB images, float N×3×H×W in [0, 1]; H and W are multiples of 2**stages.

    The third stage lies inside the two others, so that a trained simulator with two stages can
    grow by one, as ProGAN does. Three stages hardly train from the beginning.

    Args:
        upsampling: one of `UPSAMPLERS`.
        stages: how often the encoder halves and the decoder doubles the size (2 or 3).

    Raises:
        GenspotError: there is no such upsampling or number of stages.
    """

    def __init__(self, upsampling: str, stages: int = 2) -> None:
        super().__init__()
        if stages not in (2, 3):
            raise GenspotError(f"a simulator has 2 or 3 upsampling stages, not {stages}")
        self.encode = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 64, 3, padding=1),
        )
        self.inner = nn.Sequential()
        if stages == 3:
            down = nn.Conv2d(64, 192, 3, stride=2, padding=1)
            self.inner = nn.Sequential(
                down, nn.LeakyReLU(0.2), make_upsampler(upsampling, 192, 64)
            )
        self.decode = nn.Sequential(
            make_upsampler(upsampling, 64, 32),
            nn.LeakyReLU(0.2),
            make_upsampler(upsampling, 32, 16),
            nn.LeakyReLU(0.2),
            nn.Conv2d(16, 3, 1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = self.decode(self.inner(self.encode(images)))
        return decoded


def load_simulator(name: str, upsampling: str, stages: int) -> Simulator:
    """Return the shipped simulator `name`, in evaluation mode, float32, on the CPU.

    Raises:
        GenspotError: there are no weights of that name, or they do not fit.
    """
    prefix = f"{name}."
    weights = {
        key.removeprefix(prefix): value.float()
        for key, value in load_file(WEIGHTS).items()
        if key.startswith(prefix)
    }
    if not weights:
        raise GenspotError(f"no weights for simulator {name!r} in {WEIGHTS.name}")
    simulator = Simulator(upsampling, stages)
    if {key: value.shape for key, value in weights.items()} != {
        key: value.shape for key, value in simulator.state_dict().items()
    }:
        raise GenspotError(f"{name} is not a simulator with {stages} stages of {upsampling!r}")
    simulator.load_state_dict(weights)
    return simulator.eval()


@torch.inference_mode()
def simulate(simulator: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the fakes of real images, both `uint8`, N×H×W×3."""
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    batch = batch.to(next(simulator.parameters()).device)
    fakes = simulator(batch).clamp(0, 1).mul(255).round().to(torch.uint8)
    return fakes.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def sharpness(images: torch.Tensor) -> torch.Tensor:
    """Return the log energy of the Laplacian of each image, N×3×H×W to N."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device=images.device)
    laplacian = functional.conv2d(images.flatten(0, 1).unsqueeze(1), kernel[None, None])
    energy = laplacian.square().mean((1, 2, 3)).add(1e-6).log()
    return energy.view(images.shape[:2]).mean(1)
