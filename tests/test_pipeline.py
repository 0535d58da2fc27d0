"""The whole way from the file to the crop is the published one, to the bit."""

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
from benchmarks.published import CROP, SIDE, Draws, compress, draws_of, published
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.data.dataset import ImageDataset
from genspot.data.layout import table
from genspot.data.index import scan
from genspot.data.packed.writer import pack
from genspot.data.simulated.build import photos, window
from genspot.data.packed.reader import open_store

CONF = Path(__file__).parents[1] / "conf"
WINDOWS = 40
EPOCHS = 3

seeds = st.integers(0, 2**32 - 1)


@functools.cache
def published_augmentation() -> albumentations.Compose:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("config", ["aug=blur_jpg_0.5"]).aug.train)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows of the packaged photographs, 256×256, packed."""
    folder = tmp_path_factory.mktemp("photographs") / "set"
    draws = np.random.default_rng(0)
    sources = [photo for split in ("train", "val", "test") for photo in photos(split).values()]
    for half in ("0_real", "1_fake"):
        (folder / half).mkdir(parents=True)
    for number in range(WINDOWS):
        half = folder / ("1_fake" if number % 2 else "0_real")
        pixels = window(sources[number % len(sources)], SIDE, draws)
        Image.fromarray(pixels).save(half / f"{number:06d}.png")
    pack(folder, "photographs", None)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_crop_of_a_photograph_is_the_published_one(
    windows: Path, packed: bool, seed: int
) -> None:
    rows, read = scan(windows, "photographs", None), None
    if packed:
        rows, read = open_store(windows, "photographs", None)
    dataset = ImageDataset(
        rows, published_augmentation(), SIDE, CROP, train=True, seed=seed, read=read
    )
    kinds = set()
    for epoch in range(EPOCHS):
        for row, path in enumerate(rows["path"].to_pylist()):
            draws = draws_of(dataset, epoch, row, SIDE, SIDE)
            kinds.add((draws.sigma is None, draws.jpeg and draws.jpeg[1], draws.flip))
            crop = dataset[epoch, row]["image"]
            assert crop is not None and crop.dtype == np.uint8
            np.testing.assert_array_equal(crop, np.asarray(published(path, draws)))
    assert len(kinds) == 2 * 3 * 2  # blurred or not, either codec or none, flipped or not


def one_row(folder: Path, pixels: np.ndarray) -> pa.Table:
    path = folder / "image.png"
    Image.fromarray(pixels).save(path)
    return table([(str(path), "gan", "", 0)])


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """Noise, or coarse patches of it, which survive a blur."""
    draws = np.random.default_rng(seed)
    step = int(draws.integers(1, 9))
    patches = (-(-height // step), -(-width // step), 3)
    pixels = draws.integers(0, 256, patches, dtype=np.uint8)
    return pixels.repeat(step, 0).repeat(step, 1)[:height, :width]


@settings(max_examples=60, deadline=None)
@example(24, 24, 24, 24, 0)
@example(1, 200, 8, 8, 1)
@example(90, 31, 30, 17, 2)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(8, 60), st.integers(2, 60), seeds)
def test_every_crop_of_any_size_is_the_published_one(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    side: int,
    crop: int,
    seed: int,
) -> None:
    crop = min(crop, side)
    folder = tmp_path_factory.mktemp("one", numbered=True)
    rows = one_row(folder, noise(height, width, seed))
    long = int(side * max(height, width) / min(height, width))
    resized = (side, long) if height <= width else (long, side)
    assume(long <= 256)
    dataset = ImageDataset(rows, published_augmentation(), side, crop, train=True, seed=seed)
    for epoch in range(3):
        draws = draws_of(dataset, epoch, 0, *resized)
        expected = published(rows["path"][0].as_py(), draws, side, crop)
        found = dataset[epoch, 0]["image"]
        assert found is not None
        np.testing.assert_array_equal(found, np.asarray(expected))


def degraded_as_published(
    pixels: np.ndarray, sigma: float | None, jpeg: tuple[int, str] | None
) -> np.ndarray:
    pixels = pixels.copy()
    for channel in range(3) if sigma is not None else ():
        plane = pixels[:, :, channel]
        gaussian_filter(plane, output=plane, sigma=sigma)
    return compress(pixels, *jpeg) if jpeg else pixels


def test_draws_of_finds_what_the_streams_say(tmp_path: Path) -> None:
    """A crop computed step by step from the streams that the docstrings describe."""
    rows = one_row(tmp_path, noise(50, 40, 3))
    transforms = [Blur((0.5, 2.5), p=0.7), JPEG((40, 90), p=0.6)]
    dataset = ImageDataset(rows, albumentations.Compose(transforms), 32, 20, train=True, seed=7)
    for epoch in range(30):
        draws = draws_of(dataset, epoch, 0, 40, 32)
        stream = random.Random((7 << 96) | (epoch << 64))
        _ = stream.getrandbits(128), stream.getrandbits(127)  # NumPy's stream begins there
        _ = stream.random()  # whether Compose runs at all
        sigma = stream.uniform(0.5, 2.5) if stream.random() < 0.7 else None
        jpeg = None
        if stream.random() < 0.6:
            jpeg = stream.randint(40, 90), stream.choice(("cv2", "pil"))
        top, left = stream.randrange(40 - 20 + 1), stream.randrange(32 - 20 + 1)
        flip = stream.random() < 0.5
        assert draws == Draws(sigma, jpeg, top, left, flip)

        with Image.open(rows["path"][0].as_py()) as image:
            pixels = np.array(image.resize((32, 40), Image.Resampling.BILINEAR))
        degraded = degraded_as_published(pixels, sigma, jpeg)
        crop = degraded[top : top + 20, left : left + 20]
        crop = crop[:, ::-1] if flip else crop
        np.testing.assert_array_equal(
            np.asarray(published(rows["path"][0].as_py(), draws, 32, 20)), crop
        )
        np.testing.assert_array_equal(dataset[epoch, 0]["image"], crop)


def test_draws_of_says_where_nothing_is_degraded(tmp_path: Path) -> None:
    rows = one_row(tmp_path, noise(20, 20, 3))
    none = albumentations.Compose([Blur(p=0), JPEG(p=0)])
    draws = draws_of(ImageDataset(rows, none, crop=20, train=True), 0, 0, 20, 20)
    assert (draws.sigma, draws.jpeg, draws.top, draws.left) == (None, None, 0, 0)


class Speckle(ImageOnlyTransform):
    """Draws from both streams."""

    def get_params(self) -> dict[str, Any]:
        return {"shift": self.py_random.randint(0, 3)}

    def apply(self, img: np.ndarray, shift: int, **_: Any) -> np.ndarray:
        speckle = self.random_generator.integers(0, 20, img.shape, dtype=np.uint8)
        odd = self.random_generator.integers(0, 2**16, dtype=np.uint16)  # half a word is kept back
        return img // 2 + speckle + np.uint8(shift + odd % 3)


STREAMS: dict[str, Callable[[], list[Any]]] = {
    "own": lambda: [Speckle(p=1)],
    "noise": lambda: [albumentations.GaussNoise(p=1)],
    "one of": lambda: [albumentations.OneOf([Speckle(p=1), albumentations.GaussNoise(p=1)], p=1)],
    "after another": lambda: [
        Blur(p=0.5),
        albumentations.ISONoise(p=1),
        JPEG(p=0.5),
        Speckle(p=1),
    ],
    "dropout": lambda: [albumentations.CoarseDropout(p=1), albumentations.PixelDropout(p=1)],
}


@pytest.fixture
def same_rows(tmp_path: Path) -> pa.Table:
    """One image, six times."""
    return pa.concat_tables([one_row(tmp_path, noise(24, 20, 1))] * 6)


def noisy(rows: pa.Table, kind: str, seed: int = 0, train: bool = True) -> ImageDataset:
    return ImageDataset(rows, albumentations.Compose(STREAMS[kind]()), train=train, seed=seed)


@pytest.mark.parametrize("kind", STREAMS)
def test_numpys_stream_depends_on_seed_epoch_and_row_alone(same_rows: pa.Table, kind: str) -> None:
    draws = [(epoch, row) for epoch in range(2) for row in range(6)]
    expected = {draw: noisy(same_rows, kind)[draw]["image"] for draw in draws}
    dataset = noisy(same_rows, kind)
    shuffled = draws * 2
    random.Random(0).shuffle(shuffled)
    np.random.default_rng()
    for draw in shuffled:
        np.testing.assert_array_equal(dataset[draw]["image"], expected[draw])
    others = [noisy(same_rows, kind, seed=1)[draw]["image"] for draw in draws]
    assert len({image.tobytes() for image in [*expected.values(), *others]}) == 2 * len(draws)


def first(batch: list[Any]) -> Any:
    return batch[0]["image"]


@pytest.mark.parametrize("workers", [1, 2])
def test_numpys_stream_does_not_depend_on_workers(same_rows: pa.Table, workers: int) -> None:
    draws = [(epoch, row) for epoch in range(2) for row in range(6)]
    loader = DataLoader(
        noisy(same_rows, "after another"),
        1,
        sampler=draws,
        num_workers=workers,
        collate_fn=first,
    )
    for draw, image in zip(draws, loader, strict=True):
        np.testing.assert_array_equal(image, noisy(same_rows, "after another")[draw]["image"])


def test_an_evaluation_draws_from_numpys_stream_too(same_rows: pa.Table) -> None:
    one, other = (noisy(same_rows, "own", train=False) for _ in range(2))
    images = [one[0, row]["image"] for row in range(6)]
    assert len({image.tobytes() for image in images}) == 6
    for row in (3, 0, 5):
        np.testing.assert_array_equal(other[0, row]["image"], images[row])


def test_numpys_streams_of_rows_are_not_related(tmp_path: Path) -> None:
    black = one_row(tmp_path, np.zeros((16, 16, 3), np.uint8))
    dataset = noisy(pa.concat_tables([black] * 64), "own")
    values = np.stack([dataset[epoch, row]["image"] for epoch in range(4) for row in range(64)])
    values = values.reshape(256, -1).astype(float)
    values -= values.mean(axis=1, keepdims=True)
    values /= values.std(axis=1, keepdims=True)
    related = values @ values.T / values.shape[1] - np.eye(256)
    assert np.abs(related).max() < 6 / np.sqrt(values.shape[1])
