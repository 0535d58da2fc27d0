"""The fast decoder gives PIL's pixels, or leaves the file to PIL."""

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

from genspot.data import image_io as images
from genspot.data import png

Chunks = list[tuple[bytes, bytes]]
HEAD = b"\x89PNG\r\n\x1a\n"


def noise(height: int, width: int, step: int, seed: int = 0) -> np.ndarray:
    """Noise of 255 // `step` levels, summed up along the rows: all of PNG's filters occur."""
    draws = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.cumsum(draws // step, axis=1).astype(np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunks_of(content: bytes) -> Chunks:
    found, place = [], len(HEAD)
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def built(chunks: Chunks) -> bytes:
    """A file whose chunks all have the right checksum."""
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return HEAD + b"".join(parts)


def pil(content: bytes) -> np.ndarray | None:
    """PIL's pixels, of 16-bit grey the upper byte; None where it raises."""
    try:
        with Image.open(BytesIO(content)) as file:
            if file.mode == "I;16":
                return np.stack([np.array(file) // 256] * 3, axis=-1).astype(np.uint8)
            return np.array(file.convert("RGB"))
    except Exception:
        return None


def read(content: bytes, folder: Path) -> np.ndarray | None:
    """genspot's pixels; None where it raises."""
    path = folder / "image.png"
    path.write_bytes(content)
    try:
        return images.read(str(path))
    except Exception:
        return None


def agree(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and np.array_equal(one, other)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("png")


@settings(max_examples=150, deadline=None)
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
def test_an_rgb_png_has_pils_pixels(
    height: int, width: int, step: int, seed: int, level: int
) -> None:
    pixels = noise(height, width, step, seed)
    decoded = png.decode(encode(Image.fromarray(pixels), compress_level=level))
    assert decoded is not None and decoded.dtype == np.uint8 and decoded.flags.writeable
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("strategy", range(5))
def test_any_way_to_compress_has_pils_pixels(strategy: int) -> None:
    pixels = noise(50, 40, 85)
    decoded = png.decode(encode(Image.fromarray(pixels), compress_type=strategy))
    assert decoded is not None
    np.testing.assert_array_equal(decoded, pixels)


def interlaced(image: Image.Image) -> bytes:
    """An RGB PNG of Adam7's seven passes; no line is filtered."""
    pixels, raw = np.asarray(image), b""
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
            raw += b"".join(b"\0" + line.tobytes() for line in part)
    head = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 1)
    return built([(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")])


def deep_rgb(image: Image.Image) -> bytes:
    """16 bits a channel, which PIL reads and does not write."""
    wide = np.asarray(image).astype(">u2") * 251
    raw = b"".join(b"\0" + line.tobytes() for line in wide)
    head = struct.pack(">IIBBBBB", image.width, image.height, 16, 2, 0, 0, 0)
    return built([(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")])


def deep_grey(image: Image.Image) -> bytes:
    return encode(Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 251))


def animated(image: Image.Image) -> bytes:
    return encode(image, save_all=True, append_images=[image.rotate(180)])


def of_several_chunks(image: Image.Image) -> bytes:
    head, *_, end = chunks_of(encode(image))
    data = b"".join(body for kind, body in chunks_of(encode(image)) if kind == b"IDAT")
    thirds = [(b"IDAT", data[n * len(data) // 3 : (n + 1) * len(data) // 3]) for n in range(3)]
    return built([head, thirds[0], (b"IDAT", b""), *thirds[1:], end])


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "grey": lambda image: encode(image.convert("L")),
    "bilevel": lambda image: encode(image.convert("1")),
    "grey and alpha": lambda image: encode(image.convert("LA")),
    "RGBA": lambda image: encode(image.convert("RGBA")),
    "palette": lambda image: encode(image.quantize(200)),
    "palette of 2 bits": lambda image: encode(image.quantize(4)),
    "transparent palette": lambda image: encode(image.quantize(9), transparency=0),
    "transparent colour": lambda image: encode(image, transparency=(0, 0, 0)),
    "transparent first colour": lambda image: encode(image, transparency=image.getpixel((0, 0))),
    "16-bit grey": deep_grey,
    "16-bit RGB": deep_rgb,
    "interlaced": interlaced,
    "animated": animated,
    "several chunks": of_several_chunks,
    "text": lambda image: encode(image, dpi=(72, 72), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "a JPEG of that name": lambda image: encode(image, kind="JPEG"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (9, 5), (33, 40)])
def test_every_kind_of_png_has_pils_pixels(folder: Path, kind: str, size: tuple[int, int]) -> None:
    content = KINDS[kind](Image.fromarray(noise(*size, 85)))
    expected = pil(content)
    assert expected is not None and expected.shape == (*size, 3)
    assert agree(read(content, folder), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_no_image_is_turned(folder: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = noise(9, 5, 85)
    assert agree(read(encode(Image.fromarray(pixels), exif=exif), folder), pixels)


def flip(content: bytearray, draws: random.Random) -> None:
    for _ in range(draws.randint(1, 3)):
        content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)


def truncate(content: bytearray, draws: random.Random) -> None:
    del content[draws.randrange(len(content)) :]


def insert(content: bytearray, draws: random.Random) -> None:
    place = draws.randrange(len(content))
    content[place:place] = draws.randbytes(draws.randint(1, 8))


def drop(content: bytearray, draws: random.Random) -> None:
    place = draws.randrange(len(content))
    del content[place : place + draws.randint(1, 8)]


def append(content: bytearray, draws: random.Random) -> None:
    content += draws.randbytes(draws.randint(1, 30))


@pytest.mark.parametrize("damage", [flip, truncate, insert, drop, append])
@pytest.mark.parametrize("step", [1, 85])
def test_a_damaged_file_is_read_or_refused_as_by_pil(
    folder: Path, damage: Callable[[bytearray, random.Random], None], step: int
) -> None:
    draws = random.Random(step)
    whole = encode(Image.fromarray(noise(12, 17, step)))
    for _ in range(200):
        content = bytearray(whole)
        damage(content, draws)
        width, height = struct.unpack(">II", (content + bytes(24))[16:24])
        if width * height > 10**6:
            continue  # another test's
        assert agree(read(bytes(content), folder), pil(bytes(content))), bytes(content)


def test_damaged_data_below_right_checksums_never_gives_other_pixels(folder: Path) -> None:
    draws = random.Random(0)
    head, (kind, body), end = chunks_of(encode(Image.fromarray(noise(12, 17, 85))))
    for _ in range(400):
        damaged = bytearray(body)
        flip(damaged, draws)
        content = built([head, (kind, bytes(damaged)), end])
        found, expected = read(content, folder), pil(content)
        if expected is None and found is not None:  # zlib's own checksum alone is wrong
            assert len(zlib.decompressobj(-15).decompress(damaged[2:])) == 12 * (1 + 17 * 3)
            with pytest.raises(zlib.error, match="incorrect data check"):
                zlib.decompress(damaged)
        else:
            assert agree(found, expected), content


def test_a_wrong_checksum_of_the_compressed_data_alone_is_read(folder: Path) -> None:
    pixels = noise(12, 17, 85)
    head, (kind, body), end = chunks_of(encode(Image.fromarray(pixels)))
    content = built([head, (kind, body[:-4] + b"abcd"), end])
    assert pil(content) is None and agree(read(content, folder), pixels)


ANCILLARY = {
    "text": (b"tEXt", b"key\0value"),
    "a text too long": (b"zTXt", b"key\0\0" + zlib.compress(bytes(2**21))),
    "a text packed otherwise": (b"zTXt", b"key\0\1abc"),
    "gamma": (b"gAMA", b"\0"),
    "dots": (b"pHYs", b"\0"),
    "transparency": (b"tRNS", b"\0"),
    "profile": (b"iCCP", b""),
}


@pytest.mark.parametrize("kind", ANCILLARY)
def test_a_bad_chunk_beside_the_pixels_is_read_or_refused_as_by_pil(
    folder: Path, kind: str
) -> None:
    head, *rest = chunks_of(encode(Image.fromarray(noise(12, 17, 85))))
    content = built([head, ANCILLARY[kind], *rest])
    assert agree(read(content, folder), pil(content))


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_bad_checksum_beside_the_pixels_is_read_or_refused_as_by_pil(
    folder: Path, place: str
) -> None:
    head, data, end = chunks_of(encode(Image.fromarray(noise(12, 17, 85))))
    text = (b"tEXt", b"key\0value")
    content = built([head, text, data, end] if place == "before" else [head, data, text, end])
    content = content.replace(b"key\0value", b"key\0valve")
    assert agree(read(content, folder), pil(content))


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (1, 2**28), (0, 5)])
def test_a_huge_size_is_refused_and_takes_no_memory(
    folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert png._trusted()
    calls: list[object] = []
    monkeypatch.setattr(png, "_kornia", lambda *arguments: calls.append(arguments))
    (kind, head), *rest = chunks_of(encode(Image.fromarray(noise(4, 4, 85))))
    content = built([(kind, struct.pack(">II", *size) + head[8:]), *rest])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert png.decode(content) is None and not calls
    path = folder / "huge.png"
    path.write_bytes(content)
    with pytest.raises((Image.DecompressionBombError, OSError)):
        images.read(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


@pytest.fixture
def anew() -> Iterator[None]:
    """kornia_rs is put to the proof again, before and after."""
    png._trusted.cache_clear()
    yield
    png._trusted.cache_clear()


def other_pixels(content: bytes, height: int, width: int) -> np.ndarray:
    with Image.open(BytesIO(content)) as file:
        return np.array(file) ^ 1


def other_shape(content: bytes, height: int, width: int) -> np.ndarray:
    return np.zeros((width, height, 3), np.uint8)


def not_there(content: bytes, height: int, width: int) -> np.ndarray:
    raise ImportError("libkornia.so: cannot\nopen shared object file")


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("kornia", [other_pixels, other_shape, not_there])
def test_a_decoder_that_is_not_pils_is_left_with_one_warning(
    folder: Path,
    kornia: Callable[[bytes, int, int], np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(png, "_kornia", kornia)
    for seed in range(3):
        pixels = noise(8, 9, 1, seed)
        content = encode(Image.fromarray(pixels))
        assert png.decode(content) is None
        assert agree(read(content, folder), pixels)
    [record] = caplog.records
    assert record.levelname == "WARNING" and "\n" not in record.getMessage()


@pytest.mark.usefixtures("anew")
def test_a_sound_decoder_gives_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert png.decode(encode(Image.fromarray(noise(8, 9, 1)))) is not None
    assert not caplog.records
