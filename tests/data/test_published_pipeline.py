"""The whole way from the file to the crop equals the published pipeline, to the bit."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pyarrow as pa
import pytest
from albumentations import ImageOnlyTransform
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from benchmarks.published import (
    CROP,
    SIDE,
    Parameters,
    compress,
    drawn_parameters,
    published_crop,
)
from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.common.geometry import Geometry
from genspot.data.dataset import ImageDataset
from genspot.data.label_folders import LABELS
from genspot.data.layout import sample_table
from genspot.data.packed.reader import open_packed
from genspot.data.packed.writer import pack
from genspot.data.places import load_samples
from genspot.data.simulated import photographs
from genspot.data.simulated.build import window
from genspot.tasks.paths import CONF

WINDOWS, EPOCHS = 40, 3


@functools.cache
def published_augmentation() -> albumentations.Compose:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("config", ["aug=blur_jpg_0.5"]).aug.train)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows of the packaged photographs, 256×256, packed."""
    folder = tmp_path_factory.mktemp("photographs") / "set"
    rng = np.random.default_rng(0)
    sources = [
        photo for split in ("train", "val", "test") for photo in photographs.load(split).values()
    ]
    for name in LABELS:
        (folder / name).mkdir(parents=True)
    for number in range(WINDOWS):
        pixels = window(sources[number % len(sources)], SIDE, rng)
        Image.fromarray(pixels).save(folder / list(LABELS)[number % 2] / f"{number:06d}.png")
    pack(folder, "photographs", None)
    return folder


@pytest.mark.parametrize(("packed", "seed"), [(False, 0), (True, 1)])
def test_crops_of_photographs_equal_the_published_ones(
    windows: Path, packed: bool, seed: int
) -> None:
    listing, read = load_samples(windows, "photographs", None), None
    if packed:
        listing, read = open_packed(windows, "photographs", None)
    augmentation = published_augmentation()
    dataset = ImageDataset(listing.table, augmentation, Geometry(SIDE, CROP), True, seed, read)
    kinds = set()
    for epoch in range(EPOCHS):
        for row, path in enumerate(listing.table["path"].to_pylist()):
            drawn = drawn_parameters(dataset, epoch, row, SIDE, SIDE)
            kinds.add((drawn.sigma is None, drawn.jpeg and drawn.jpeg[1], drawn.flip))
            crop = dataset[epoch, row]["image"]
            assert crop is not None and crop.dtype == np.uint8
            np.testing.assert_array_equal(crop, np.asarray(published_crop(path, drawn)))
    assert len(kinds) == 2 * 3 * 2  # blurred or not, either codec or none, flipped or not


def one_row(folder: Path, pixels: np.ndarray) -> pa.Table:
    Image.fromarray(pixels).save(folder / "image.png")
    return sample_table([(str(folder / "image.png"), "gan", "", 0)])


def make_patches(height: int, width: int, seed: int) -> np.ndarray:
    """Return noise, or coarse patches of it, which a blur does not level."""
    rng = np.random.default_rng(seed)
    step = int(rng.integers(1, 9))
    shape = (-(-height // step), -(-width // step), 3)
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    return pixels.repeat(step, 0).repeat(step, 1)[:height, :width]


@settings(max_examples=60, deadline=None)
@example(24, 24, 24, 24, 0)
@example(1, 200, 8, 8, 1)
@example(90, 31, 30, 17, 2)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(8, 60),
    st.integers(2, 60),
    st.integers(0, 2**32 - 1),
)
def test_crops_of_any_size_equal_the_published_ones(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    side: int,
    crop: int,
    seed: int,
) -> None:
    crop = min(crop, side)
    table = one_row(tmp_path_factory.mktemp("one"), make_patches(height, width, seed))
    longer = int(side * max(height, width) / min(height, width))
    resized = (side, longer) if height <= width else (longer, side)
    assume(longer <= 256)
    geometry = Geometry(side, crop)
    dataset = ImageDataset(table, published_augmentation(), geometry, train=True, seed=seed)
    for epoch in range(3):
        drawn = drawn_parameters(dataset, epoch, 0, *resized)
        expected = published_crop(table["path"][0].as_py(), drawn, side, crop)
        found = dataset[epoch, 0]["image"]
        assert found is not None
        np.testing.assert_array_equal(found, np.asarray(expected))


def test_drawn_parameters_are_those_of_the_documented_stream(tmp_path: Path) -> None:
    """A crop computed step by step from the random stream that the docstrings describe."""
    table = one_row(tmp_path, make_patches(50, 40, 3))
    transforms = [Blur((0.5, 2.5), p=0.7), JPEG((40, 90), p=0.6)]
    augmentation = albumentations.Compose(transforms)
    dataset = ImageDataset(table, augmentation, Geometry(32, 20), train=True, seed=7)
    for epoch in range(30):
        drawn = drawn_parameters(dataset, epoch, 0, 40, 32)
        stream = random.Random((7 << 96) | (epoch << 64))
        _ = stream.getrandbits(128), stream.getrandbits(127)  # the state of NumPy's stream
        _ = stream.random()  # whether Compose is applied
        sigma = stream.uniform(0.5, 2.5) if stream.random() < 0.7 else None
        jpeg = None
        if stream.random() < 0.6:
            jpeg = stream.randint(40, 90), stream.choice(("cv2", "pil"))
        top, left = stream.randrange(40 - 20 + 1), stream.randrange(32 - 20 + 1)
        flip = stream.random() < 0.5
        assert drawn == Parameters(sigma, jpeg, top, left, flip)

        with Image.open(table["path"][0].as_py()) as image:
            pixels = np.array(image.resize((32, 40), Image.Resampling.BILINEAR))
        for channel in range(3) if sigma is not None else ():
            plane = pixels[:, :, channel]
            gaussian_filter(plane, output=plane, sigma=sigma)
        degraded = compress(pixels, *jpeg) if jpeg else pixels
        crop = degraded[top : top + 20, left : left + 20]
        crop = crop[:, ::-1] if flip else crop
        published = published_crop(table["path"][0].as_py(), drawn, 32, 20)
        np.testing.assert_array_equal(np.asarray(published), crop)
        np.testing.assert_array_equal(dataset[epoch, 0]["image"], crop)


class Speckle(ImageOnlyTransform):
    """A transform that draws from both random streams."""

    def get_params(self) -> dict[str, Any]:
        return {"shift": self.py_random.randint(0, 3)}

    def apply(self, img: np.ndarray, shift: int, **_: Any) -> np.ndarray:
        speckle = self.random_generator.integers(0, 20, img.shape, dtype=np.uint8)
        # 16 bits: the generator keeps the other half of its word for the next call.
        offset = self.random_generator.integers(0, 2**16, dtype=np.uint16)
        return img // 2 + speckle + np.uint8(shift + offset % 3)


TRANSFORMS: dict[str, Callable[[], list[Any]]] = {
    "own": lambda: [Speckle(p=1)],
    "several": lambda: [Blur(p=0.5), albumentations.ISONoise(p=1), JPEG(p=0.5), Speckle(p=1)],
    "dropout": lambda: [albumentations.CoarseDropout(p=1), albumentations.PixelDropout(p=1)],
}


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_numpy_stream_depends_on_seed_epoch_and_row_alone(tmp_path: Path, kind: str) -> None:
    table = pa.concat_tables([one_row(tmp_path, make_patches(24, 20, 1))] * 6)

    def make_dataset(seed: int, train: bool = True) -> ImageDataset:
        augmentation = albumentations.Compose(TRANSFORMS[kind]())
        return ImageDataset(table, augmentation, train=train, seed=seed)

    indices = [(epoch, row) for epoch in range(2) for row in range(6)]
    expected = {index: make_dataset(0)[index]["image"] for index in indices}
    dataset = make_dataset(0)
    shuffled = indices * 2
    random.Random(0).shuffle(shuffled)
    for index in shuffled:
        np.testing.assert_array_equal(dataset[index]["image"], expected[index])
    others = [make_dataset(1)[index]["image"] for index in indices]
    images = {image.tobytes() for image in [*expected.values(), *others] if image is not None}
    assert len(images) == 2 * len(indices)
    evaluation = [make_dataset(0, train=False)[0, row]["image"] for row in range(6)]
    assert len({image.tobytes() for image in evaluation if image is not None}) == 6


def test_numpy_streams_of_rows_are_uncorrelated(tmp_path: Path) -> None:
    black = one_row(tmp_path, np.zeros((16, 16, 3), np.uint8))
    augmentation = albumentations.Compose([Speckle(p=1)])
    dataset = ImageDataset(pa.concat_tables([black] * 64), augmentation, train=True)
    samples = [dataset[epoch, row]["image"] for epoch in range(4) for row in range(64)]
    values = np.stack(samples).reshape(256, -1).astype(float)  # type: ignore[arg-type]
    values -= values.mean(axis=1, keepdims=True)
    values /= values.std(axis=1, keepdims=True)
    correlation = values @ values.T / values.shape[1] - np.eye(256)
    assert np.abs(correlation).max() < 6 / np.sqrt(values.shape[1])
