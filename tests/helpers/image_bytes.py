"""Encoded images, valid and damaged."""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunks = list[tuple[bytes, bytes]]


def make_gradients(height: int, width: int, step: int = 85, seed: int = 0) -> np.ndarray:
    """Return noise of 255 // `step` levels, summed along the rows: PNG uses all its filters."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.cumsum(noise // step, axis=1).astype(np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return `image` as a file of the format `kind`."""
    file = BytesIO()
    image.copy().save(file, kind, **options)
    return file.getvalue()


def build_png(chunks: Chunks) -> bytes:
    """Return a PNG file of (name, body) chunks, with correct checksums."""
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return PNG_SIGNATURE + b"".join(parts)


def make_png(
    width: int,
    height: int,
    colour: int = 2,
    bits: int = 8,
    interlaced: int = 0,
    rows: bytes = b"",
) -> bytes:
    """Return a PNG file whose header says this, with any content."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return build_png([(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])


def flip_bits(content: bytearray, rng: random.Random) -> None:
    """Flip some bits."""
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def truncate(content: bytearray, rng: random.Random) -> None:
    """Cut off the end."""
    del content[rng.randrange(len(content)) :]


def insert_bytes(content: bytearray, rng: random.Random) -> None:
    """Insert random bytes."""
    offset = rng.randrange(len(content))
    content[offset:offset] = rng.randbytes(rng.randint(1, 8))


def delete_bytes(content: bytearray, rng: random.Random) -> None:
    """Delete some bytes."""
    offset = rng.randrange(len(content))
    del content[offset : offset + rng.randint(1, 8)]


def overwrite_bytes(content: bytearray, rng: random.Random) -> None:
    """Overwrite four bytes."""
    offset = rng.randrange(len(content))
    content[offset : offset + 4] = rng.choice([b"\xff" * 4, bytes(4), rng.randbytes(4)])


def append_bytes(content: bytearray, rng: random.Random) -> None:
    """Append random bytes."""
    content += rng.randbytes(rng.randint(1, 30))


MUTATIONS = (flip_bits, truncate, insert_bytes, delete_bytes, overwrite_bytes, append_bytes)
