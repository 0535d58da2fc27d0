"""The embedded data set, its simulators, and the trivial classifier."""

from __future__ import annotations

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from omegaconf import OmegaConf
from PIL import Image
from sklearn.metrics import average_precision_score

from genspot.data.simulated import build as simulated
from genspot.data import shortcut_baseline as trivial
from genspot.common.errors import GenspotError
from genspot.data.layout import table
from genspot.data.index import scan
from genspot.data.datamodule import ImageDataModule
from genspot.data.simulated.build import BATCH, GUARD, OFFSETS, PHOTOS, build, photos, window
from genspot.data.simulated.generators import UPSAMPLERS, WEIGHTS, Simulator, load, simulate

CONF = Path(__file__).parents[1] / "conf" / "generator"
SIMULATORS = {
    file.stem: OmegaConf.to_container(OmegaConf.load(file)[file.stem].simulator)
    for file in sorted(CONF.glob("sim_*.yaml"))
}
NEAREST = {"upsampling": "nearest", "stages": 2}


def make(folder: Path, split: str = "test", **changes: Any) -> Path:
    recipe = {"name": "sim_nearest", "simulator": NEAREST, "images": 4, "size": 32, "seed": 0}
    build(folder, split=split, **(recipe | changes))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def pngs(folder: Path) -> dict[str, np.ndarray]:
    return {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("*.png"))
    }


def psnr(real: np.ndarray, fake: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((real / 255 - fake / 255) ** 2)))


def test_photographs_of_the_splits_are_disjoint() -> None:
    pixels = {split: {photo.tobytes() for photo in photos(split).values()} for split in PHOTOS}
    assert set(pixels) == {"train", "val", "test"}
    for split, others in (("train", "val"), ("train", "test"), ("val", "test")):
        assert pixels[split] and not pixels[split] & pixels[others]
    names = [
        (package, name)
        for split in PHOTOS.values()
        for package in split
        for name in split[package]
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_build_makes_pairs_of_equal_png(tmp_path: Path, split: str) -> None:
    folder = make(tmp_path / "set", split)
    images = pngs(folder)
    reals = {name for name in images if "0_real" in name}
    fakes = {name for name in images if "1_fake" in name}
    assert len(reals) == 4 and {name.replace("0_real", "1_fake") for name in reals} == fakes
    assert {image.shape for image in images.values()} == {(32, 32, 3)}
    assert all(contents(folder)[name].startswith(b"\x89PNG") for name in images)
    found = scan(folder, "sim", None if split == "test" else "any")
    assert found["label"].to_pylist().count(0) == found["label"].to_pylist().count(1) == 4
    expected = {"test": {""}, "val": {"coffee"}}.get(split, set(sorted(photos("train"))[:4]))
    assert set(found["class"].to_pylist()) == expected


def test_a_real_and_its_fake_are_close_but_differ(tmp_path: Path) -> None:
    images = pngs(make(tmp_path / "set", images=4, size=64))
    pairs = [
        (image, images[name.replace("0_real", "1_fake")])
        for name, image in images.items()
        if "0_real" in name
    ]
    assert all((real != fake).any() for real, fake in pairs)
    assert np.mean([psnr(real, fake) for real, fake in pairs]) > 20


def test_build_is_deterministic_to_the_byte(tmp_path: Path) -> None:
    assert contents(make(tmp_path / "one")) == contents(make(tmp_path / "two"))


def test_a_batch_more_does_not_change_the_first(tmp_path: Path) -> None:
    few = pngs(make(tmp_path / "few", images=BATCH, size=16))
    more = pngs(make(tmp_path / "more", images=BATCH + 1, size=16))
    assert len(more) == len(few) + 2
    for name, image in few.items():
        np.testing.assert_array_equal(image, more[name])


def test_all_generators_see_the_same_reals(tmp_path: Path) -> None:
    nearest = pngs(make(tmp_path / "one"))
    shuffle = SIMULATORS["sim_shuffle"]
    other = pngs(make(tmp_path / "two", name="sim_shuffle", simulator=shuffle))
    for name, image in nearest.items():
        assert np.array_equal(image, other[name]) == ("0_real" in name)


def test_a_finished_folder_is_left_alone(tmp_path: Path) -> None:
    folder = make(tmp_path / "set", images=2)
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
    make(folder, images=2)
    assert before == {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"size": 40},
        {"images": 2},
        {"name": "sim_bilinear", "simulator": {"upsampling": "bilinear", "stages": 2}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_set_by_another_recipe_is_refused_and_kept(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = make(tmp_path / "set", images=3)
    before = contents(folder)
    refused(folder, **({"images": 3} | change))
    assert contents(folder) == before
    assert contents(make(tmp_path / "fresh", **({"images": 3} | change))) != before


def refused(folder: Path, **changes: Any) -> None:
    """One line that names `folder` and the mend."""
    with pytest.raises(GenspotError, match=r"remove it.*paths\.datasets=PATH") as error:
        make(folder, **changes)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["recipe.json", "0_real/mine.png"])
def test_a_folder_that_does_not_say_what_it_is_is_kept(tmp_path: Path, name: str) -> None:
    file = tmp_path / "set" / name
    file.parent.mkdir(parents=True)
    file.write_text("{")
    refused(tmp_path / "set")
    assert contents(tmp_path / "set") == {name: b"{"}


def test_what_an_interrupted_build_left_is_replaced(tmp_path: Path) -> None:
    fresh = contents(make(tmp_path / "fresh", images=2))
    half = tmp_path / "set.partial" / "0_real"
    half.mkdir(parents=True)
    (half / "000099.png").write_bytes(b"cut off")
    (tmp_path / "set").mkdir()  # empty, as one that somebody made beforehand
    folder = make(tmp_path / "set", images=2)
    assert contents(folder) == fresh
    assert not (tmp_path / "set.partial").exists()


def test_a_finished_set_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_lock(path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    folder = make(tmp_path / "set", images=2)
    monkeypatch.setattr(simulated, "FileLock", no_lock)
    make(folder, images=2)
    with pytest.raises(OSError, match="Read-only"):
        make(tmp_path / "other", images=2)


def test_of_two_builds_at_once_one_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins while the first writes, and finds the set when it gets the lock."""
    folder, write, begun = tmp_path / "set", simulated._write, threading.Event()
    written = []

    def slow(*args: Any) -> None:
        written.append(args)
        begun.set()
        time.sleep(0.3)
        write(*args)

    monkeypatch.setattr(simulated, "_write", slow)
    with ThreadPoolExecutor(1) as first:
        built = first.submit(make, folder, images=2)
        begun.wait()
        make(folder, images=2)
        built.result()
    assert len(written) == 1 and len(pngs(folder)) == 4


SIZES = {"size": 32, "seed": 0, "train": 7, "val": 1, "test": 3}


def module(simulation: dict[str, Any], trains: bool = True, tests: bool = True) -> ImageDataModule:
    """One whose sets are simulated, or those of the other half not."""
    names = {"name": "sim_nearest", **NEAREST} if trains else None
    source = {"name": "x", "train": "t", "val": "v", "simulator": names, "store": "files"}
    spec = {"folder": "test", "simulator": NEAREST} if tests else {"folder": "test"}
    return ImageDataModule(
        source, {"sim_nearest": spec}, {}, simulation, 4, 4, None, 16, 16, 0, seed=0
    )


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", ["lots", None, True, 1.5, -1, "least"])
def test_a_setting_that_makes_no_set_is_refused_before_any_is_built(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "build", lambda *_: pytest.fail("built"))
    wrong = simulated.LEAST[name] - 1 if value == "least" else value
    with pytest.raises(GenspotError) as error:
        module(SIZES | {name: wrong}).prepare_data()
    least = simulated.LEAST[name]
    assert str(error.value) == f"simulation.{name}={wrong}: give a whole number from {least} on"


def test_settings_of_what_is_not_simulated_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(simulated, "build", lambda *args: built.append(args[3]))
    module(SIZES | {"train": "lots", "val": None}, trains=False).prepare_data()
    module(SIZES | {"test": 0}, tests=False).prepare_data()
    module({}, trains=False, tests=False).prepare_data()
    assert built == ["test", "train", "val"]


def test_a_training_set_that_is_not_asked_for_is_not_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the validation images of a checkpoint are scored."""
    built: list[str] = []
    monkeypatch.setattr(simulated, "build", lambda *args: built.append(args[3]))
    data = module(SIZES)
    assert data.source is not None
    data.source["train"] = None
    data.prepare_data()
    assert built == ["val", "test"]


@pytest.mark.parametrize("split", PHOTOS)
def test_the_least_numbers_make_whole_sets(tmp_path: Path, split: str) -> None:
    """Of each photograph one real and one fake, whatever simulator."""
    least = simulated.LEAST
    for name, simulator in SIMULATORS.items():
        recipe = {"images": least[split], "size": least["size"], "seed": least["seed"]}
        folder = make(tmp_path / name, split, name=name, simulator=simulator, **recipe)
        found = scan(folder, "sim", None if split == "test" else "any")
        assert found["label"].to_pylist().count(0) == len(photos(split))
        assert found["label"].to_pylist().count(1) == len(photos(split))
        if split != "test":
            assert set(found["class"].to_pylist()) == set(photos(split))


@pytest.mark.parametrize("size", [16, 256, 281, 370, 448, 512])
def test_windows_of_any_size_can_be_cut(size: int) -> None:
    wide = size + OFFSETS + 2 * GUARD
    for split in ("val", "test"):
        for photo in photos(split).values():
            cut = window(photo, wide, np.random.default_rng(0))
            assert cut.shape == (wide, wide, 3) and cut.dtype == np.uint8


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    draws = np.random.default_rng(0)
    return np.stack([window(p, 64, draws) for p in photos("test").values() for _ in range(4)])


def test_seven_simulators_ship_in_under_3_mb() -> None:
    assert len(SIMULATORS) == 7
    assert {spec["upsampling"] for spec in SIMULATORS.values()} == set(UPSAMPLERS)
    assert WEIGHTS.stat().st_size < 3e6


@pytest.mark.parametrize("name", SIMULATORS)
def test_every_simulator_reconstructs_test_photographs(name: str, windows: np.ndarray) -> None:
    fakes = simulate(load(name, **SIMULATORS[name]), windows)
    assert fakes.shape == windows.shape and fakes.dtype == np.uint8
    pairs = zip(windows, fakes, strict=True)
    assert np.mean([psnr(real, fake) for real, fake in pairs]) > 23


def test_a_fake_does_not_depend_on_its_batch(windows: np.ndarray) -> None:
    simulator = load("sim_nearest", **NEAREST)
    alone = np.concatenate([simulate(simulator, image[None]) for image in windows[:3]])
    assert np.abs(alone.astype(int) - simulate(simulator, windows[:3])).max() <= 1


@pytest.mark.parametrize(
    ("name", "upsampling", "stages"),
    [("sim_magic", "nearest", 2), ("sim_nearest", "magic", 2), ("sim_nearest", "nearest", 4)],
)
def test_unknown_simulators_are_one_line(name: str, upsampling: str, stages: int) -> None:
    with pytest.raises(GenspotError) as error:
        load(name, upsampling, stages)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("upsampling", UPSAMPLERS)
def test_untrained_simulators_keep_the_size(upsampling: str) -> None:
    images = np.zeros((1, 24, 16, 3), np.uint8)
    for stages in (2, 3):
        assert simulate(Simulator(upsampling, stages), images).shape == images.shape


def save(folder: Path, levels: list[float], label: int, seed: int) -> pa.Table:
    draws = np.random.default_rng(seed)
    half = folder / ("0_real", "1_fake")[label]
    half.mkdir(parents=True, exist_ok=True)
    paths = [half / f"{number:03d}.png" for number in range(len(levels))]
    for path, level in zip(paths, levels, strict=True):
        grain = draws.normal(level, 20, (16, 16, 3)).clip(0, 255)
        Image.fromarray(grain.astype(np.uint8)).save(path)
    return table((str(path), "gan", "", label) for path in paths)


def trivial_ap(folder: Path, real: float, fake: float, images: int) -> float:
    train, test = (
        pa.concat_tables(
            [
                save(folder / split, [real] * images, 0, seed),
                save(folder / split, [fake] * images, 1, seed + 1),
            ]
        )
        for split, seed in (("train", 0), ("test", 2))
    )
    judged = trivial.scores(train, test, seed=0)
    assert judged.shape == (test.num_rows,) and 0 <= judged.min() <= judged.max() <= 1
    return float(average_precision_score(test["label"].to_numpy(), judged))


def test_trivial_classifier_tells_bright_from_dark(tmp_path: Path) -> None:
    assert trivial_ap(tmp_path, real=200, fake=60, images=20) == 1


def test_trivial_classifier_is_at_chance_on_one_distribution(tmp_path: Path) -> None:
    assert trivial_ap(tmp_path, real=120, fake=120, images=150) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 7), (8, 8), (40, 33)])
def test_trivial_features_are_finite(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "image.png"
    for image in (np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)):
        Image.fromarray(image).save(path)
        values = trivial.features(str(path))
        assert values.shape == (len(trivial.FEATURES),) and np.isfinite(values).all()


def test_trivial_features_of_an_unreadable_file_are_zero(tmp_path: Path) -> None:
    assert not trivial.features(str(tmp_path / "nowhere.png")).any()


def test_jpeg_grid_is_seen(tmp_path: Path, windows: np.ndarray) -> None:
    grid = trivial.FEATURES.index("JPEG grid")
    ratios = []
    for image in windows:
        buffer = BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=30)
        (tmp_path / "image.jpg").write_bytes(buffer.getvalue())
        Image.fromarray(image).save(tmp_path / "image.png")
        names = ("image.png", "image.jpg")
        ratios.append([trivial.features(str(tmp_path / name))[grid] for name in names])
    png, jpeg = np.mean(ratios, axis=0)
    assert png == pytest.approx(1, abs=0.1)
    assert jpeg > png + 0.3
