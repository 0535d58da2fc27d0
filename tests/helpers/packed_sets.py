"""Packed copies and the files that they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import albumentations
import numpy as np
from PIL import Image

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.data.dataset import ImageDataset, Sample
from genspot.data.packed.reader import open_packed
from genspot.data.places import load_samples
from genspot.data.settings import Classes


def save_mixed(folder: Path, copies: int, seed: int = 0) -> None:
    """Save `copies` files of each of eight kinds, with sides from 1 to 30 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(copies):
        height, width = rng.integers(10, 30, 2).tolist()
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        photo = Image.fromarray(pixels)
        photo.save(folder / f"rgb{number}.png")
        photo.convert("L").save(folder / f"grey{number}.png")
        photo.convert("RGBA").save(folder / f"rgba{number}.png")
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(folder / f"deep{number}.png")
        photo.save(folder / f"jpeg{number}.jpg", quality=80)
        photo.crop((3, 3, 4, 4)).save(folder / f"dot{number}.png")
        (folder / f"broken{number}.png").write_bytes(b"no\nimage")
        content = (folder / f"rgb{number}.png").read_bytes()
        (folder / f"truncated{number}.png").write_bytes(content[: len(content) // 2])


def from_files(folder: Path, classes: Classes = None, **options: Any) -> ImageDataset:
    return ImageDataset(load_samples(folder, "gan", classes).table, **options)


def from_packed(folder: Path, classes: Classes = None, **options: Any) -> ImageDataset:
    listing, read = open_packed(folder, "gan", classes)
    return ImageDataset(listing.table, read=read, **options)


def make_augmentation() -> albumentations.Compose:
    return albumentations.Compose([Blur(p=0.5), JPEG(p=0.5)])


def equal(first: Sample, second: Sample) -> bool:
    images = first["image"], second["image"]
    same_image = (images[0] is None) == (images[1] is None) and np.array_equal(*images)  # type: ignore[arg-type]
    return same_image and {**first, "image": None} == {**second, "image": None}


def all_samples(dataset: ImageDataset) -> list[Sample]:
    return [dataset[0, row] for row in range(len(dataset))]


def assert_equals_files(folder: Path, classes: Classes = None) -> None:
    files, packed = from_files(folder, classes), from_packed(folder, classes)
    assert packed.table.equals(files.table) and len(files)
    assert all(map(equal, all_samples(files), all_samples(packed)))
