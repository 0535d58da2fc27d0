"""A photo is prepared for a network as torchvision does it; what cannot be is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from genspot.common.geometry import Geometry
from genspot.common.images import UnreadableError
from genspot.data.dataset import ImageDataset
from genspot.data.layout import sample_table
from genspot.data.photo_reading import PhotoReading
from helpers.arrays import make_noise

GEOMETRIES = [
    Geometry(crop=24),
    Geometry(resize=20, crop=16),
    Geometry(resize=(9, 13)),
    Geometry(),
]


def invert(image: np.ndarray) -> np.ndarray:
    return 255 - image


@pytest.mark.parametrize("size", [(40, 31), (17, 50)])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_prepare_gives_the_pixels_of_torchvision(
    geometry: Geometry, size: tuple[int, int]
) -> None:
    image = make_noise(*size, seed=1)
    resize = [v2.Resize(geometry.resize)] if geometry.resize else []
    crop = [v2.CenterCrop(geometry.crop)] if geometry.crop else []
    expected = v2.Compose([v2.Identity(), *resize, *crop])(Image.fromarray(invert(image)))
    pixels, padded = PhotoReading(geometry, invert).prepare(image)
    np.testing.assert_array_equal(pixels, np.asarray(expected))
    assert padded == (geometry.crop == 24 and min(size) < 24)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_prepare_gives_the_pixels_of_a_data_set_in_evaluation(geometry: Geometry) -> None:
    image = make_noise(33, 21, seed=2)
    table = sample_table([("a.png", "", "", -1)])
    dataset = ImageDataset(table, None, geometry, read=lambda row: image, protocols=(invert,) * 2)
    pixels, padded = PhotoReading(geometry, invert).prepare(image)
    sample = dataset[0, 0]
    np.testing.assert_array_equal(pixels, sample["image"])
    assert padded == sample["padded"]


def test_prepare_refuses_a_photo_that_is_too_large_to_be_scored_whole() -> None:
    reading = PhotoReading(Geometry(), max_whole_megapixels=1)
    with pytest.raises(UnreadableError, match=r"1001 × 1000 pixels .* crop=N"):
        reading.prepare(np.zeros((1000, 1001, 3), np.uint8))


def test_prepare_says_why_the_protocol_fails() -> None:
    def refuse(image: np.ndarray) -> np.ndarray:
        raise ValueError("smaller than 256 pixels")

    with pytest.raises(UnreadableError, match="protocol: smaller than 256 pixels"):
        PhotoReading(Geometry(crop=8), refuse).prepare(make_noise(8, 8, seed=0))
