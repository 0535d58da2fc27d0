"""The embedded data set: packaged photographs, and what a simulated generator makes of them.

Real and fake are the same windows of the same photographs. Each window is cut from a photograph
reduced at random, which wipes out the grid of the JPEG it once was; the fake passes through the
simulator; then both are cut once more at the same random offset, so that neither is in phase
with the simulator's own grid, and saved as PNG. So they differ in the simulator alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.data.simulated.generators import load, simulate

# Colour photographs that two installed packages carry. Those of training, validation and test
# are disjoint; the motorcycles are one scene seen twice.
PHOTOS = {
    "train": {
        "skimage.data": [
            "astronaut.png",
            "hubble_deep_field.jpg",
            "ihc.png",
            "motorcycle_left.png",
            "motorcycle_right.png",
            "retina.jpg",
        ],
        "sklearn.datasets": ["images/china.jpg"],
    },
    "val": {"skimage.data": ["coffee.png"]},
    "test": {
        "skimage.data": ["chelsea.png", "rocket.jpg"],
        "sklearn.datasets": ["images/flower.jpg"],
    },
}
OFFSETS = 16  # pixels by which the last cut varies: twice the longest stride of a simulator
GUARD = 8  # pixels around it, where a simulator pads with zeros
REDUCTION = (0.35, 0.75)  # of a photograph's sides, before a window is cut
BATCH = 20
# An image shows an upsampling by what repeats at its stride; a photograph left out is a class, or
# a third of a test, that nobody asked to leave out.
LEAST = {"size": OFFSETS, "seed": 0} | {
    split: sum(len(names) for names in packages.values()) for split, packages in PHOTOS.items()
}


def check(simulation: dict[str, Any], *splits: str) -> None:
    """Refuse what no data set of `splits` can be made by.

    Raises:
        GenspotError: a setting is no whole number, or is too small.
    """
    for name in ("size", "seed", *splits):
        value = simulation.get(name)
        if type(value) is not int or value < LEAST[name]:
            raise GenspotError(
                f"simulation.{name}={value}: give a whole number from {LEAST[name]} on"
            )


def photos(split: str) -> dict[str, Image.Image]:
    """The photographs of "train", "val" or "test" by their names."""
    return {
        Path(name).stem: Image.open(str(files(package).joinpath(name))).convert("RGB")
        for package, names in PHOTOS[split].items()
        for name in names
    }


def window(photo: Image.Image, size: int, draws: np.random.Generator) -> np.ndarray:
    """A `size` × `size` window of `photo`, reduced, turned and developed at random.

    Ten photographs are few: with the colours of each window drawn anew, a detector cannot learn
    them by heart and has to look for the generator.
    """
    lowest = max(REDUCTION[0], size / min(photo.size))
    # At the lowest reduction rounding could take the side beyond the photograph's own.
    side = min(size / draws.uniform(lowest, max(lowest, REDUCTION[1])), *photo.size)
    left, top = (draws.uniform(0, length - side) for length in photo.size)
    box = (left, top, left + side, top + side)
    reduced = np.asarray(photo.resize((size, size), Image.Resampling.LANCZOS, box=box))
    turned = np.rot90(reduced, int(draws.integers(4)))[..., draws.permutation(3)]
    gain, gamma = draws.uniform(0.6, 1.0), draws.uniform(0.7, 1.4)
    return np.rint(255 * gain * (turned / 255) ** gamma).astype(np.uint8)


def build(
    folder: str | Path,
    name: str,
    simulator: dict[str, Any],
    split: str,
    images: int,
    size: int,
    seed: int,
) -> None:
    """Make `images` reals and as many fakes of `size` × `size` pixels in `folder`.

    A folder that is there already and was made by the same recipe is left alone, and needs no
    right to write. Training and validation sets have one class for each photograph, test sets
    have none.

    Raises:
        GenspotError: the folder holds anything else. It is not removed: another run may be reading
            it, and it may not have been made here.
    """
    recipe = {
        "name": name,
        "simulator": simulator,
        "photos": PHOTOS[split],
        "images": images,
        "size": size,
        "seed": seed,
    }
    folder = Path(folder)
    if _recipe(folder) == recipe:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):  # of two runs, one builds and the other waits
        if _recipe(folder) == recipe:
            return
        if folder.exists() and any(folder.iterdir()):
            raise GenspotError(
                f"{folder} holds something else than {name} by these settings (its recipe.json "
                "says what, if it was made here); remove it, or name another place: "
                "paths.datasets=PATH"
            )
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        _write(partial, recipe, split)
        partial.rename(folder)


def _recipe(folder: Path) -> Any:
    """What `folder` was made by; None where it is not there or does not say."""
    try:
        return json.loads((folder / "recipe.json").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _write(folder: Path, recipe: dict[str, Any], split: str) -> None:
    """All images of `recipe`, and the recipe itself last."""
    model = load(recipe["name"], **recipe["simulator"])
    title = f"building {recipe['name']}, {split}"
    with tqdm(total=recipe["images"], desc=title, unit="pair") as progress:
        for first, classes, wide in _windows(recipe, split):
            draws = np.random.default_rng((recipe["seed"], first))
            fakes = simulate(model, wide)
            for offset, (real, fake) in enumerate(zip(wide, fakes, strict=True)):
                place = folder / classes[offset] if split != "test" else folder
                top, left = draws.integers(GUARD, GUARD + OFFSETS, size=2)
                for half, image in (("0_real", real), ("1_fake", fake)):
                    (place / half).mkdir(parents=True, exist_ok=True)
                    cut = image[top : top + recipe["size"], left : left + recipe["size"]]
                    Image.fromarray(cut).save(place / half / f"{first + offset:06d}.png")
            progress.update(len(wide))
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=2))


def _windows(recipe: dict[str, Any], split: str) -> Iterator[tuple[int, list[str], np.ndarray]]:
    """(number of the first, their photographs' names, windows with a margin) for each batch."""
    sources = photos(split)
    names = sorted(sources)
    # The generator's name is not part of the seed: all generators see the same windows.
    draws = np.random.default_rng((recipe["seed"], sorted(PHOTOS).index(split)))
    wide = recipe["size"] + OFFSETS + 2 * GUARD
    for first in range(0, recipe["images"], BATCH):
        count = min(BATCH, recipe["images"] - first)
        chosen = [names[(first + offset) % len(names)] for offset in range(count)]
        yield first, chosen, np.stack([window(sources[name], wide, draws) for name in chosen])
