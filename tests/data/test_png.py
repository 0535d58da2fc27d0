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
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from genspot.data import image_io, png
from helpers.image_bytes import (
    MUTATIONS,
    PNG_SIGNATURE,
    Chunks,
    build_png,
    encode,
    flip_bits,
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


@settings(max_examples=100, deadline=None)
@example(1, 1, 1, 0, 6)
@example(1, 300, 1, 0, 0)
@example(300, 1, 128, 0, 9)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([1, 30, 85, 128]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 9),
)
def test_decode_rgb_returns_the_pixels(
    height: int, width: int, step: int, seed: int, level: int
) -> None:
    pixels = make_gradients(height, width, step, seed)
    decoded = png.decode(encode(Image.fromarray(pixels), compress_level=level))
    assert decoded is not None and decoded.dtype == np.uint8 and decoded.flags.writeable
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("strategy", range(5))
def test_decode_any_compression_strategy_returns_the_pixels(strategy: int) -> None:
    pixels = make_gradients(50, 40)
    decoded = png.decode(encode(Image.fromarray(pixels), compress_type=strategy))
    assert decoded is not None
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


def rgb_16_bit(image: Image.Image) -> bytes:
    values = np.asarray(image).astype(">u2") * 251
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return make_png(image.width, image.height, bits=16, rows=rows)


def several_chunks(image: Image.Image) -> bytes:
    header, *_, end = png_chunks(encode(image))
    data = b"".join(body for name, body in png_chunks(encode(image)) if name == b"IDAT")
    thirds = [(b"IDAT", data[n * len(data) // 3 : (n + 1) * len(data) // 3]) for n in range(3)]
    return build_png([header, thirds[0], (b"IDAT", b""), *thirds[1:], end])


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "grey": lambda image: encode(image.convert("L")),
    "bilevel": lambda image: encode(image.convert("1")),
    "grey and alpha": lambda image: encode(image.convert("LA")),
    "RGBA": lambda image: encode(image.convert("RGBA")),
    "palette": lambda image: encode(image.quantize(200)),
    "2-bit palette": lambda image: encode(image.quantize(4)),
    "transparent palette": lambda image: encode(image.quantize(9), transparency=0),
    "transparent colour": lambda image: encode(image, transparency=image.getpixel((0, 0))),
    "16-bit grey": lambda image: encode(
        Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 251)
    ),
    "16-bit RGB": rgb_16_bit,
    "interlaced": interlaced,
    "animated": lambda image: encode(image, save_all=True, append_images=[image.rotate(180)]),
    "several chunks": several_chunks,
    "text": lambda image: encode(image, dpi=(72, 72), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "JPEG with this name": lambda image: encode(image, "JPEG"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (33, 40)])
def test_read_any_kind_of_png_returns_pils_pixels(
    kind: str, size: tuple[int, int], tmp_path: Path
) -> None:
    content = KINDS[kind](Image.fromarray(make_gradients(*size)))
    expected = pil_pixels(content)
    assert expected is not None and expected.shape == (*size, 3)
    assert equal(genspot_pixels(content, tmp_path), expected)


@pytest.mark.parametrize("mutate", MUTATIONS)
@pytest.mark.parametrize("step", [1, 85])
def test_read_damaged_file_returns_or_raises_as_pil_does(
    mutate: Callable[[bytearray, random.Random], None], step: int, tmp_path: Path
) -> None:
    rng = random.Random(step)
    intact = encode(Image.fromarray(make_gradients(12, 17, step)))
    for _ in range(100):
        content = bytearray(intact)
        mutate(content, rng)
        width, height = struct.unpack(">II", (content + bytes(24))[16:24])
        if width * height > 10**6:
            continue  # see the test of huge sizes
        found, expected = genspot_pixels(bytes(content), tmp_path), pil_pixels(bytes(content))
        assert equal(found, expected), bytes(content)


def test_read_damaged_data_with_correct_checksums_never_returns_other_pixels(
    tmp_path: Path,
) -> None:
    rng = random.Random(0)
    header, (name, body), end = png_chunks(encode(Image.fromarray(make_gradients(12, 17))))
    for _ in range(300):
        damaged = bytearray(body)
        flip_bits(damaged, rng)
        content = build_png([header, (name, bytes(damaged)), end])
        found, expected = genspot_pixels(content, tmp_path), pil_pixels(content)
        if expected is None and found is not None:  # only zlib's own checksum is wrong
            assert len(zlib.decompressobj(-15).decompress(damaged[2:])) == 12 * (1 + 17 * 3)
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
    "unknown compression": (b"zTXt", b"key\0\1abc"),
    "gamma": (b"gAMA", b"\0"),
    "resolution": (b"pHYs", b"\0"),
    "transparency": (b"tRNS", b"\0"),
    "profile": (b"iCCP", b""),
}


@pytest.mark.parametrize("kind", ANCILLARY)
def test_read_invalid_ancillary_chunk_returns_or_raises_as_pil_does(
    kind: str, tmp_path: Path
) -> None:
    header, *rest = png_chunks(encode(Image.fromarray(make_gradients(12, 17))))
    content = build_png([header, ANCILLARY[kind], *rest])
    assert equal(genspot_pixels(content, tmp_path), pil_pixels(content))


@pytest.mark.parametrize("position", [1, 2])
def test_read_wrong_checksum_of_ancillary_chunk_returns_or_raises_as_pil_does(
    position: int, tmp_path: Path
) -> None:
    chunks = png_chunks(encode(Image.fromarray(make_gradients(12, 17))))
    chunks.insert(position, ANCILLARY["text"])
    content = build_png(chunks).replace(b"key\0value", b"key\0valve")
    assert equal(genspot_pixels(content, tmp_path), pil_pixels(content))


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (1, 2**28), (0, 5)])
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


def transpose(content: bytes, size: tuple[int, int], mode: str) -> np.ndarray:
    return np.zeros((*size[::-1], 3), np.uint8)


def fail_to_load(content: bytes, size: tuple[int, int], mode: str) -> np.ndarray:
    raise ImportError("libkornia.so: cannot\nopen shared object file")


@pytest.fixture
def fresh_png() -> Iterator[object]:
    """The module as loaded anew, in which kornia_rs has not been verified yet."""
    import importlib

    yield importlib.reload(png)
    importlib.reload(png)


@pytest.mark.parametrize("decoder", [invert_lowest_bit, transpose, fail_to_load])
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
