"""The one file that an uncompressed 7z archive stores, without a 7z program.

Source: 7zFormat.txt of 7-Zip: a signature header of 32 bytes, the packed streams, the header.
"""

from __future__ import annotations

import struct
import zlib

from genspot.common.errors import GenspotError
from genspot.download.source import ByteSource, Window

SIGNATURE = b"7z\xbc\xaf\x27\x1c"
START = struct.Struct("<6sBBLQQL")  # version; CRC of the rest; offset, size and CRC of the header
START_FIELDS = 12  # where the fields begin that the first CRC covers
MOST_HEADER = 1 << 20  # bytes; a stored archive of one file has about 100
ZIP_START = b"PK\x03\x04"


def stored_content(source: ByteSource, title: str) -> Window:
    """Return the ZIP file that a 7z archive stores as its only file.

    Args:
        source: the archive, its volumes joined.
        title: of the archive, for messages.

    Raises:
        GenspotError: it is no 7z archive, is cut off, or does not store one ZIP file uncompressed.
    """
    if source.size < START.size:
        raise GenspotError(f"{title} is no 7z archive: it has {source.size:,} bytes")
    start = source.read(0, START.size)
    signature, _, _, crc, offset, size, header_crc = START.unpack(start)
    if signature != SIGNATURE:
        raise GenspotError(f"{title} is no 7z archive: it begins with {start[:6].hex(' ')}")
    if zlib.crc32(start[START_FIELDS:]) != crc:
        raise GenspotError(f"{title} is damaged: the CRC-32 of its first 32 bytes is wrong")
    total = START.size + offset + size
    if total != source.size or size > MOST_HEADER:
        raise GenspotError(
            f"{title} is not whole: its start speaks of {total:,} bytes, of which the last "
            f"{size:,} are its header, but it has {source.size:,}"
        )
    if zlib.crc32(source.read(START.size + offset, size)) != header_crc:
        raise GenspotError(f"{title} is damaged: the CRC-32 of its last {size:,} bytes is wrong")
    window = Window(source, START.size, offset)
    if window.size < len(ZIP_START) or window.read(0, len(ZIP_START)) != ZIP_START:
        raise GenspotError(
            f"{title} does not store a ZIP file uncompressed; unpack it with 7-Zip, and the ZIP "
            "file in it"
        )
    return window
