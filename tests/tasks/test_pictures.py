from __future__ import annotations

import base64
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genspot.common.geometry import Geometry
from genspot.data.photo_reading import PhotoReading
from genspot.detector.backbones.tiny_ladeda import TinyLaDeDa
from genspot.detector.network import DetectorNetwork, fuse_batchnorm
from genspot.report.verdict_page import MAX_SHOWN, Pictures
from genspot.tasks.pictures import (
    BLUE,
    MAX_MAP_SIDE,
    ORANGE,
    SIDE,
    WINDOW,
    draw_patches,
    draw_spectrum,
    make_pictures,
    read_pictures,
)
from helpers.arrays import make_noise


def opened(uri: str) -> Image.Image:
    """Return the picture of a data: URI."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def detector(name: str, geometry: Geometry, network: object = None) -> SimpleNamespace:
    return SimpleNamespace(
        name=name, crop=geometry.crop, network=network, reading=PhotoReading(geometry)
    )


def test_pictures_show_the_photo_small_and_what_each_detector_sees() -> None:
    pixels = make_noise(800, 400, 0)  # height and width
    found = make_pictures(
        pixels,
        [
            detector("cropped", Geometry(None, 200)),
            detector("resized", Geometry(100, 100)),
            detector("large", Geometry(None, 1000)),
            detector("whole", Geometry()),
        ],
    )
    assert opened(found.photo).size == (SIDE // 2, SIDE)
    assert found.seen == {"cropped": (0.5, 0.25), "resized": (1.0, 0.5), "large": (1.0, 1.0)}
    assert found.patch_maps == {}


def test_pictures_of_a_patch_detector_have_the_map_whose_mean_is_its_logit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(
        "genspot.tasks.pictures.draw_patches", lambda logits: drawn.append(logits) or "map"
    )
    network = fuse_batchnorm(DetectorNetwork(torch.nn.Identity(), Scaled()))
    pixels = make_noise(60, 80, 0)
    found = make_pictures(pixels, [detector("tiny", Geometry(None, 48), network)])
    assert found.patch_maps == {"tiny": "map"}
    centre = np.ascontiguousarray(pixels[6:54, 16:64])
    logit = network(torch.from_numpy(centre[None])).item()
    assert drawn[0].mean() == pytest.approx(logit, abs=1e-5)


class Scaled(TinyLaDeDa):
    """A TinyLaDeDa of bytes."""

    def patch_features(self, features: torch.Tensor) -> torch.Tensor:
        return super().patch_features(features / 255)


def test_patches_are_orange_above_0_blue_below_and_white_at_0() -> None:
    found = draw_patches(np.array([[2.0, -2.0], [0.0, 1.0]]))
    colours = np.asarray(opened(found.uri)).astype(int)
    assert found.limit == pytest.approx(2, rel=0.05)
    assert (colours[0, 0] == ORANGE).all()
    assert (colours[0, 1] == BLUE).all()
    assert (colours[1, 0] == 255).all()
    assert (colours[1, 1] == np.rint(255 + (ORANGE - 255) / found.limit)).all()


def test_patches_that_are_all_0_are_white() -> None:
    assert (np.asarray(opened(draw_patches(np.zeros((3, 2))).uri)) == 255).all()


def test_large_maps_are_scaled_down() -> None:
    assert max(opened(draw_patches(np.ones((700, 1400))).uri).size) == MAX_MAP_SIDE


def test_spectrum_of_a_grid_of_dots_is_brightest_at_its_frequencies() -> None:
    pixels = 100 + make_noise(300, 400, 0) // 16
    pixels[::8, ::8] += 60
    values = np.asarray(opened(draw_spectrum(pixels))).astype(float)
    assert values.shape == (WINDOW, WINDOW)
    centre, step = WINDOW // 2, WINDOW // 8
    peaks = values[centre, centre + step], values[centre - step, centre], values[0, centre]
    assert min(peaks) > np.percentile(values, 99)


def test_spectrum_of_one_colour_is_finite() -> None:
    assert np.asarray(opened(draw_spectrum(np.full((WINDOW, WINDOW, 3), 9, np.uint8)))).any() == 0


@pytest.mark.parametrize("size", [(WINDOW - 1, 500), (1, 1)])
def test_spectrum_of_a_small_photo_is_left_out(size: tuple[int, int]) -> None:
    assert draw_spectrum(make_noise(*size, 0)) == ""


def test_read_pictures_leaves_out_unreadable_photos_and_those_beyond_the_page(
    tmp_path: Path,
) -> None:
    Image.fromarray(make_noise(40, 40, 0)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "missing.png")]
    found = read_pictures(paths, [detector("whole", Geometry())], 100)
    assert found.keys() == {paths[0]}
    assert isinstance(found[paths[0]], Pictures)
    many = ["missing.png"] * MAX_SHOWN + paths
    assert read_pictures(many, [], 100) == {}
