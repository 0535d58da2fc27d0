"""Small images and folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def save_image(path: Path, seed: int, fake: bool, size: tuple[int, int] = (40, 40)) -> None:
    """Save noise of `size` (height, width); a fake repeats every second pixel, as nearest
    upsampling does."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    if fake:
        pixels = pixels[::2, ::2].repeat(2, 0).repeat(2, 1)[: size[0], : size[1]]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_set(folder: Path, reals: int, fakes: int, seed: int = 0) -> Path:
    """Save a test set in the released layout: 0_real/ and 1_fake/ with PNG files."""
    for label, (name, count) in enumerate((("0_real", reals), ("1_fake", fakes))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image_seed = seed * 10_000 + label * 1_000 + number
            save_image(folder / name / f"{number:03d}.png", image_seed, fake=bool(label))
    return folder
