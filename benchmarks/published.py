"""The published input pipeline, rebuilt from the public libraries that it called.

Wang et al. (CVPR 2020), section 4: PIL decodes, torchvision resizes to 256 pixels, SciPy blurs
each channel in place, OpenCV or PIL compresses, torchvision crops, flips and normalises. The
random parameters are arguments, so that another pipeline can be compared with it to the bit. The
tests use it as well.
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

SIDE, CROP = 256, 224  # pixels
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@dataclass
class Parameters:
    """The random parameters of one image."""

    sigma: float | None  # of the blur, in pixels; None: not blurred
    jpeg: tuple[int, str] | None  # quality and codec; None: not compressed
    top: int  # of the crop
    left: int
    flip: bool


def published_crop(
    path: str, parameters: Parameters, side: int = SIDE, crop: int = CROP
) -> Image.Image:
    """Return the crop of the image at `path` that the published pipeline makes."""
    with Image.open(path) as file:
        image = functional.resize(file.convert("RGB"), side)
    pixels = np.array(image)
    if parameters.sigma is not None:
        for channel in range(3):
            plane = pixels[:, :, channel]
            gaussian_filter(plane, output=plane, sigma=parameters.sigma)
    if parameters.jpeg is not None:
        pixels = compress(pixels, *parameters.jpeg)
    top, left = parameters.top, parameters.left
    image = functional.crop(Image.fromarray(pixels), top, left, crop, crop)
    return functional.hflip(image) if parameters.flip else image


def compress(pixels: np.ndarray, quality: int, codec: str) -> np.ndarray:
    """Return `pixels` (`uint8` RGB) after JPEG by `codec`, "cv2" or "pil"."""
    if codec == "cv2":
        options = [int(cv2.IMWRITE_JPEG_QUALITY), quality]
        _, encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], options)
        decoded = cv2.imdecode(encoded, 1)
        assert decoded is not None
        return decoded[:, :, ::-1]
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="jpeg", quality=quality)
    return np.array(Image.open(buffer))


def normalised_tensor(crop: Image.Image) -> torch.Tensor:
    """Return the input of the published network: float32, 3×H×W, normalised."""
    return functional.normalize(functional.to_tensor(crop), MEAN, STD)


def drawn_parameters(
    dataset: ImageDataset, epoch: int, row: int, height: int, width: int
) -> Parameters:
    """Return the parameters that `dataset` draws for (epoch, row).

    The same random streams are applied to an image whose pixels hold their own coordinates, with
    transforms that record their parameters.

    Args:
        dataset: training images with a blur and then a JPEG.
        epoch: of the sample.
        row: of the sample.
        height: of the image after resizing, at most 256 pixels.
        width: of the image after resizing, at most 256 pixels.
    """
    recorded: dict[str, Any] = {}

    class RecordingBlur(Blur):
        def apply(self, img: np.ndarray, sigma: float, **_: Any) -> np.ndarray:
            recorded["sigma"] = sigma
            return img

    class RecordingJPEG(JPEG):
        def apply(self, img: np.ndarray, quality: int, codec: str, **_: Any) -> np.ndarray:
            recorded["jpeg"] = quality, codec
            return img

    assert dataset.augment is not None
    blur, jpeg = dataset.augment.transforms
    recorders = [
        RecordingBlur(blur.sigma, p=blur.p),
        RecordingJPEG(jpeg.quality, jpeg.codecs, p=jpeg.p),
    ]
    rows, columns = np.mgrid[:height, :width]
    coordinates = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
    recorder = ImageDataset(
        dataset.table,
        albumentations.Compose(recorders),
        dataset.geometry,
        train=True,
        seed=dataset.seed,
        read=lambda _: coordinates,
    )
    crop = recorder[epoch, row]["image"]
    assert crop is not None
    top, left, right = (int(value) for value in (crop[0, 0, 0], crop[0, 0, 1], crop[0, -1, 1]))
    sigma, jpeg = recorded.get("sigma"), recorded.get("jpeg")
    return Parameters(sigma, jpeg, top, min(left, right), flip=left > right)
