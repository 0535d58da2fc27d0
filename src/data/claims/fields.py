"""Claims in PNG text, EXIF and XMP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from PIL import ExifTags, Image

from genspot.common import claims
from genspot.common.claims import Claim
from genspot.common.text import printable
from genspot.data.claims import terms

MAX_VALUE = 2000  # characters of a value that are kept
MAX_FIELDS = 100  # of one source

TAGS = ExifTags.Base
EXIF_FIELDS = (TAGS.Make, TAGS.Model, TAGS.Software, TAGS.DateTime, TAGS.ImageDescription)
EXIF_IFD_FIELDS = (TAGS.DateTimeOriginal, TAGS.UserComment)
COMMENT_CODES = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16"}  # EXIF 2.32, table 9

EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ "
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/ "
TIFF = "http://ns.adobe.com/tiff/1.0/ "
PROVENANCE = "http://purl.org/dc/terms/ provenance"  # the address of a C2PA manifest
# By namespace and name.
XMP_FIELDS = {
    EXTENSION + "DigitalSourceType",
    EXTENSION + "AISystemUsed",
    EXTENSION + "AIPromptInformation",
    "http://ns.adobe.com/xap/1.0/ CreatorTool",
    PHOTOSHOP + "Credit",
    TIFF + "Make",
    TIFF + "Model",
    TIFF + "Software",
    PROVENANCE,
}
RESOURCE = "http://www.w3.org/1999/02/22-rdf-syntax-ns# resource"


def clean(value: object) -> str:
    """Return `value` as printable text of one line, cut to `MAX_VALUE` characters."""
    text = " ".join(str(value)[: 4 * MAX_VALUE].replace("\0", " ").split())
    text = printable(text)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def text_claims(texts: list[tuple[str, str]]) -> Iterator[Claim]:
    """Yield a claim for each text of a PNG file."""
    for key, text in texts[:MAX_FIELDS]:
        yield Claim(terms.text_kind(key, text), "PNG text", clean(key), clean(text))


def exif_claims(exif: Image.Exif) -> Iterator[Claim]:
    """Yield the claims of EXIF: camera, program, dates, description and comment."""
    values = [(tag, exif.get(tag)) for tag in EXIF_FIELDS]
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, value in values + [(tag, inner.get(tag)) for tag in EXIF_IFD_FIELDS]:
        text = _comment(value) if tag == TAGS.UserComment else _text(value)
        if text.strip(" \0"):
            yield Claim(_exif_kind(tag, text), "EXIF", tag.name, clean(text))


def _exif_kind(tag: ExifTags.Base, text: str) -> str:
    if terms.has_parameters(text):
        return claims.GENERATED
    if tag in (TAGS.Make, TAGS.Model):
        return claims.GENERATED if terms.names_generator(text) else claims.CAMERA
    return terms.program_kind(text) if tag == TAGS.Software else claims.OTHER


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _comment(value: Any) -> str:
    """Return the text of UserComment, whose first eight bytes name its characters."""
    if not isinstance(value, bytes):
        return _text(value)
    code, body = COMMENT_CODES.get(value[:8], "utf-8"), value[8:]
    if code == "utf-16":  # in either order: zeros are at even places of big-endian Latin text
        even, odd = body[::2].count(0), body[1::2].count(0)
        code = "utf-16-be" if even > odd else "utf-16-le"
        body = body.removeprefix(b"\xfe\xff").removeprefix(b"\xff\xfe")
    elif value[:8] not in COMMENT_CODES and value[:8].strip(b"\0"):
        body = value
    return body.decode(code, "replace")


def xmp_claims(xmp: bytes) -> Iterator[Claim]:
    """Yield the claims of an XMP packet.

    Raises:
        expat.ExpatError: it is not well-formed; claims before the fault are yielded first.
        ValueError: it declares a document type, which could expand without limit.
    """
    reader = _XmpReader()
    try:
        reader.parser.Parse(xmp.strip(b"\0 \n\r\t"), True)
    finally:
        for name, text in reader.found[:MAX_FIELDS]:
            if text.strip():
                field = name.rpartition(" ")[2]
                yield Claim(_xmp_kind(name, text.strip()), "XMP", field, clean(text))


def _xmp_kind(name: str, text: str) -> str:
    if name.startswith(EXTENSION):
        kind = terms.source_type_kind(text)
        return kind if name.endswith("DigitalSourceType") else claims.GENERATED
    if name == PROVENANCE:
        return claims.CREDENTIALS
    if name in (TIFF + "Make", TIFF + "Model"):
        return claims.CAMERA
    return terms.program_kind(text)


class _XmpReader:
    """Collects the values of `XMP_FIELDS`, which are attributes or elements.

    Attributes:
        found: (namespace and name, text).
    """

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._depth = 0  # of elements, from the field that is open
        self._texts: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._texts.append
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.found += [item for item in attributes.items() if item[0] in XMP_FIELDS]
        if not self._depth:
            if name not in XMP_FIELDS:
                return
            self._texts.clear()
        self._depth += 1
        self._texts += [text for key, text in attributes.items() if key == RESOURCE]

    def _end(self, name: str) -> None:
        if not self._depth:
            return
        self._depth -= 1
        if not self._depth:
            self.found.append((name, "".join(self._texts)))

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type")
