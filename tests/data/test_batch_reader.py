"""Threads read the batches of a prediction in order, as PyTorch's loader gives them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.data.batch_reader import BatchReader, predict_batches
from genspot.data.dataset import ImageDataset
from genspot.data.image_data import ImageData
from genspot.data.layout import sample_table
from genspot.data.settings import Loading, Simulation
from helpers.arrays import make_noise
from helpers.errors import error_of

PHOTOS = 11


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(PHOTOS):
        side = 20 + number
        Image.fromarray(make_noise(side, side + 3, number)).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "04.png").write_bytes(b"no image")
    return tmp_path


def make_images(folder: Path, geometry: Geometry, workers: int) -> ImageData:
    loading = Loading(batch_size=4, eval_batch_size=4, workers=workers, seed=0)
    simulation = Simulation(size=64, seed=0, train=4, super_resolved=4, val=2, test=2)
    images = ImageData(
        None, [], {}, Geometry(crop=8), geometry, loading, simulation, inputs=[str(folder)]
    )
    images.setup("predict")
    return images


@pytest.mark.parametrize("known", [((), ()), ({0, 1}, {2, 7})])
@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("geometry", [Geometry(crop=24), Geometry()], ids=str)
def test_batches_are_those_of_the_loader_of_pytorch(
    folder: Path, geometry: Geometry, workers: int, known: tuple[set[int], set[int]]
) -> None:
    images = make_images(folder, geometry, workers)
    images.known["predict"] = known
    expected = list(make_loader(images))
    found = predict_batches(images)
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        for key in ("row", "label", "padded"):
            np.testing.assert_array_equal(batch[key], other[key].numpy())
        assert batch["unreadable"] == other["unreadable"]
        if other["image"] is None:
            assert batch["image"] is None
        else:
            np.testing.assert_array_equal(batch["image"], other["image"].numpy())


def make_loader(images: ImageData) -> object:
    images.loading = Loading(batch_size=4, eval_batch_size=4, workers=0, seed=0)
    return images.predict_dataloader()


def test_error_of_the_data_set_ends_the_reading() -> None:
    def read(row: int) -> np.ndarray:
        if row == 5:
            raise GenspotError("the place is gone")
        return make_noise(8, 8, row)

    dataset = ImageDataset(sample_table([("a.png", "", "", -1)] * 8), read=read)
    assert error_of(list, BatchReader(dataset, range(8), 1, 2)) == "the place is gone"


@pytest.mark.parametrize("batch_size", [1, 4])
def test_few_images_are_read_ahead(batch_size: int) -> None:
    started, lock = [], threading.Lock()

    def read(row: int) -> np.ndarray:
        with lock:
            started.append(row)
        return make_noise(8, 8, row)

    dataset = ImageDataset(sample_table([("a.png", "", "", -1)] * 40), read=read)
    batches = iter(BatchReader(dataset, range(40), batch_size, 2))
    next(batches)
    batches.close()  # batches that nobody reads yet are given up
    assert batch_size <= len(started) <= 3 * batch_size
