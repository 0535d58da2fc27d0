"""Files that a set of photos may contain: unusual formats, damaged files, special files.

Each kind has a file name, whose extension may contradict the content, and a content.
"""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from genspot.data import encoded
from helpers.image_bytes import damage, encode, make_gradients, make_png

HEIGHT, WIDTH = 24, 31
PHOTO = Image.fromarray(make_gradients(HEIGHT, WIDTH))
GREY = PHOTO.convert("L")
GREY_16_BIT = np.asarray(GREY).astype(np.uint16) * 251 + 3  # the lower bytes are not 0


def two_frames(kind: str) -> bytes:
    """Return a file of two images, of which the first is `PHOTO`."""
    return encode(PHOTO, kind, save_all=True, append_images=[PHOTO.rotate(180)])


def rotated(kind: str) -> bytes:
    """Return `PHOTO` with the EXIF orientation "rotate by 90°"."""
    tags = Image.Exif()
    tags[0x0112] = 6
    return encode(PHOTO, kind, exif=tags)


def jpeg_of_size(width: int, height: int) -> bytes:
    """Return a JPEG whose header says this size."""
    content = bytearray(encode(PHOTO, "JPEG"))
    offset = content.index(b"\xff\xc0")
    content[offset + 5 : offset + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def gif_of_size(width: int, height: int) -> bytes:
    """Return a GIF whose screen and image have this size in their headers."""
    content = bytearray(encode(GREY, "GIF"))
    size = struct.pack("<HH", width, height)
    content[6:10] = size
    offset = content.index(b"\x2c\0\0\0\0") + 5
    content[offset : offset + 4] = size
    return bytes(content)


def jpeg_of_scans(count: int) -> bytes:
    """Return a progressive JPEG that repeats its last scan."""
    content = encode(PHOTO, "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (count - content.count(b"\xff\xda")) + content[-2:]


def tiff_12_bit() -> bytes:
    """Return a grey TIFF of one strip with 12 bits, which PIL reads and does not write."""
    values = np.asarray(GREY)[:, :30].astype(np.uint16) * 16 + 5
    high, low = values[:, ::2], values[:, 1::2]
    packed = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], axis=-1)
    data = packed.astype(np.uint8).tobytes()
    tags = [(256, 30), (257, HEIGHT), (258, 12), (259, 1), (262, 1), (273, 8)]
    tags += [(277, 1), (278, HEIGHT), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + b"\x09\0" + entries + bytes(4)


# Read with PIL's pixels.
AS_PIL: dict[str, tuple[str, bytes]] = {
    "RGB": ("a.png", encode(PHOTO)),
    "1×1": ("a.png", encode(PHOTO.crop((3, 3, 4, 4)))),
    "long and thin": ("a.png", encode(Image.fromarray(make_gradients(1, 20_000)))),
    "JPEG named PNG": ("a.png", encode(PHOTO, "JPEG")),
    "AVIF named WebP": ("a.webp", encode(PHOTO, "AVIF")),
    "bilevel TIFF": ("a.tif", encode(PHOTO.convert("1"), "TIFF", compression="group4")),
    "grey JPEG": ("a.jpg", encode(GREY, "JPEG")),
    "RGBA": ("a.png", encode(Image.merge("RGBA", (*PHOTO.split(), GREY)))),
    "palette with alpha": ("a.png", encode(PHOTO.quantize(9), transparency=bytes(range(9)))),
    "16-bit RGB": ("a.png", make_png(2, 1, bits=16, rows=b"\0" + bytes(range(12)))),
    "CMYK JPEG": ("a.jpg", encode(PHOTO.convert("CMYK"), "JPEG")),
    "LZW TIFF": ("a.tiff", encode(PHOTO, "TIFF", compression="tiff_lzw")),
    "WebP": ("a.webp", encode(PHOTO, "WEBP")),
    "BMP": ("a.bmp", encode(PHOTO, "BMP")),
    "animated PNG": ("a.png", two_frames("PNG")),
    "animated WebP": ("a.webp", two_frames("WEBP")),
    "two pages": ("a.tif", two_frames("TIFF")),
    "GIF": ("a.gif", encode(PHOTO, "GIF")),
    "animated GIF named PNG": ("a.png", two_frames("GIF")),
    "JPEG named JFIF": ("a.jfif", encode(PHOTO, "JPEG")),
    "AVIF": ("a.avif", encode(PHOTO, "AVIF")),
    "PNG without extension": ("a", encode(PHOTO)),
    "two pictures of a phone": ("a.JPE", two_frames("MPO")),
    "progressive JPEG": ("a.jpg", encode(PHOTO, "JPEG", progressive=True)),
    "JPEG of the most scans": ("a.jpg", jpeg_of_scans(encoded.MAX_JPEG_SCANS)),
    "rotated JPEG": ("a.jpg", rotated("JPEG")),
    "rotated TIFF": ("a.tif", rotated("TIFF")),
}

# Read by their upper 8 bits; PIL would clip them to white.
DEEP_GREY: dict[str, tuple[str, bytes, np.ndarray]] = {
    "16-bit PNG": ("a.png", encode(Image.fromarray(GREY_16_BIT)), GREY_16_BIT // 256),
    "16-bit TIFF": ("a.tif", encode(Image.fromarray(GREY_16_BIT), "TIFF"), GREY_16_BIT // 256),
    "12-bit TIFF": ("a.tif", tiff_12_bit(), np.asarray(GREY)[:, :30]),
    "16-bit PGM": (
        "a.ppm",
        b"P5 31 24 65535\n" + GREY_16_BIT.astype(">u2").tobytes(),
        GREY_16_BIT // 256,
    ),
}

# Refused, with a part of the reason.
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.png", b"", "an empty file"),
    "truncated PNG": ("a.png", encode(PHOTO)[:-60], "truncated"),
    "truncated JPEG": ("a.jpg", encode(PHOTO, "JPEG")[:-30], "truncated"),
    "bomb": ("a.png", make_png(60_000, 60_000), "more pixels than max_megapixels=179"),
    "bomb that PIL only warns of": (
        "a.png",
        make_png(17_901, 10_000),
        "17901 × 10000 pixels are more than max_megapixels=179",
    ),
    "JPEG bomb": ("a.jpg", jpeg_of_size(65_000, 65_000), "more pixels than max_megapixels"),
    "JPEG of too many scans": ("a.jpg", jpeg_of_scans(encoded.MAX_JPEG_SCANS + 1), "scans"),
    "PostScript": ("a.png", encode(PHOTO, "EPS"), "no image of a known format"),
    "text": ("a.txt", b"no photo", "no image of a known format"),
    "HEIC": ("a.heic", b"\0\0\0\x18ftypheic" + bytes(40), "no image of a known format"),
    "JPEG 2000": ("a.jp2", encode(PHOTO, "JPEG2000"), "no image of a known format"),
    "GIF bomb": ("a.gif", gif_of_size(60_000, 60_000), "more pixels than max_megapixels"),
    "truncated WebP": ("a.webp", encode(PHOTO, "WEBP")[:40], "Error"),
    "floating point": ("a.tif", encode(GREY.convert("F"), "TIFF"), "32-bit"),
}


def save_special_files(folder: Path) -> dict[str, str]:
    """Create what is named as an image and is no readable file, and a folder named so.

    Returns:
        A part of the reason why it is not read, by its name in the table of samples.
    """
    (folder / "folder.png").mkdir()
    (folder / "folder.png" / "within.txt").touch()
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jpg")
    with open(folder / "sparse.webp", "wb") as file:
        file.write(encode(PHOTO, "WEBP"))
        file.truncate(2 * encoded.MAX_FILE_BYTES)
    # Left out of the table, for its name.
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(encode(PHOTO))
    return {
        "dangling.png": "No such file",
        "loop.jpg": "symbolic links",
        "zero.png": "regular file",
        "pipe.jpg": "regular file",
        "sparse.webp": "bytes",
    }


def save_damaged_files(folder: Path, seed: int, count: int) -> None:
    """Save `count` valid files with random damage."""
    rng = random.Random(seed)
    valid = [kind[:2] for kind in (*AS_PIL.values(), *DEEP_GREY.values()) if len(kind[1]) < 10_000]
    for number in range(count):
        name, content = rng.choice(valid)
        file = folder / f"damaged{number:03d}{Path(name).suffix}"
        file.write_bytes(damage(content, rng))


def save_odd_files(folder: Path) -> None:
    """Save every kind of odd file, and files with odd names."""
    kinds = [kind[:2] for kind in (*AS_PIL.values(), *DEEP_GREY.values(), *REFUSED.values())]
    for number, (name, content) in enumerate(kinds):
        (folder / f"odd{number:02d}{Path(name).suffix}").write_bytes(content)
    for name in ("[red]", "[b]", "x[", ":smile:", 'a"quote, comma', "new\nline", "ünïcödé"):
        (folder / f"{name}.png").write_bytes(encode(PHOTO))
        (folder / f"{name}.jpg").write_bytes(b"no image")
    save_special_files(folder)
