"""The ranking in pictures: from each class the least and the most fake, and some between."""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from genspot.common.containers import is_inside, read_bytes
from genspot.report.runs import Run

SIDE = 128  # pixels, of a thumbnail
MAX_INLINE_CHARS = 2_500_000  # of thumbnails on one page


@dataclass(frozen=True)
class Picture:
    """One picture of the gallery."""

    path: str
    logit: float
    rank: str  # the place in the ranking in words, such as "most fake"
    misjudged: bool  # whether the logit is on the wrong side of 0
    jpeg: bytes | None  # the thumbnail, or None if `note` says why there is none
    note: str  # empty if there is a thumbnail

    @property
    def uri(self) -> str | None:
        """The thumbnail as a data: URI."""
        return None if self.jpeg is None else data_uri(self.jpeg, "jpeg")


class GalleryRow(NamedTuple):
    """The pictures of one class ("real" or "fake") of one generator, the least fake first."""

    generator: str
    kind: str
    total: int  # images of this class, shown or not
    pictures: list[Picture]


def gallery_rows(run: Run, max_chars: int = MAX_INLINE_CHARS) -> list[GalleryRow]:
    """Return the gallery of `run`; once the thumbnails need `max_chars`, notes replace them."""
    rows = []
    for generator, images in run.images.items():
        for label, kind in enumerate(("real", "fake")):
            members = np.flatnonzero(images.labels == label)
            order = sorted(members, key=lambda row: (images.logits[row], images.paths[row]))
            pictures = []
            for index, rank in pick_ranks(len(order)):
                path, logit = images.paths[order[index]], float(images.logits[order[index]])
                jpeg, note = None, "omitted to limit the page size"
                if max_chars > 0:
                    jpeg, note = thumbnail(Path(path))
                picture = Picture(path, logit, rank, (logit > 0) != bool(label), jpeg, note)
                max_chars -= len(picture.uri or "")
                pictures.append(picture)
            if pictures:
                rows.append(GalleryRow(generator, kind, len(order), pictures))
    return rows


def pick_ranks(count: int) -> list[tuple[int, str]]:
    """Return index and name of the ranks that are shown of `count` images, least fake first.

    An index with several names gets the most extreme of them.
    """
    last = count - 1
    names = [(round(last * percent / 100), f"{percent}th percentile") for percent in (25, 50, 75)]
    names += [(1, "2nd least fake"), (last - 1, "2nd most fake")]
    names += [(0, "least fake"), (last, "most fake")]
    return sorted({index: name for index, name in names if 0 <= index <= last}.items())


def thumbnail(path: Path) -> tuple[bytes | None, str]:
    """Return the image as a JPEG of at most `SIDE` pixels a side, or None and the reason."""
    image, note = read_image(path, small=True)
    return (None if image is None else small_jpeg(image)), note


def read_image(path: Path, small: bool = False) -> tuple[Image.Image | None, str]:
    """Return the image in RGB, or None and the reason.

    The EXIF orientation is ignored, as in training and testing.

    Args:
        path: of a file, or of an image within a container.
        small: whether a reduced image of at least `SIDE` pixels a side will do.
    """
    try:
        inside = is_inside(str(path))
        with Image.open(io.BytesIO(read_bytes(str(path))) if inside else path) as image:
            if small:
                image.draft("RGB", (2 * SIDE, 2 * SIDE))
            return _to_8_bits(image).convert("RGB"), ""
    except (FileNotFoundError, NotADirectoryError):
        return None, "file not found"
    except Exception:  # a file that was damaged or replaced since can raise nearly anything
        return None, "unreadable"


def small_jpeg(image: Image.Image, side: int = SIDE) -> bytes:
    """Return `image` (RGB) as a JPEG of at most `side` × `side` pixels."""
    small = image.copy()
    small.thumbnail((side, side))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80, optimize=True)
    return content.getvalue()


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Return the most significant byte of deep grey, which is what the detector scores.

    PIL's own conversion would clip such values to white.
    """
    if not image.mode.startswith("I"):
        return image
    tags = getattr(image, "tag_v2", {})  # of TIFF, which also knows 12 bits
    bits = int(tags[258][0]) if 258 in tags else 16
    return Image.fromarray((np.asarray(image) >> bits - 8).astype(np.uint8))


def data_uri(content: bytes, kind: str) -> str:
    """Return an image of the format `kind` as a data: URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def contact_sheets(run: Run) -> dict[str, bytes]:
    """Return the gallery of each generator as a PNG sheet, for trackers that show pictures.

    A row of reals is above a row of fakes, each from the least to the most fake. A picture that
    cannot be shown is grey.
    """
    by_generator = itertools.groupby(gallery_rows(run), key=lambda row: row.generator)
    return {generator: _sheet(list(rows)) for generator, rows in by_generator}


def _sheet(rows: list[GalleryRow]) -> bytes:
    width = max(len(row.pictures) for row in rows)
    sheet = Image.new("RGB", (width * SIDE, len(rows) * SIDE), "grey")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row.pictures):
            if picture.jpeg is not None:
                sheet.paste(Image.open(io.BytesIO(picture.jpeg)), (x * SIDE, y * SIDE))
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()
