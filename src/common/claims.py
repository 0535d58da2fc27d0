"""What the metadata of an image file claims of its origin."""

from __future__ import annotations

from dataclasses import dataclass

GENERATED = "generated"
PARTLY = "partly generated"
EDITED = "edited"
CAMERA = "camera"
CREDENTIALS = "credentials"
OTHER = "other"
# The kinds of claims, in the order in which they are shown.
KINDS = (GENERATED, PARTLY, EDITED, CAMERA, CREDENTIALS, OTHER)

ABOUT = (
    "Claims are what a file says of itself. They prove nothing: anyone can write, change or "
    "remove them. A file without claims is neither more nor less likely to be generated."
)


@dataclass(frozen=True)
class Claim:
    """One statement in the metadata of a file.

    Attributes:
        kind: one of `KINDS`: what it says of the image's origin.
        source: where it stands: PNG text, EXIF, XMP or C2PA.
        field: its name there.
        value: its text, printable and cut.
    """

    kind: str
    source: str
    field: str
    value: str


@dataclass(frozen=True)
class FileClaims:
    """The claims of one file.

    Attributes:
        path: of the file.
        claims: in the order of `KINDS`.
        notes: what was left out or could not be read, and why.
    """

    path: str
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()
