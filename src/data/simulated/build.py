"""The embedded data set: photographs, and their reconstructions by simulated generators.

Real and fake images are the same windows of the same photographs. Each window is cut from a
photograph that was reduced at random, which removes the block grid of its JPEG. The fake passes
through the simulator. Then both are cropped at the same random offset, so that neither is in phase
with the simulator's own grid, and are saved as PNG. They differ only by the simulator. The classes
of a set are its photographs. Where a super-resolution network takes the place of the simulator,
`genspot.data.simulated.super_resolution` makes the pairs. AutoGAN
(`genspot.data.simulated.autogan`) also takes photographs of the user's own; its fakes are what the
generator makes of a whole window, as Zhang et al. did.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image
from torch import nn
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.data.label_folders import LABELS
from genspot.data.settings import Simulation, TestSet, TrainingSet
from genspot.data.simulated import photographs
from genspot.data.simulated.autogan_train import load_or_train
from genspot.data.simulated.generators import load_simulator, simulate
from genspot.data.simulated.photos import Photographs, describe_own, find_own, own
from genspot.data.simulated.random_simulators import choose
from genspot.data.simulated.random_train import load_or_train_all
from genspot.data.simulated.super_resolution import (
    check_installed,
    load_network,
    make_super_resolved_pairs,
    window_side,
)

log = logging.getLogger(__name__)

# From windows of photographs to real images and their fakes, each uint8 N×H×W×3.
PairMaker = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
SourceOfSplit = Callable[[str], Photographs]

OFFSETS = 16  # range of the final crop's offset in pixels: twice the largest stride of a simulator
MARGIN = 8  # pixels around it, which the zero padding of a simulator may reach
REDUCTION = (0.35, 0.75)  # range of the factor by which a photograph is reduced
GAIN, GAMMA = (0.6, 1.0), (0.7, 1.4)  # ranges of a random exposure
BATCH = 20
SPLITS = ("test", "train", "val")  # the place of a split is part of the seed of its windows
WEIGHTS = "generator.safetensors"  # of AutoGAN, beside the data sets that it made
WEIGHTS_FOLDER = "simulators"  # of random simulators, which sets of all names share
TESTED = 8  # of so many random simulators of the training, validation and test have one each
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
            or {"network": NAME}, one of `genspot.data.simulated.super_resolution.NETWORKS`;
            or {"count", "steps", "leave_out", "discriminator"} of simulators that are drawn at
            random, see `random_simulators.choose`, for each split others; the tests are of all
            kinds of them, whatever is left out;
            or AutoGAN's width, blocks, side, steps and photos, see `photos.find_own`; None: the
            embedded photographs. Its weights are kept beside the folder.
        split: "train", "val" or "test"; says which photographs are used.
        simulation: size, seed and numbers of the images.

    Raises:
        GenspotError: the folder contains anything else. It is not removed, because another run
            may be reading it, and because it may have other contents. Or a package that a
            super-resolution network needs is missing, or the photos are.
    """
    simulator = dict(simulator)
    if split == "test" and "leave_out" in simulator:  # ablations are tested on the same fakes
        simulator |= {"leave_out": [], "discriminator": "any"}
    photos = simulator.pop("photos", None)
    recipe = {
        "name": name,
        "simulator": simulator,
        "photographs": _describe(photos, split, simulation.seed),
        "images": simulation.images(split, simulator),
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
        _write_images(unfinished, recipe, split, photos)
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


def _describe(photos: str | None, split: str, seed: int) -> Any:
    """Return what tells the photographs of `split` from others."""
    return describe_own(find_own(photos, split, seed)[0]) if photos else photographs.names(split)


def _source(recipe: dict[str, Any], photos: str | None, split: str) -> Photographs:
    """Return the photographs of `split`: the embedded ones, or those at `photos`."""
    if photos:
        side = max(recipe["size"], recipe["simulator"]["side"])
        return own(photos, split, recipe["seed"], side)
    sources = photographs.load(split)
    images = list(sources.values())
    return Photographs(list(sources), lambda number, side, rng: window(images[number], side, rng))


def _pair_maker(
    recipe: dict[str, Any], photos: str | None, folder: Path, source: SourceOfSplit, split: str
) -> tuple[PairMaker, int]:
    """Return what makes real images and fakes of windows, and the side of the windows.

    AutoGAN's weights are in `folder`; where they are missing it is trained.
    """
    name, simulator = recipe["name"], recipe["simulator"]
    side = recipe["size"] + OFFSETS + 2 * MARGIN
    if network := simulator.get("network"):
        enlarge = load_network(network, f"generator={name}")
        return partial(make_super_resolved_pairs, enlarge, side), window_side(side)
    if "width" in simulator:
        seed = recipe["seed"]
        trained_on = {"seed": seed, "photographs": _describe(photos, "train", seed)}
        trained = load_or_train(folder / WEIGHTS, simulator | trained_on, partial(source, "train"))
        return partial(_reproduce, trained), recipe["size"]
    if "count" in simulator:
        return partial(_by_one_of, _random_simulators(recipe, folder, split)), side
    model = load_simulator(name, **simulator)
    return lambda windows, rng: (windows, simulate(model, windows)), side


def _random_simulators(recipe: dict[str, Any], folder: Path, split: str) -> list[nn.Module]:
    """Return the random simulators of `split`; they are trained first where they are missing.

    All are trained on the photographs of the training, as a generator would be.
    """
    options, seeds = recipe["simulator"], (recipe["seed"], SPLITS.index(split))
    wanted = options["count"] if split == "train" else max(2, options["count"] // TESTED)
    numbers = choose(wanted, seeds, options["leave_out"], options["discriminator"])
    draws = {f"{split}_{recipe['seed']}_{number:04d}": (*seeds, number) for number in numbers}
    return load_or_train_all(
        folder.parent / WEIGHTS_FOLDER / f"steps_{options['steps']}",
        {"steps": options["steps"], "photographs": photographs.names("train")},
        draws,
        partial(_source, recipe, None, "train"),  # other processes get it
    )


def _by_one_of(
    simulators: list[nn.Module], windows: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows, and what one of the simulators makes of them."""
    height, width = windows.shape[1:3]  # a fake has the next multiples of 2 ** stages
    simulator = simulators[int(rng.integers(len(simulators)))]
    return windows, simulate(simulator, windows)[:, :height, :width]


def _reproduce(
    generator: nn.Module, windows: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows and AutoGAN's fakes of them, made one by one: they may be large."""
    height, width = windows.shape[1:3]  # a fake has the next multiples of 4
    fakes = [simulate(generator, one[None])[0, :height, :width] for one in windows]
    return windows, np.stack(fakes)


def _write_images(folder: Path, recipe: dict[str, Any], split: str, photos: str | None) -> None:
    """Write all images of `recipe`, and the recipe itself last."""
    source = cache(partial(_source, recipe, photos))  # photographs are checked once
    make_pairs, side = _pair_maker(recipe, photos, folder.parent, source, split)
    title = f"building {recipe['name']}, {split}"
    log.info("%s: %d pairs of images", title, recipe["images"])  # a bar shows in terminals alone
    with tqdm(total=recipe["images"], desc=title, unit="pair") as progress:
        for first, classes, windows in _windows(recipe, source(split), split, side):
            rng = np.random.default_rng((recipe["seed"], first))
            reals, fakes = make_pairs(windows, rng)
            for number, (class_name, *pair) in enumerate(zip(classes, reals, fakes, strict=True)):
                whole = side == recipe["size"]
                top, left = (0, 0) if whole else rng.integers(MARGIN, MARGIN + OFFSETS, size=2)
                for label_name, image in zip(LABELS, pair, strict=True):
                    crop = image[top : top + recipe["size"], left : left + recipe["size"]]
                    file = folder / class_name / label_name / f"{first + number:06d}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(crop).save(file, compress_level=PNG_COMPRESSION)
            progress.update(len(reals))
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=2))


def _windows(
    recipe: dict[str, Any], source: Photographs, split: str, side: int
) -> Iterator[tuple[int, list[str], np.ndarray]]:
    """Yield batches: number of the first window, classes of their photographs, the windows."""
    # The generator's name is not part of the seed: all generators get the same windows.
    rng = np.random.default_rng((recipe["seed"], SPLITS.index(split)))
    for first in range(0, recipe["images"], BATCH):
        last = min(first + BATCH, recipe["images"])
        drawn = [number % len(source.classes) for number in range(first, last)]
        windows = np.stack([source.cut(number, side, rng) for number in drawn])
        yield first, [source.classes[number] for number in drawn], windows
