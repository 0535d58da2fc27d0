"""The embedded data set and its simulators."""

from __future__ import annotations

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file

from genspot.common.errors import GenspotError
from genspot.data.settings import Simulation
from genspot.data.simulated import build as build_module
from genspot.data.simulated import photographs
from genspot.data.simulated.build import MARGIN, OFFSETS, SPLITS, build, window
from genspot.data.simulated.generators import (
    Simulator,
    load_simulator,
    simulate,
)
from genspot.data.simulated.train import train_simulators
from genspot.tasks.paths import CONF
from helpers.arrays import make_noise

SIMULATORS: dict[str, Any] = {
    file.stem: OmegaConf.to_container(OmegaConf.load(file)[file.stem].simulator)
    for file in sorted((CONF / "generator").glob("sim_*.yaml"))
}
NEAREST = {"upsampling": "nearest", "stages": 2}
SMALL = Simulation(size=32, seed=0, train=7, super_resolved=7, val=4, test=4)


def make(
    folder: Path, split: str = "test", name: str = "sim_nearest", **changes: int
) -> dict[str, bytes]:
    """Build a data set and return the contents of its files."""
    build(folder, name, SIMULATORS[name], split, replace(SMALL, **changes))
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def pixels(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(folder.rglob("*.png"))
    return {path.relative_to(folder).as_posix(): np.asarray(Image.open(path)) for path in files}


def psnr(real: np.ndarray, fake: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((real / 255 - fake / 255) ** 2)))


@pytest.mark.parametrize("split", SPLITS)
def test_build_writes_pairs_in_a_class_for_each_photograph(tmp_path: Path, split: str) -> None:
    folder = tmp_path / "set"
    make(folder, split, size=64)
    images = pixels(folder)
    reals = {name: image for name, image in images.items() if "0_real" in name}
    pairs = [(real, images[name.replace("0_real", "1_fake")]) for name, real in reals.items()]
    assert 2 * len(pairs) == len(images) == 2 * getattr(SMALL, split)
    assert {image.shape for image in images.values()} == {(64, 64, 3)}
    assert all((real != fake).any() for real, fake in pairs)
    assert np.mean([psnr(real, fake) for real, fake in pairs]) > 20
    assert {file.parents[2] for file in folder.rglob("*.png")} == {folder}
    used = photographs.names(split)[: getattr(SMALL, split)]
    assert {file.parents[1].name for file in folder.rglob("*.png")} == set(used)


def test_build_twice_gives_the_same_bytes_and_leaves_the_folder(tmp_path: Path) -> None:
    first = make(tmp_path / "first")
    assert first == make(tmp_path / "second")
    other = make(tmp_path / "other", name="sim_shuffle")  # of the same photographs
    assert all((first[name] == other[name]) == ("0_real" in name) for name in first)
    mtimes = {path: path.stat().st_mtime_ns for path in (tmp_path / "first").rglob("*")}
    make(tmp_path / "first")
    assert mtimes == {path: path.stat().st_mtime_ns for path in (tmp_path / "first").rglob("*")}


@pytest.mark.parametrize("change", [{"seed": 1}, {"test": 5}, {"name": "sim_bilinear"}])
def test_build_keeps_and_refuses_a_set_of_another_recipe(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    before = make(tmp_path / "set")
    with pytest.raises(GenspotError, match=r"remove it.*paths\.datasets=PATH") as error:
        make(tmp_path / "set", **change)
    assert str(tmp_path / "set") in str(error.value) and "\n" not in str(error.value)
    assert contents(tmp_path / "set") == before
    assert make(tmp_path / "other", **change) != before


@pytest.mark.parametrize("name", ["recipe.json", "0_real/mine.png"])
def test_build_keeps_a_folder_with_other_contents(tmp_path: Path, name: str) -> None:
    file = tmp_path / "set" / name
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(GenspotError, match="contains something else"):
        make(tmp_path / "set")
    assert contents(tmp_path / "set") == {name: b"{"}


def test_build_replaces_what_an_interrupted_build_left(tmp_path: Path) -> None:
    partial = tmp_path / "set.partial" / "0_real"
    partial.mkdir(parents=True)
    (partial / "000099.png").write_bytes(b"cut off")
    (tmp_path / "set").mkdir()  # an empty folder is used
    assert make(tmp_path / "set") == make(tmp_path / "other")
    assert not (tmp_path / "set.partial").exists()


def test_finished_set_needs_no_right_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    make(tmp_path / "set")
    monkeypatch.setattr(build_module, "FileLock", fail)
    make(tmp_path / "set")
    with pytest.raises(OSError, match="Read-only"):
        make(tmp_path / "other")


def test_second_build_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, loads = threading.Event(), []

    def load_slowly(*args: Any, **options: Any) -> Simulator:
        loads.append(args)
        started.set()
        time.sleep(0.3)
        return load_simulator(*args, **options)

    monkeypatch.setattr(build_module, "load_simulator", load_slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(make, tmp_path / "set")
        started.wait()
        assert make(tmp_path / "set") == first.result()
    assert len(loads) == 1


@pytest.mark.parametrize("size", [16, 281, 1000])
def test_window_of_any_size_can_be_cut(size: int) -> None:
    side = size + OFFSETS + 2 * MARGIN
    for split in ("val", "test"):
        for photo in photographs.load(split).values():
            cut = window(photo, side, np.random.default_rng(0))
            assert cut.shape == (side, side, 3) and cut.dtype == np.uint8


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([window(p, 64, rng) for p in photographs.load("test").values()])


@pytest.mark.parametrize("name", SIMULATORS)
def test_simulator_reconstructs_test_photographs(name: str, windows: np.ndarray) -> None:
    fakes = simulate(load_simulator(name, **SIMULATORS[name]), windows)
    assert fakes.shape == windows.shape and fakes.dtype == np.uint8
    assert np.mean(list(map(psnr, windows, fakes))) > 23


@pytest.mark.parametrize(
    ("name", "upsampling", "stages"),
    [
        ("sim_magic", "nearest", 2),
        ("sim_nearest", "magic", 2),
        ("sim_nearest", "nearest", 4),
        ("sim_nearest", "shuffle", 2),
    ],
)
def test_load_unknown_simulator_raises_one_line(name: str, upsampling: str, stages: int) -> None:
    with pytest.raises(GenspotError) as error:
        load_simulator(name, upsampling, stages)
    assert "\n" not in str(error.value)


def test_train_simulators_writes_weights_that_grow_by_a_stage(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(make_noise(96, 96, 0)).save(tmp_path / "photos" / "a.png")
    simulators: dict[str, Any] = {"two": NEAREST, "three": NEAREST | {"stages": 3}}
    for name in ("first", "second"):
        train_simulators(simulators, tmp_path / "photos", tmp_path / name, steps=1, seed=0)
    weights = load_file(tmp_path / "first")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    # One step of Adam moves a weight by its learning rate.
    grown, start = weights["three.decode.0.1.weight"], weights["two.decode.0.1.weight"]
    assert 0 < (grown - start).abs().max() < 0.01
    assert all(value.dtype == torch.float16 for value in weights.values())
    with pytest.raises(GenspotError, match="no PNG photographs"):
        train_simulators(simulators, tmp_path / "none", tmp_path / "weights", steps=1, seed=0)
