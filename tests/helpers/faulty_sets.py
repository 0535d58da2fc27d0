"""Small sets of real and fake images with exactly one fault each, and clean ones.

Reals and fakes are windows of the shipped photographs, which do not overlap and are divided by
chance: but for the fault, both classes are alike. The photographs are scaled by 2/3 before, so
that no 8 × 8 grid of their own JPEG files is left.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from genspot.data.simulated import photographs

TILE = 128  # side of a window in pixels
SIDE = 112  # of an image; the rest is a margin for offsets and other shapes
COUNT = 60  # images of each class
CLASSES = ("0_real", "1_fake")

Pixels = Image.Image
# (folder, seed, count) → the paths, relative to the folder, that belong together
SetWriter = Callable[..., list[tuple[str, str]]]


@functools.cache
def _tiles() -> tuple[Pixels, ...]:
    """Return windows of all photographs that are not nearly uniform."""
    tiles = []
    for split in ("train", "val", "test"):
        for photo in photographs.load(split).values():
            size = (photo.width * 2 // 3, photo.height * 2 // 3)
            photo = photo.resize(size, Image.Resampling.LANCZOS)
            for top in range(0, photo.height - TILE + 1, TILE):
                for left in range(0, photo.width - TILE + 1, TILE):
                    tile = photo.crop((left, top, left + TILE, top + TILE))
                    if np.asarray(tile.convert("L")).std() > 15:
                        tiles.append(tile)
    return tuple(tiles)


def draw(seed: int, count: int = COUNT) -> tuple[list[Pixels], list[Pixels]]:
    """Return `count` windows of 128 × 128 pixels for each class, none twice."""
    tiles = _tiles()
    if 2 * count > len(tiles):
        raise ValueError(f"there are {len(tiles)} windows, not {2 * count}")
    order = np.random.default_rng(seed).permutation(len(tiles))
    return [tiles[i] for i in order[:count]], [tiles[i] for i in order[count : 2 * count]]


def cut(
    image: Pixels, width: int = SIDE, height: int = SIDE, left: int = 0, top: int = 0
) -> Pixels:
    """Return a window of `image`."""
    return image.crop((left, top, left + width, top + height))


def jpeg_once(image: Pixels, quality: int = 75) -> Pixels:
    """Return the pixels of `image` after one JPEG compression."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def save_class(
    folder: Path, label: int, images: Sequence[Pixels], kind: str = "png", **options: object
) -> None:
    """Save the images of one class as 000.png, 001.png, … with PIL's `options`."""
    target = folder / CLASSES[label]
    target.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        image.save(target / f"{number:03d}.{kind}", **options)


def _save(
    folder: Path,
    images: tuple[list[Pixels], list[Pixels]],
    kinds: tuple[str, str] = ("png", "png"),
    options: tuple[dict[str, object], dict[str, object]] = ({}, {}),
) -> list[tuple[str, str]]:
    for label in (0, 1):
        save_class(folder, label, images[label], kinds[label], **options[label])
    return []


def _plain(seed: int, count: int) -> tuple[list[Pixels], list[Pixels]]:
    reals, fakes = draw(seed, count)
    return [cut(image) for image in reals], [cut(image) for image in fakes]


def clean_png(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save a set whose classes are alike: PNG, never compressed."""
    return _save(folder, _plain(seed, count))


def clean_jpeg(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save a set whose classes are alike: JPEG of quality 90."""
    return _save(folder, _plain(seed, count), ("jpg", "jpg"), ({"quality": 90},) * 2)


def clean_varied(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save a set with JPEGs of several sizes and qualities, which are alike in both classes."""
    rng = np.random.default_rng(seed + 1)
    for label, images in enumerate(draw(seed, count)):
        (folder / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images):
            width, height = rng.choice([96, 112, 128], 2)
            quality = int(rng.choice([75, 85, 95]))
            path = folder / CLASSES[label] / f"{number:03d}.jpg"
            cut(image, width, height).save(path, quality=quality)
    return []


def file_format(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save lossless WebP as real and PNG as fake: the pixels are alike."""
    return _save(folder, _plain(seed, count), ("webp", "png"), ({"lossless": True}, {}))


def size(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save 96 × 96 pixels as real and 112 × 112 as fake; nothing is resampled."""
    reals, fakes = draw(seed, count)
    return _save(folder, ([cut(image, 96, 96) for image in reals], [cut(i) for i in fakes]))


def aspect(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save 128 × 98 pixels as real and 112 × 112 as fake: the area is alike."""
    reals, fakes = draw(seed, count)
    return _save(folder, ([cut(image, 128, 98) for image in reals], [cut(i) for i in fakes]))


def jpeg_quality(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save JPEG of quality 75 as real and of quality 95 as fake."""
    options = ({"quality": 75}, {"quality": 95})
    return _save(folder, _plain(seed, count), ("jpg", "jpg"), options)


def jpeg_tables(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save JPEGs whose tables differ, but not their sum: those of the reals are transposed."""
    images = _plain(seed, count)
    file = BytesIO()
    images[0][0].save(file, "JPEG", quality=85)
    tables = Image.open(file).quantization.values()
    transposed = [list(np.reshape(table, (8, 8)).T.ravel()) for table in tables]
    options = ({"qtables": transposed, "subsampling": 2}, {"quality": 85, "subsampling": 2})
    return _save(folder, images, ("jpg", "jpg"), options)


def subsampling(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save JPEG with half the colour resolution (4:2:0) as real and with all (4:4:4) as fake."""
    options = ({"quality": 90, "subsampling": 2}, {"quality": 90, "subsampling": 0})
    return _save(folder, _plain(seed, count), ("jpg", "jpg"), options)


def metadata(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save JPEG with the EXIF data of a camera as real and without any as fake."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Camera Works", "Model 1", "Firmware 1.0"
    options = ({"quality": 90, "exif": exif}, {"quality": 90})
    return _save(folder, _plain(seed, count), ("jpg", "jpg"), options)


def colour(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save fakes of a fifth of the saturation: half of it is within what photographs have."""
    reals, fakes = _plain(seed, count)
    grey = [image.convert("L").convert("RGB") for image in fakes]
    pale = [Image.blend(*pair, 0.2) for pair in zip(grey, fakes, strict=True)]
    return _save(folder, (reals, pale))


def sharpness(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save fakes that are blurred by a Gaussian of 1 pixel."""
    reals, fakes = _plain(seed, count)
    return _save(folder, (reals, [image.filter(ImageFilter.GaussianBlur(1)) for image in fakes]))


def grid_phase(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save PNG that was JPEG once: the 8 × 8 grid begins at (0, 0) in reals, (3, 5) in fakes."""
    reals, fakes = draw(seed, count)
    aligned = [cut(jpeg_once(image)) for image in reals]
    return _save(folder, (aligned, [cut(jpeg_once(image), left=5, top=3) for image in fakes]))


def jpeg_history(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save PNG; the reals were JPEG of quality 75 once, the fakes never."""
    reals, fakes = _plain(seed, count)
    return _save(folder, ([jpeg_once(image) for image in reals], fakes))


def _copies(
    folder: Path, sources: int, change: Callable[[Path, Path], None]
) -> list[tuple[str, str]]:
    """Save a changed copy of the first images of each class, and return (image, copy) pairs."""
    pairs = []
    for name in CLASSES:
        for path in sorted((folder / name).iterdir())[:sources]:
            copy = path.with_stem(f"copy_{path.stem}")
            change(path, copy)
            pairs.append((f"{name}/{path.name}", f"{name}/{copy.name}"))
    return pairs


def _same_file(path: Path, copy: Path) -> None:
    copy.write_bytes(path.read_bytes())


def _same_pixels(path: Path, copy: Path) -> None:
    Image.open(path).save(copy, compress_level=0)


def _compressed(path: Path, copy: Path) -> None:
    Image.open(path).save(copy, quality=70)


def _resized(path: Path, copy: Path) -> None:
    image = Image.open(path)
    side = round(SIDE * 0.8)
    image.resize((side, side), Image.Resampling.BICUBIC).save(copy, quality=90)


def duplicates(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save the first 5 images of each class twice, byte for byte; return the pairs."""
    clean_png(folder, seed, count)
    return _copies(folder, 5, _same_file)


def equal_pixels(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save the first 5 images of each class twice, as PNG files of other bytes."""
    clean_png(folder, seed, count)
    return _copies(folder, 5, _same_pixels)


def recompressed(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save JPEGs, the first 5 of each class also with a lower quality."""
    clean_jpeg(folder, seed, count)
    return _copies(folder, 5, _compressed)


def near_duplicates(folder: Path, seed: int = 0, count: int = COUNT) -> list[tuple[str, str]]:
    """Save JPEGs, the first 5 of each class also at 80% of the size."""
    clean_jpeg(folder, seed, count)
    return _copies(folder, 5, _resized)


def across_splits(folder: Path, seed: int = 0, count: int = 30) -> list[tuple[str, str]]:
    """Save train/ and test/, clean sets that share 5 files of each class under other names."""
    images = _plain(seed, 2 * count)
    for split, part in (("train", slice(count)), ("test", slice(count, None))):
        _save(folder / split, (images[0][part], images[1][part]))
    pairs = []
    for name in CLASSES:
        for number in range(5):
            source, copy = f"train/{name}/{number:03d}.png", f"test/{name}/again_{number}.png"
            _same_file(folder / source, folder / copy)
            pairs.append((source, copy))
    return pairs


CLEAN: dict[str, SetWriter] = {
    "png": clean_png,
    "jpeg": clean_jpeg,
    "varied": clean_varied,
}
# What tells the classes apart.
FAULTS: dict[str, SetWriter] = {
    "format": file_format,
    "size": size,
    "aspect": aspect,
    "jpeg quality": jpeg_quality,
    "jpeg tables": jpeg_tables,
    "subsampling": subsampling,
    "metadata": metadata,
    "colour": colour,
    "sharpness": sharpness,
    "grid phase": grid_phase,
    "jpeg history": jpeg_history,
}
# Copies, as many in both classes, within one set or between its train/ and test/.
COPIES: dict[str, SetWriter] = {
    "duplicates": duplicates,
    "equal pixels": equal_pixels,
    "recompressed": recompressed,
    "near duplicates": near_duplicates,
    "across splits": across_splits,
}
