"""Deliveries drawn at random, for training: photos scaled and encoded again, even twice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.deliveries import MAX_PIXELS, MAX_SIDES, encode_jpeg, encode_webp
from genspot.augment.ranges import as_range
from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError
from genspot.common.geometry import MAX_SIDE

FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
SUBSAMPLINGS = ("4:2:0", "4:4:4")
MAX_CHAIN = 8
MAX_SCALE = 4


class _Step(NamedTuple):
    """One delivery: a scaling, and a codec."""

    scale: float
    resampling: Image.Resampling
    codec: str  # jpeg or webp
    quality: int
    subsampling: str  # of jpeg


class RandomDeliveries(ImageOnlyTransform):
    """Deliver a `uint8` H×W×3 RGB image once or repeatedly, as `deliveries.DELIVERIES` do it.

    Each delivery scales the image with probability `scaled`, by a factor and a filter of PIL
    (bilinear, bicubic or Lanczos) that are drawn; then it is encoded: as WebP with probability
    `webp`, as JPEG otherwise or where a side is too long for WebP, with or without subsampled
    chroma. What is drawn does not depend on the image, so that both classes are delivered alike.
    The deliveries of services shrink photos to sides that the images of a training do not have;
    so the factors take their place.

    Args:
        chain: most deliveries of an image, from 1 to 8; each number up to it is as likely.
        scale: factor, or [lowest, highest], above 0 and at most 4.
        scaled: probability that a delivery scales.
        quality: 1 to 100, or the [lowest, highest] it is drawn from, both included.
        webp: probability of WebP.
        min_side: pixels; an image whose shorter side would be below it is scaled to it instead,
            so that it can be cropped. A smaller image is not enlarged for it.
        p: probability that an image is delivered.

    Raises:
        GenspotError: a setting is outside its range.
    """

    def __init__(
        self,
        chain: int = 2,
        scale: float | Sequence[float] = (0.5, 1.0),
        scaled: float = 0.5,
        quality: float | Sequence[float] = (60, 100),
        webp: float = 0.2,
        min_side: int = 1,
        p: float = 0.5,
    ) -> None:
        super().__init__(p=p)
        check_integer("chain", chain, minimum=1, maximum=MAX_CHAIN)
        check_integer("min_side", min_side, minimum=1, maximum=MAX_SIDE)
        self.chain, self.min_side = chain, min_side
        self.scale = as_range(scale, "scale", 1 / 256, MAX_SCALE)
        low, high = as_range(quality, "quality", 1, 100)
        if low % 1 or high % 1:
            raise GenspotError(f"quality={quality} is not a whole number, or a pair of them")
        self.quality = (int(low), int(high))
        self.scaled, _ = as_range(scaled, "scaled", 0, 1)
        self.webp, _ = as_range(webp, "webp", 0, 1)

    def get_params(self) -> dict[str, Any]:
        return {"steps": [self._draw() for _ in range(self.py_random.randint(1, self.chain))]}

    def _draw(self) -> _Step:
        random = self.py_random
        return _Step(
            scale=random.uniform(*self.scale) if random.random() < self.scaled else 1.0,
            resampling=random.choice(FILTERS),
            codec="webp" if random.random() < self.webp else "jpeg",
            quality=random.randint(*self.quality),
            subsampling=random.choice(SUBSAMPLINGS),
        )

    def apply(self, img: np.ndarray, steps: list[_Step], **params: Any) -> np.ndarray:
        return np.array(reduce(self._deliver, steps, Image.fromarray(img)))

    def _deliver(self, photo: Image.Image, step: _Step) -> Image.Image:
        scale = max(step.scale, min(1.0, self.min_side / min(photo.size)))
        if scale > 1:  # no larger than what is delivered
            pixels = photo.width * photo.height
            largest = min((MAX_PIXELS / pixels) ** 0.5, MAX_SIDES["JPEG"] / max(photo.size))
            scale = max(1.0, min(scale, largest))
        if scale != 1:
            size = [max(1, round(side * scale)) for side in photo.size]
            photo = photo.resize(size, step.resampling)
        if step.codec == "webp" and max(photo.size) <= MAX_SIDES["WEBP"]:
            content = encode_webp(photo, step.quality)
        else:
            content = encode_jpeg(photo, step.quality, step.subsampling)
        return Image.open(BytesIO(content)).convert("RGB")
