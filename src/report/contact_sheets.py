"""The ranking as one picture per generator, for trackers that show pictures."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from genspot.report.gallery import SIDE, GalleryRow, gallery_rows
from genspot.report.runs import Run


def contact_sheets(run: Run) -> dict[str, bytes]:
    """Return the gallery of each generator as a PNG sheet.

    A row of reals is above a row of fakes, each from the least to the most fake. A picture that
    cannot be shown is grey.
    """
    by_generator: dict[str, list[GalleryRow]] = {}
    for row in gallery_rows(run):
        by_generator.setdefault(row.generator, []).append(row)
    return {generator: _sheet(rows) for generator, rows in by_generator.items()}


def _sheet(rows: list[GalleryRow]) -> bytes:
    width = max(len(row.pictures) for row in rows)
    sheet = Image.new("RGB", (width * SIDE, len(rows) * SIDE), "grey")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row.pictures):
            if picture.jpeg is not None:
                sheet.paste(Image.open(BytesIO(picture.jpeg)), (x * SIDE, y * SIDE))
    content = BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()
