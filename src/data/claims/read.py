"""Reads what the metadata of image files claims of their origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from genspot.common.claims import CREDENTIALS, KINDS, Claim, FileClaims
from genspot.data.claims import credentials, fields
from genspot.data.claims.blocks import EXIF, Blocks, find_blocks
from genspot.data.encoded import find_content

XMP_TAG, C2PA_TAG = 700, 52545  # of TIFF: XMP part 3; C2PA 2.4, A.3.4


def read_claims(path: str, max_megapixels: int, content: bytes | None = None) -> FileClaims:
    """Return the claims in the metadata of the image at `path`; no file makes this raise.

    JPEG, PNG, WebP, AVIF and TIFF are read; of other formats nothing. No pixels are decoded,
    nothing is executed and nothing fetched.

    Args:
        path: of a file or of an image within a container; with `content`, only a name.
        max_megapixels: larger files are not read, as where their pixels are.
        content: of the file; None: it is read from `path`.
    """
    try:
        found = find_content(path, max_megapixels) if content is None else content
        with BytesIO(found) if isinstance(found, bytes) else open(path, "rb") as file:
            return _read_file(path, file)
    except Exception as error:  # hostile metadata fails in any way
        return FileClaims(path, notes=(_reason("the file", error),))


def _read_file(path: str, file: BinaryIO) -> FileClaims:
    blocks = find_blocks(file)
    found: list[Claim] = []
    notes = blocks.notes
    if blocks.format in ("AVIF", "TIFF"):
        _collect(lambda: _open_with_pil(file, blocks), "the header", found, notes)
    _collect(lambda: fields.text_claims(blocks.texts), "PNG text", found, notes)
    if blocks.exif:
        _collect(lambda: _exif_claims(blocks.exif), "EXIF", found, notes)
    if blocks.xmp:
        _collect(lambda: fields.xmp_claims(blocks.xmp), "XMP", found, notes)
    if blocks.has_c2pa:
        found_before = len(found)
        read = credentials.credential_claims
        _collect(lambda: read(file, blocks.format), "the C2PA manifest", found, notes)
        if len(found) == found_before:
            found.append(Claim(CREDENTIALS, credentials.SOURCE, "manifest", "present, unreadable"))
    found.sort(key=lambda claim: KINDS.index(claim.kind))
    return FileClaims(path, tuple(found), tuple(notes))


def _exif_claims(content: bytes) -> Iterator[Claim]:
    exif = Image.Exif()
    exif.load(EXIF + content)
    yield from fields.exif_claims(exif)


def _open_with_pil(file: BinaryIO, blocks: Blocks) -> Iterable[Claim]:
    """Yield the claims of EXIF of AVIF or TIFF, and put its other blocks into `blocks`."""
    file.seek(0)
    with Image.open(file, formats=(blocks.format,)) as image:
        exif = image.getexif()
        blocks.xmp = bytes(image.info.get("xmp") or exif.get(XMP_TAG) or b"")
        blocks.has_c2pa |= C2PA_TAG in exif
        found = list(fields.exif_claims(exif))
    return found


def _collect(
    read: Callable[[], Iterable[Claim]], name: str, found: list[Claim], notes: list[str]
) -> None:
    """Add to `found` what `read` returns or yields, and to `notes` why it ended."""
    try:
        for claim in read():  # claims before a fault are kept
            found.append(claim)
    except Exception as error:  # hostile metadata fails in any way
        notes.append(_reason(name, error))


def _reason(name: str, error: Exception) -> str:
    return f"{name} could not be read: {fields.clean(error) or type(error).__name__}"
