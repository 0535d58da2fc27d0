"""The embedded data set: photographs, and their reconstructions by simulated generators.

Real and fake images are the same windows of the same photographs. Each window is cut from a
photograph that was reduced at random, which removes the block grid of its JPEG. The fake passes
through the simulator. Then both are cropped at the same random offset, so that neither is in phase
with the simulator's own grid, and are saved as PNG. They differ only by the simulator. The classes
of a set are its photographs. Where a super-resolution network takes the place of the simulator,
`genspot.data.simulated.super_resolution` makes the pairs.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.data.label_folders import LABELS
from genspot.data.settings import Simulation, TestSet, TrainingSet
from genspot.data.simulated import photographs
from genspot.data.simulated.generators import load_simulator, simulate
from genspot.data.simulated.super_resolution import (
    check_installed,
    load_network,
    make_super_resolved_pairs,
    window_side,
)

log = logging.getLogger(__name__)

# From windows of photographs to real images and their fakes, each uint8 N×H×W×3.
PairMaker = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]

OFFSETS = 16  # range of the final crop's offset in pixels: twice the largest stride of a simulator
MARGIN = 8  # pixels around it, which the zero padding of a simulator may reach
REDUCTION = (0.35, 0.75)  # range of the factor by which a photograph is reduced
GAIN, GAMMA = (0.6, 1.0), (0.7, 1.4)  # ranges of a random exposure
BATCH = 20
SPLITS = ("test", "train", "val")  # the place of a split is part of the seed of its windows
PNG_COMPRESSION = 0  # all files have one size, so that it tells nothing


def window(photo: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a `size` × `size` window of `photo`, reduced, exposed and perhaps flipped at random.

    With a random exposure, an image's contrast says little on whether it is sharp.
    """
    lowest = max(REDUCTION[0], size / min(photo.size))
    # At the lowest reduction, rounding could make the window larger than the photograph.
    side = min(size / rng.uniform(lowest, max(lowest, REDUCTION[1])), *photo.size)
    left, top = (rng.uniform(0, length - side) for length in photo.size)
    box = (left, top, left + side, top + side)
    reduced = np.asarray(photo.resize((size, size), Image.Resampling.LANCZOS, box=box))
    flipped = reduced[:, ::-1] if rng.random() < 0.5 else reduced
    gain, gamma = rng.uniform(*GAIN), rng.uniform(*GAMMA)
    return np.rint(255 * gain * (flipped / 255) ** gamma).astype(np.uint8)


def build_missing(
    training_set: TrainingSet | None, test_sets: Sequence[TestSet], simulation: Simulation
) -> None:
    """Build the simulated ones of these data sets that are not there; see `build`.

    Raises:
        GenspotError: a folder holds something else, or a package is missing.
    """
    for test_set in test_sets:  # before the first of them is built
        check_buildable(test_set)
    if training_set and training_set.simulator:
        options = dict(training_set.simulator)
        name = options.pop("name")
        for split, folder in (("train", training_set.train), ("val", training_set.val)):
            if isinstance(folder, str):
                build(folder, name, options, split, simulation)
    for one in training_set.parts if training_set else ():
        for split, folder in (("train", one.train), ("val", one.val)):
            if one.simulator and isinstance(folder, str):
                build(folder, one.name, one.simulator, split, simulation)
    for test_set in test_sets:
        if test_set.simulator and isinstance(test_set.path, str):
            build(test_set.path, test_set.name, test_set.simulator, "test", simulation)


def build(
    folder: str | Path, name: str, simulator: dict[str, Any], split: str, simulation: Simulation
) -> None:
    """Write a simulated data set into `folder`, unless it is there already.

    It has one class per photograph. An existing data set with the same recipe is left as it is,
    and need not be writable.

    Args:
        folder: of the data set.
        name: of the simulator.
        simulator: its upsampling and stages, see `genspot.data.simulated.generators.Simulator`;
            or {"network": NAME}, one of `genspot.data.simulated.super_resolution.NETWORKS`.
        split: "train", "val" or "test"; says which photographs are used.
        simulation: size, seed and numbers of the images.

    Raises:
        GenspotError: the folder contains anything else. It is not removed, because another run
            may be reading it, and because it may have other contents. Or a package that a
            super-resolution network needs is missing.
    """
    recipe = {
        "name": name,
        "simulator": simulator,
        "photographs": photographs.names(split),
        "images": getattr(simulation, split),
        "size": simulation.size,
        "seed": simulation.seed,
    }
    folder = Path(folder)
    if _read_recipe(folder) == recipe:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):  # one run builds the set, others wait for it
        if _read_recipe(folder) == recipe:
            return
        if folder.exists() and any(folder.iterdir()):
            raise GenspotError(
                f"{folder} contains something else than {name} with these settings (its "
                "recipe.json says what, if it was built here); remove it, or use another place: "
                "paths.datasets=PATH"
            )
        unfinished = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(unfinished, ignore_errors=True)
        _write_images(unfinished, recipe, split)
        unfinished.rename(folder)


def check_buildable(test_set: TestSet) -> None:
    """Raise GenspotError if `test_set` is yet to be built and a package for it is missing."""
    network = (test_set.simulator or {}).get("network")
    folder = test_set.path
    if network and isinstance(folder, str) and _read_recipe(Path(folder)) is None:
        check_installed(network, f"generator={test_set.choice}")


def _read_recipe(folder: Path) -> Any:
    """Return the recipe of the data set in `folder`; None if there is none."""
    try:
        return json.loads((folder / "recipe.json").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _pair_maker(recipe: dict[str, Any]) -> tuple[PairMaker, int]:
    """Return what makes real images and fakes of windows, and the side of the windows."""
    name, simulator = recipe["name"], recipe["simulator"]
    side = recipe["size"] + OFFSETS + 2 * MARGIN
    if network := simulator.get("network"):
        enlarge = load_network(network, f"generator={name}")
        return partial(make_super_resolved_pairs, enlarge, side), window_side(side)
    model = load_simulator(name, **simulator)
    return lambda windows, rng: (windows, simulate(model, windows)), side


def _write_images(folder: Path, recipe: dict[str, Any], split: str) -> None:
    """Write all images of `recipe`, and the recipe itself last."""
    make_pairs, side = _pair_maker(recipe)
    title = f"building {recipe['name']}, {split}"
    log.info("%s: %d pairs of images", title, recipe["images"])  # a bar shows in terminals alone
    with tqdm(total=recipe["images"], desc=title, unit="pair") as progress:
        for first, classes, windows in _windows(recipe, split, side):
            rng = np.random.default_rng((recipe["seed"], first))
            reals, fakes = make_pairs(windows, rng)
            for number, (class_name, *pair) in enumerate(zip(classes, reals, fakes, strict=True)):
                top, left = rng.integers(MARGIN, MARGIN + OFFSETS, size=2)
                for label_name, image in zip(LABELS, pair, strict=True):
                    crop = image[top : top + recipe["size"], left : left + recipe["size"]]
                    file = folder / class_name / label_name / f"{first + number:06d}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(crop).save(file, compress_level=PNG_COMPRESSION)
            progress.update(len(reals))
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=2))


def _windows(
    recipe: dict[str, Any], split: str, side: int
) -> Iterator[tuple[int, list[str], np.ndarray]]:
    """Yield batches: number of the first window, names of their photographs, the windows."""
    sources = photographs.load(split)
    names = list(sources)
    # The generator's name is not part of the seed: all generators get the same windows.
    rng = np.random.default_rng((recipe["seed"], SPLITS.index(split)))
    for first in range(0, recipe["images"], BATCH):
        count = min(BATCH, recipe["images"] - first)
        drawn = [names[(first + number) % len(names)] for number in range(count)]
        yield first, drawn, np.stack([window(sources[name], side, rng) for name in drawn])
