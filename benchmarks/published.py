"""The published input pipeline, rebuilt from the public libraries it called.

Wang et al. (CVPR 2020), section 4: PIL decodes, torchvision resizes to 256, SciPy blurs each
channel in place, cv2 or PIL compresses, torchvision crops, flips and normalises. Its random
draws are given, so that another pipeline can be held against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import albumentations
import cv2
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchvision.transforms import functional

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.data.dataset import ImageDataset

SIDE, CROP = 256, 224
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@dataclass
class Draws:
    """What was drawn for one image; None where it is not blurred or not compressed."""

    sigma: float | None
    jpeg: tuple[int, str] | None  # quality and codec
    top: int
    left: int
    flip: bool


def published(path: str, draws: Draws, side: int = SIDE, crop: int = CROP) -> Image.Image:
    """The crop that the published pipeline cuts, as PIL image."""
    with Image.open(path) as file:
        image = functional.resize(file.convert("RGB"), side)
    pixels = np.array(image)
    if draws.sigma is not None:
        for channel in range(3):
            plane = pixels[:, :, channel]
            gaussian_filter(plane, output=plane, sigma=draws.sigma)
    if draws.jpeg is not None:
        pixels = compress(pixels, *draws.jpeg)
    image = functional.crop(Image.fromarray(pixels), draws.top, draws.left, crop, crop)
    return functional.hflip(image) if draws.flip else image


def compress(pixels: np.ndarray, quality: int, codec: str) -> np.ndarray:
    """JPEG by "cv2" or "pil"."""
    if codec == "cv2":
        parameters = [int(cv2.IMWRITE_JPEG_QUALITY), quality]
        _, encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], parameters)
        decoded = cv2.imdecode(encoded, 1)
        assert decoded is not None
        return decoded[:, :, ::-1]
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="jpeg", quality=quality)
    return np.array(Image.open(buffer))


def tensor(crop: Image.Image) -> torch.Tensor:
    """What the published pipeline hands on: float32, 3×H×W, normalised."""
    return functional.normalize(functional.to_tensor(crop), MEAN, STD)


def draws_of(dataset: ImageDataset, epoch: int, row: int, height: int, width: int) -> Draws:
    """What `dataset` draws for (epoch, row), found out by an image whose pixels tell their place.

    Args:
        dataset: in training, with the published degradations.
        epoch, row: the sample.
        height, width: of the image after resizing, 256 at most.
    """
    seen: dict[str, Any] = {}

    class SpyBlur(Blur):
        def apply(self, img: np.ndarray, sigma: float, **_: Any) -> np.ndarray:
            seen["sigma"] = sigma
            return img

    class SpyJPEG(JPEG):
        def apply(self, img: np.ndarray, quality: int, codec: str, **_: Any) -> np.ndarray:
            seen["jpeg"] = quality, codec
            return img

    assert dataset.augment is not None
    blur, jpeg = dataset.augment.transforms
    spies = [SpyBlur(blur.sigma, p=blur.p), SpyJPEG(jpeg.quality, jpeg.codecs, p=jpeg.p)]
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
    spy = ImageDataset(
        dataset.table,
        albumentations.Compose(spies),
        crop=dataset.crop,
        train=True,
        seed=dataset.seed,
        read=lambda _: places,
    )
    crop = spy[epoch, row]["image"]
    assert crop is not None
    left, right = int(crop[0, 0, 1]), int(crop[0, -1, 1])
    return Draws(
        seen.get("sigma"), seen.get("jpeg"), int(crop[0, 0, 0]), min(left, right), left > right
    )
