"""The fast decoder returns PIL's pixels, or leaves the file to PIL."""

from __future__ import annotations

import random
import resource
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.data import image_io, png
from helpers.image_bytes import (
    PNG_SIGNATURE,
    Chunks,
    build_png,
    damage,
    encode,
    flip_bit,
    make_gradients,
    make_png,
)


def png_chunks(content: bytes) -> Chunks:
    chunks, offset = [], len(PNG_SIGNATURE)
    while offset < len(content):
        (size,) = struct.unpack(">I", content[offset : offset + 4])
        name = content[offset + 4 : offset + 8]
        chunks.append((name, content[offset + 8 : offset + 8 + size]))
        offset += 12 + size
    return chunks


def pil_pixels(content: bytes) -> np.ndarray | None:
    """Return PIL's pixels, of 16-bit grey the upper byte; None if PIL raises."""
    try:
        with Image.open(BytesIO(content)) as file:
            if file.mode == "I;16":
                return np.stack([np.array(file) // 256] * 3, axis=-1).astype(np.uint8)
            return np.array(file.convert("RGB"))
    except Exception:
        return None


def genspot_pixels(content: bytes, folder: Path) -> np.ndarray | None:
    path = folder / "image.png"
    path.write_bytes(content)
    try:
        return image_io.read(str(path))
    except Exception:
        return None


def equal(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.dtype == second.dtype and np.array_equal(first, second)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (70, 41)])
@pytest.mark.parametrize("level", range(10))
def test_decode_rgb_returns_the_pixels(height: int, width: int, level: int) -> None:
    for step in (1, 30, 85, 128):
        pixels = make_gradients(height, width, step, level)
        decoded = png.decode(encode(Image.fromarray(pixels), compress_level=level))
        assert decoded is not None and decoded.dtype == np.uint8 and decoded.flags.writeable
        np.testing.assert_array_equal(decoded, pixels)


def interlaced(image: Image.Image) -> bytes:
    """Return an RGB PNG of Adam7's seven passes, without filters; PIL cannot write it."""
    pixels, rows = np.asarray(image), b""
    for top, left, down, right in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        part = pixels[top::down, left::right]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    return make_png(image.width, image.height, interlaced=1, rows=rows)


def several_chunks(image: Image.Image) -> bytes:
    header, (name, data), end = png_chunks(encode(image))
    middle = len(data) // 2
    return build_png([header, (name, data[:middle]), (name, b""), (name, data[middle:]), end])


@pytest.mark.parametrize(
    "encode_image",
    [
        interlaced,
        several_chunks,
        lambda image: encode(image.quantize(4)),
        lambda image: encode(image, transparency=image.getpixel((0, 0))),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (33, 40)])
def test_read_any_kind_of_png_returns_pils_pixels(
    encode_image: Callable[[Image.Image], bytes], size: tuple[int, int], tmp_path: Path
) -> None:
    content = encode_image(Image.fromarray(make_gradients(*size)))
    expected = pil_pixels(content)
    assert expected is not None and expected.shape == (*size, 3)
    assert equal(genspot_pixels(content, tmp_path), expected)


@pytest.mark.parametrize("step", [1, 85])
def test_read_damaged_file_returns_or_raises_as_pil_does(step: int, tmp_path: Path) -> None:
    rng = random.Random(step)
    intact = encode(Image.fromarray(make_gradients(12, 17, step)))
    header, (name, body), end = png_chunks(intact)
    for _ in range(400):
        content = damage(intact, rng)
        width, height = struct.unpack(">II", (content + bytes(24))[16:24])
        if width * height < 10**6:  # see the test of huge sizes
            assert equal(genspot_pixels(content, tmp_path), pil_pixels(content)), content
        damaged = flip_bit(body, rng)
        content = build_png([header, (name, damaged), end])  # with correct checksums of the chunks
        found, expected = genspot_pixels(content, tmp_path), pil_pixels(content)
        if found is not None and expected is None:  # see the next test
            with pytest.raises(zlib.error, match="incorrect data check"):
                zlib.decompress(damaged)
        else:
            assert equal(found, expected), content


def test_read_ignores_a_wrong_checksum_of_the_compressed_data(tmp_path: Path) -> None:
    """The one kind of damage that PIL refuses and the fast decoder does not."""
    pixels = make_gradients(12, 17)
    header, (name, body), end = png_chunks(encode(Image.fromarray(pixels)))
    content = build_png([header, (name, body[:-4] + b"abcd"), end])
    assert pil_pixels(content) is None and equal(genspot_pixels(content, tmp_path), pixels)


ANCILLARY = {
    "text": (b"tEXt", b"key\0value"),
    "too long text": (b"zTXt", b"key\0\0" + zlib.compress(bytes(2**21))),
    "gamma": (b"gAMA", b"\0"),
    "profile": (b"iCCP", b""),
}


@pytest.mark.parametrize("kind", ANCILLARY)
def test_read_invalid_ancillary_chunk_returns_or_raises_as_pil_does(
    kind: str, tmp_path: Path
) -> None:
    header, *rest = png_chunks(encode(Image.fromarray(make_gradients(12, 17))))
    content = build_png([header, ANCILLARY[kind], *rest])
    assert equal(genspot_pixels(content, tmp_path), pil_pixels(content))


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (1, 2**28), (0, 5)])
def test_read_huge_size_raises_and_allocates_nothing(
    size: tuple[int, int], tmp_path: Path
) -> None:
    assert png.decode(encode(Image.fromarray(make_gradients(4, 4)))) is not None  # warms up
    content = make_png(*size, rows=bytes(13 * 4))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert png.decode(content) is None
    (tmp_path / "huge.png").write_bytes(content)
    with pytest.raises((Image.DecompressionBombError, OSError)):
        image_io.read(str(tmp_path / "huge.png"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def invert_lowest_bit(content: bytes, size: tuple[int, int], mode: str) -> np.ndarray:
    with Image.open(BytesIO(content)) as file:
        return np.array(file) ^ 1


def fail_to_load(content: bytes, size: tuple[int, int], mode: str) -> np.ndarray:
    raise ImportError("libkornia.so: cannot\nopen shared object file")


@pytest.fixture
def fresh_png() -> Iterator[object]:
    """The module loaded again, so that kornia_rs has not been verified in it yet."""
    import importlib

    yield importlib.reload(png)
    importlib.reload(png)


@pytest.mark.parametrize("decoder", [invert_lowest_bit, fail_to_load])
def test_decode_with_a_wrong_decoder_leaves_files_to_pil_with_one_warning(
    decoder: Callable[..., np.ndarray],
    fresh_png: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("kornia_rs.io.decode_image_png_u8", decoder)
    for seed in range(3):
        pixels = make_gradients(8, 9, 1, seed)
        content = encode(Image.fromarray(pixels))
        assert png.decode(content) is None
        assert equal(genspot_pixels(content, tmp_path), pixels)
    [record] = caplog.records
    assert record.levelname == "WARNING" and "\n" not in record.getMessage()
