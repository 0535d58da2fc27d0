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


def flip_bit(content: bytes, rng: random.Random) -> bytes:
    """Return `content` with one bit changed."""
    offset = rng.randrange(len(content))
    flipped = bytes([content[offset] ^ 1 << rng.randrange(8)])
    return content[:offset] + flipped + content[offset + 1 :]


def damage(content: bytes, rng: random.Random) -> bytes:
    """Return `content` with random bytes changed, cut off, inserted, deleted or overwritten."""
    start = rng.randrange(len(content))
    end = start + rng.randint(1, 8)
    replacements = (b"", rng.randbytes(end - start), b"\xff" * (end - start))
    kinds = [content[:start] + replacement + content[end:] for replacement in replacements]
    kinds += [content[:start], content[:start] + rng.randbytes(4) + content[start:]]
    return rng.choice([*kinds, flip_bit(content, rng)])
