"""The ranking in pictures: from each class the least and the most fake, and some between."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from genspot.report.runs import Run

SIDE = 128  # pixels
RANKS = ("", "2nd ")  # from each end
PERCENTILES = (25, 50, 75)
ROOM = 2_500_000  # characters of pictures on a page
FULL = "left out to keep the page small"


@dataclass(frozen=True)
class Picture:
    """One picture of the gallery, or a note why it is not there."""

    path: str
    logit: float
    place: str
    wrong: bool  # on the wrong side of the threshold 0.5
    uri: str | None
    note: str


@dataclass(frozen=True)
class Shelf:
    """The pictures of one class of one generator, the least fake first."""

    generator: str
    kind: str
    count: int
    pictures: list[Picture]


def shelves(run: Run, room: int = ROOM) -> list[Shelf]:
    """The gallery of `run`; when `room` characters are used up, pictures become notes."""
    result = []
    for generator, images in run.images.items():
        for label, kind in enumerate(("real", "fake")):
            mine = np.flatnonzero(images.labels == label)
            if not len(mine):
                continue
            order = sorted(mine, key=lambda row: (images.logits[row], images.paths[row]))
            pictures = []
            for index, place in picks(len(order)):
                path, logit = images.paths[order[index]], float(images.logits[order[index]])
                uri, note = thumbnail(Path(path)) if room > 0 else (None, FULL)
                room -= len(uri or "")
                wrong = (logit > 0) != bool(label)
                pictures.append(Picture(path, logit, place, wrong, uri, note))
            result.append(Shelf(generator, kind, len(order), pictures))
    return result


def picks(count: int) -> list[tuple[int, str]]:
    """Which of `count` images, the least fake first, are shown, and what they stand for.

    An image that stands for several things is named by the more extreme.
    """
    last = count - 1
    named = [(round(last * share / 100), f"{share}th percentile") for share in PERCENTILES]
    for number, rank in reversed(list(enumerate(RANKS))):
        named += [(number, f"{rank}least fake"), (last - number, f"{rank}most fake")]
    return sorted({index: name for index, name in named if 0 <= index <= last}.items())


def thumbnail(path: Path) -> tuple[str | None, str]:
    """The image as a data: URI, at most `SIDE` pixels wide and high; or None and why.

    Its EXIF orientation is ignored, as in training and testing.
    """
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            small = _eight_bits(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None, "unreadable" if path.exists() else "the file is gone"
    small.thumbnail((SIDE, SIDE))
    text = io.BytesIO()
    small.save(text, "JPEG", quality=80, optimize=True)
    return uri(text.getvalue(), "jpeg"), ""


def _eight_bits(image: Image.Image) -> Image.Image:
    """`image`; of 16-bit grey, which PIL would clip to white, the upper byte that is scored."""
    if not image.mode.startswith("I"):
        return image
    tags = getattr(image, "tag_v2", {})  # of TIFF, which knows 12 bits as well
    bits = int(tags[258][0]) if 258 in tags else 16
    return Image.fromarray((np.asarray(image) >> bits - 8).astype(np.uint8))


def uri(content: bytes, kind: str) -> str:
    """`content` as a data: URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def spectra(run: Run) -> list[tuple[str, str, str]]:
    """Generator, kind and data: URI of the spectra that `run` left."""
    found = []
    for generator in run.metrics["generators"]:
        for kind in ("real", "fake"):
            path = run.folder / "spectra" / f"{generator}_{kind}.png"
            if path.is_file():
                found.append((generator, kind, uri(path.read_bytes(), "png")))
    return found
