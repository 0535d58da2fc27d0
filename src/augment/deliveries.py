"""Photos as messengers, social networks and screenshots deliver them.

Services change these figures without notice, and treat photos by size, device and connection.
Each delivery has its source; what no source says is assumed. docs/deliveries.md has the links.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image

Frame = Callable[[Image.Image], Image.Image]
Codec = Callable[[Image.Image], bytes]

MAX_PIXELS = 2**26  # of a delivered photo
MAX_SIDES = {"JPEG": 65_500, "WEBP": 16_383}  # pixels that a file of the format holds
SIGNAL_BYTES = 2**20
BLUESKY_BYTES = 1_000_000


@dataclass(frozen=True)
class Delivery:
    """One way in which a photo reaches its viewer.

    The result is a function of the pixels alone, with the same builds of PIL and its codecs.

    Attributes:
        name: of the delivery, in tables.
        title: what is done to the photo, in words.
        attempts: how the photo is framed and then encoded, None for without loss; of several, the
            first whose file is small enough, or else the last.
        max_bytes: of the file; None: any size.
    """

    name: str
    title: str
    attempts: tuple[tuple[Frame, Codec | None], ...]
    max_bytes: int | None = None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return `image` as delivered; see `deliver`."""
        return self.deliver(image)[0]

    def deliver(self, image: np.ndarray) -> tuple[np.ndarray, bytes]:
        """Return `image` as delivered, and the file that it is delivered as; b"" without loss.

        Args:
            image: `uint8`, H×W×3, RGB. The result is the same with another H and W.

        Raises:
            ValueError: it is too large or too thin for this delivery; in one line.
        """
        photo, content = Image.fromarray(image), b""
        for frame, encode in self.attempts:
            framed = frame(photo)
            if encode is None:
                return np.array(framed), b""
            content = encode(framed)
            if self.max_bytes is None or len(content) <= self.max_bytes:
                break
        return np.array(Image.open(BytesIO(content)).convert("RGB")), content


def fit_inside(photo: Image.Image, width: int, height: int, enlarge: bool = False) -> Image.Image:
    """Return `photo`, scaled to fit into a box; a smaller one as it is unless `enlarge`."""
    scale = min(width / photo.width, height / photo.height)
    return photo if scale >= 1 and not enlarge else _scaled(photo, scale)


def fit_area(photo: Image.Image, pixels: int) -> Image.Image:
    """Return `photo`, scaled down to about `pixels` where it has more."""
    scale = (pixels / (photo.width * photo.height)) ** 0.5
    return photo if scale >= 1 else _scaled(photo, scale)


def fit_feed(
    photo: Image.Image, tallest: float, widest: float, narrow: int, wide: int
) -> Image.Image:
    """Return `photo`, cropped at the centre to a range of shapes, its width scaled into another.

    Args:
        photo: any.
        tallest: least width divided by height.
        widest: largest width divided by height.
        narrow: least width in pixels; a narrower photo is enlarged.
        wide: largest width in pixels.
    """
    width = min(photo.width, max(1, round(photo.height * widest)))
    height = min(photo.height, max(1, round(photo.width / tallest)))
    photo = _central(photo, width, height)
    target = min(max(width, narrow), wide)
    return photo if target == width else _scaled(photo, target / width)


def cut_margins(photo: Image.Image, share: float) -> Image.Image:
    """Return the centre of `photo`: `share` of each side is cut off at each end."""
    width, height = (max(1, round(side * (1 - 2 * share))) for side in photo.size)
    return _central(photo, width, height)


def encode_jpeg(photo: Image.Image, quality: int, subsampling: str = "4:2:0") -> bytes:
    """Return `photo` as a JPEG file of libjpeg's `quality`, with subsampled chroma."""
    return _encoded(photo, "JPEG", quality=quality, subsampling=subsampling)


def encode_webp(photo: Image.Image, quality: int) -> bytes:
    """Return `photo` as a lossy WebP file of libwebp's `quality`."""
    return _encoded(photo, "WEBP", quality=quality)


def _encoded(photo: Image.Image, kind: str, **options: object) -> bytes:
    if max(photo.size) > MAX_SIDES[kind]:
        raise ValueError(f"{_size(photo.size)}: {kind} holds no side above {MAX_SIDES[kind]}")
    buffer = BytesIO()
    photo.save(buffer, kind, **options)
    return buffer.getvalue()


def _scaled(photo: Image.Image, scale: float) -> Image.Image:
    width, height = (max(1, round(side * scale)) for side in photo.size)
    if width * height > MAX_PIXELS:
        raise ValueError(f"the result would have {_size((width, height))}")
    return photo.resize((width, height), Image.Resampling.LANCZOS)


def _central(photo: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]} pixels"


def _square(side: int) -> Frame:
    return partial(fit_inside, width=side, height=side)


def _jpeg(quality: int, subsampling: str = "4:2:0") -> Codec:
    return partial(encode_jpeg, quality=quality, subsampling=subsampling)


# In the order of docs/deliveries.md, which has the source of each figure.
DELIVERIES = (
    Delivery("whatsapp", "1600 pixels, JPEG 75", ((_square(1600), _jpeg(75)),)),
    Delivery(
        "signal",
        "1600 pixels, JPEG 70, 1 MiB",
        tuple((_square(side), _jpeg(70)) for side in (1600, 1024, 768, 512)),
        SIGNAL_BYTES,
    ),
    Delivery("telegram", "1280 pixels, JPEG 80", ((_square(1280), _jpeg(80)),)),
    Delivery("delta_chat", "640 pixels, JPEG 75", ((_square(640), _jpeg(75)),)),
    Delivery("facebook", "2048 pixels, JPEG 85", ((_square(2048), _jpeg(85)),)),
    Delivery(
        "instagram",
        "shape 4:5 to 1.91:1, width 320 to 1440, JPEG 75",
        ((partial(fit_feed, tallest=4 / 5, widest=1.91, narrow=320, wide=1440), _jpeg(75)),),
    ),
    Delivery("x_small", "680 pixels, JPEG 85", ((_square(680), _jpeg(85)),)),
    Delivery(
        "mastodon",
        "1.6 megapixels, JPEG 90 without subsampled chroma",
        ((partial(fit_area, pixels=1_638_400), _jpeg(90, "4:4:4")),),
    ),
    Delivery(
        "bluesky",
        "2000 pixels, JPEG 100 to 20, 1 MB",
        tuple((_square(2000), _jpeg(quality)) for quality in range(100, 10, -10)),
        BLUESKY_BYTES,
    ),
    Delivery(
        "misskey_preview",
        "498 × 280 pixels, WebP 77",
        ((partial(fit_inside, width=498, height=280), partial(encode_webp, quality=77)),),
    ),
    Delivery(
        "screenshot",
        "scaled to a screen of 1080 × 2340 pixels, without loss",
        ((partial(fit_inside, width=1080, height=2340, enlarge=True), None),),
    ),
    Delivery(
        "cropped",
        "a tenth cut off at each side, JPEG 90",
        ((partial(cut_margins, share=0.1), _jpeg(90)),),
    ),
)
