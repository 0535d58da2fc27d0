"""JPEG compression as published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.verified import probe_images, proven
from genspot.augment.ranges import as_range


def opencv_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """`image` (`uint8` RGB) through OpenCV's encoder and decoder, which want BGR."""
    decoded = cv2.imdecode(_encode(image, quality), cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV cannot decode what it encoded"
    return np.ascontiguousarray(decoded[..., ::-1])


def pil_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """`image` (`uint8` RGB) through PIL's encoder and decoder."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.array(Image.open(buffer))


def _encode(image: np.ndarray, quality: int) -> np.ndarray:
    reversed_channels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", reversed_channels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]


def _fastest(image: np.ndarray, quality: int) -> np.ndarray:
    """OpenCV's encoder and simplejpeg's decoder, which give the bits of either codec."""
    import simplejpeg

    decoded: np.ndarray = simplejpeg.decode_jpeg(_encode(image, quality), "RGB")
    return decoded


PROBES = [(image, quality) for image in probe_images() for quality in (1, 30, 65, 90, 95, 100)]
CODECS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "cv2": proven(_fastest, opencv_jpeg, PROBES, "JPEG of OpenCV (simplejpeg)"),
    "pil": proven(_fastest, pil_jpeg, PROBES, "JPEG of PIL (OpenCV, simplejpeg)"),
}


class JPEG(ImageOnlyTransform):
    """JPEG compression of a `uint8` H×W×3 RGB image (Wang et al. 2020, section 4.1).

    The codec is drawn for each image because the published experiment did so; where their
    builds share one libjpeg, as today's do, the two give the same bits.

    Args:
        quality: 1 to 100, or the [lowest, highest] it is drawn from, both ends included.
        codecs: those drawn from, of "cv2" and "pil".
        p: probability that an image is compressed.

    Raises:
        ValueError: a quality beyond [1, 100] or out of order, or an unknown codec.
    """

    def __init__(
        self,
        quality: int | Sequence[int] = (30, 100),
        codecs: Sequence[str] = ("cv2", "pil"),
        p: float = 0.5,
    ) -> None:
        super().__init__(p=p)
        low, high = as_range(quality, "quality", 1, 100)
        names = () if codecs is None or isinstance(codecs, str) else tuple(codecs)
        if not names or set(names) - CODECS.keys() or low % 1 or high % 1:
            raise ValueError(
                f"JPEG takes whole qualities and codecs of {', '.join(CODECS)}; "
                f"got quality={quality}, codecs={codecs}"
            )
        self.quality = (int(low), int(high))
        self.codecs = names

    def get_params(self) -> dict[str, Any]:
        return {
            "quality": self.py_random.randint(*self.quality),
            "codec": self.py_random.choice(self.codecs),
        }

    def apply(self, img: np.ndarray, quality: int, codec: str, **params: Any) -> np.ndarray:
        return CODECS[codec](img, quality)
