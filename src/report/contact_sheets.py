"""The ranking as one picture a generator, for dashboards that show pictures."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from genspot.report.gallery import SIDE, Shelf, shelves
from genspot.report.runs import read
from genspot.evaluation.scores import replacing


def write_sheets(folder: Path) -> None:
    """ranking/GENERATOR.png of the finished run in `folder`: the gallery's pictures as a sheet.

    A row of reals above a row of fakes, each from the least to the most fake; what cannot be
    shown is grey.
    """
    rows: dict[str, list[Shelf]] = {}
    for shelf in shelves(read(folder)):
        rows.setdefault(shelf.generator, []).append(shelf)
    (folder / "ranking").mkdir(exist_ok=True)
    for generator, pair in rows.items():
        width = max(len(shelf.pictures) for shelf in pair)
        sheet = Image.new("RGB", (width * SIDE, len(pair) * SIDE), "grey")
        for down, shelf in enumerate(pair):
            for across, picture in enumerate(shelf.pictures):
                if picture.uri is not None:
                    content = base64.b64decode(picture.uri.partition(",")[2])
                    sheet.paste(Image.open(BytesIO(content)), (across * SIDE, down * SIDE))
        with replacing(folder / "ranking" / f"{generator}.png") as partial:
            sheet.save(partial, "PNG")
