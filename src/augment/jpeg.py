"""The JPEG compression of the published experiment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.ranges import as_range
from genspot.augment.verified import sample_images, verified_or_fallback
from genspot.common.errors import GenspotError

MAX_SIDE = 65_500  # pixels; a JPEG holds no longer sides


def _opencv_encode(image: np.ndarray, quality: int) -> np.ndarray:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]


def _opencv_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Encode and decode `image` (`uint8` RGB) by OpenCV."""
    decoded: Any = cv2.imdecode(_opencv_encode(image, quality), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1])  # from BGR


def _pil_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Encode and decode `image` (`uint8` RGB) by PIL."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.array(Image.open(buffer))


def _fast_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Encode by OpenCV and decode by simplejpeg, to the same bits as either codec."""
    import simplejpeg

    return np.asarray(simplejpeg.decode_jpeg(_opencv_encode(image, quality), "RGB"))


_SAMPLES = [(image, quality) for image in sample_images() for quality in (1, 30, 65, 90, 95, 100)]
CODECS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "cv2": verified_or_fallback(_fast_jpeg, _opencv_jpeg, _SAMPLES, "JPEG codec of OpenCV"),
    "pil": verified_or_fallback(_fast_jpeg, _pil_jpeg, _SAMPLES, "JPEG codec of PIL"),
}


class JPEG(ImageOnlyTransform):
    """JPEG compression of a `uint8` H×W×3 RGB image (Wang et al. 2020, section 4.1).

    As in the published experiment, the codec of each image is drawn at random. Both give the same
    bits if they are built with the same libjpeg, as current releases are.

    Args:
        quality: 1 to 100, or the [lowest, highest] it is drawn from, both included.
        codecs: names to draw from, of "cv2" and "pil".
        p: probability that an image is compressed.

    Raises:
        GenspotError: A quality is not a whole number from 1 to 100, the pair is not in ascending
            order, or a codec is unknown.
    """

    def __init__(
        self,
        quality: float | Sequence[float] = (30, 100),
        codecs: Sequence[str] = ("cv2", "pil"),
        p: float = 0.5,
    ) -> None:
        super().__init__(p=p)
        low, high = as_range(quality, "quality", 1, 100)
        names = () if codecs is None or isinstance(codecs, str) else tuple(codecs)
        if not names or set(names) - CODECS.keys() or low % 1 or high % 1:
            raise GenspotError(
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
        if max(img.shape[:2]) > MAX_SIDE:
            size = f"{img.shape[1]} × {img.shape[0]}"
            raise ValueError(f"{size} pixels: a JPEG has no side above {MAX_SIDE}")
        return CODECS[codec](img, quality)
