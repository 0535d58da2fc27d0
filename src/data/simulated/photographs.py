"""The packaged photographs. Authors, licences and sources are in photographs/photographs.csv."""

from __future__ import annotations

import csv
from importlib.resources import files

from PIL import Image

from genspot.common.errors import GenspotError

FOLDER = files("genspot.data.simulated") / "photographs"


def names(split: str) -> list[str]:
    """Return the sorted names of the photographs of `split`: "train", "val" or "test"."""
    return sorted(_files(split))


def load(split: str) -> dict[str, Image.Image]:
    """Return the photographs of "train", "val" or "test": RGB images by their sorted names.

    Raises:
        GenspotError: a file of the table is missing.
    """
    return {name: _read(file) for name, file in sorted(_files(split).items())}


def table() -> list[dict[str, str]]:
    """Return the rows of the table: file, split, title, author, licence and source."""
    text = (FOLDER / "photographs.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _files(split: str) -> dict[str, str]:
    """Return the file names of the photographs of `split` by their names."""
    return {row["file"].rsplit(".", 1)[0]: row["file"] for row in table() if row["split"] == split}


def _read(file: str) -> Image.Image:
    """Return the photograph in `file` as RGB."""
    try:
        with (FOLDER / file).open("rb") as stream, Image.open(stream) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise GenspotError(
            f"photograph {FOLDER / file} is missing, but photographs.csv lists it; install "
            "genspot again"
        ) from None
