"""The pixels that a network sees of a photo that is decoded. Without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genspot.common.geometry import Geometry
from genspot.data import image_io
from genspot.data.settings import MAX_MEGAPIXELS, MAX_WHOLE_MEGAPIXELS

PixelFunction = Callable[[np.ndarray], np.ndarray]  # of `uint8`, H×W×3
Crop = Callable[[np.ndarray, int], np.ndarray]  # of an image, to a side in pixels


@dataclass(frozen=True)
class PhotoReading:
    """How a detector's images are prepared. All images are `uint8`, H×W×3, RGB.

    Attributes:
        geometry: how they are resized and cropped.
        protocol: what is done to each image before all else; None: nothing. It gives the same
            pixels each time.
        max_megapixels: of an image that is resized.
        max_whole_megapixels: of an image that is neither cropped nor resized to one size.
    """

    geometry: Geometry
    protocol: PixelFunction | None = None
    max_megapixels: int = MAX_MEGAPIXELS
    max_whole_megapixels: int = MAX_WHOLE_MEGAPIXELS

    def prepare(self, image: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return the pixels that the network sees, and whether they were padded.

        Raises:
            UnreadableError: the protocol fails, or the image is too large or too long.
        """
        return self.fit(self.resize(self.change(image)))

    def change(self, image: np.ndarray) -> np.ndarray:
        """Return `image` after the protocol.

        Raises:
            UnreadableError: it fails; with the reason.
        """
        try:
            return self.protocol(image) if self.protocol else image
        except Exception as error:
            known = isinstance(error, ValueError)
            reason = str(error) if known else image_io.describe_error(error)
            raise image_io.UnreadableError(f"protocol: {reason}") from error

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Return `image` resized.

        Raises:
            UnreadableError: it is too long and thin.
        """
        return image_io.resize(image, self.geometry.resize, self.max_megapixels)

    def fit(self, image: np.ndarray, crop: Crop = image_io.centre_crop) -> tuple[np.ndarray, bool]:
        """Return a resized image cropped by `crop`, and whether it was padded.

        Raises:
            UnreadableError: the whole image is too large for a network.
        """
        size = self.geometry.crop
        if not self.geometry.fixed_size:
            image_io.check_whole_image(image, self.max_whole_megapixels)
        if size is None:
            return image, False
        return crop(image, size), min(image.shape[:2]) < size
