"""The logarithm of the discrete cosine transform, standardised per coefficient (Frank et al.)."""

from __future__ import annotations

import torch

from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError
from genspot.common.geometry import MAX_SIDE
from genspot.detector.inputs import register_input
from genspot.detector.inputs.fitted import FittedInput

SMALL = 1e-12  # added to the amplitude, so that its logarithm is finite


@register_input("dct_log")
class LogCosine(FittedInput):
    """The log amplitude of the 2-D DCT-II of each channel, standardised per coefficient.

    Frank et al., "Leveraging Frequency Analysis for Deep Fake Image Recognition", ICML 2020. The
    transform is orthonormal, of pixels from 0 to 255. Mean and standard deviation of each
    coefficient are those over the training images; they are 0 and 1 until they are fitted. A
    coefficient that never varied is only centred.

    Args:
        size: side of the images in pixels, which the statistics need.

    Raises:
        GenspotError: `size` is out of range.
    """

    mean: torch.Tensor
    std: torch.Tensor
    basis: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        check_integer("model.input.size", size, minimum=1, maximum=MAX_SIDE)
        self.size = size
        self.register_buffer("mean", torch.zeros(3, size, size))
        self.register_buffer("std", torch.ones(3, size, size))
        self.register_buffer("basis", cosine_basis(size), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 N×3×`size`×`size` of `uint8` pixels of the same shape.

        Raises:
            GenspotError: the images have another size.
        """
        return (self.log_amplitudes(pixels) - self.mean) / self.std

    def log_amplitudes(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return log(|DCT| + 1e-12), float32 N×3×`size`×`size`, of `uint8` pixels of that shape.

        Raises:
            GenspotError: the images have another size.
        """
        height, width = pixels.shape[-2:]
        if (height, width) != (self.size, self.size):
            raise GenspotError(
                f"model.input dct_log has statistics of {self.size} × {self.size} pixels, and "
                f"images of {height} × {width} were given: model.input.size, model.train.crop and "
                "model.test.crop must be equal"
            )
        with torch.autocast(pixels.device.type, enabled=False):  # products in bfloat16 are noise
            amplitudes = (self.basis @ pixels.float().contiguous() @ self.basis.T).abs()
        return (amplitudes + SMALL).log()

    def update(self, pixels: torch.Tensor) -> None:
        """Add the coefficients of `uint8` pixels N×3×`size`×`size`."""
        values = self.log_amplitudes(pixels).cpu().double()
        self.add(
            count=torch.tensor(len(values)), total=values.sum(0), squares=values.square().sum(0)
        )

    def finish(self) -> None:
        """Set mean and standard deviation (of the population, as NumPy's) of what was added."""
        count, total, squares = (self.sums[name] for name in ("count", "total", "squares"))
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        # Rounding leaves about 1e-7 of equal values.
        self.std.copy_(torch.where(std > 1e-6, std, 1))
        self.mean.copy_(mean)
        self.fitted.fill_(True)


def cosine_basis(size: int) -> torch.Tensor:
    """Return the orthonormal DCT-II as a matrix, float32 `size`×`size`: a row is a frequency."""
    places = torch.arange(size, dtype=torch.float64)
    angles = torch.outer(places, places + 0.5) * (torch.pi / size)
    basis = angles.cos() * (2 / size) ** 0.5
    basis[0] /= 2**0.5
    return basis.float()
