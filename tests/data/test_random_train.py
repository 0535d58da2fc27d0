"""The training of random simulators, and the data sets that are built with them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.data.settings import Simulation
from genspot.data.simulated import build, random_train
from genspot.data.simulated.random_simulators import Draw
from genspot.data.simulated.random_train import Training, load_or_train_all
from helpers.photographs import source

PLAIN = Draw(("nearest",), 8, 16, "none", "leaky", 0, False, 3, "l1", True, False)
RECIPE = {"steps": 2, "photographs": ["some"]}
OPTIONS = {"count": 3, "steps": 2, "leave_out": ["shuffle"], "discriminator": "any"}
SIMULATION = Simulation(size=40, seed=0, train=25, super_resolved=25, val=3, test=3)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in this process, on little, whatever comes of it."""
    monkeypatch.setattr(random_train, "default_workers", lambda: 1)
    for name, value in (("SIDE", 16), ("BATCH", 2), ("CHECKED", 2), ("MIN_PSNR_OF_FEW", 0.0)):
        monkeypatch.setattr(random_train, name, value)


@pytest.mark.parametrize("discriminator", [False, True])
@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_training_makes_a_simulator_give_back_images(
    loss: str, discriminator: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random_train, "SIDE", 32)
    torch.manual_seed(0)
    made = replace(PLAIN, loss=loss, discriminator=discriminator)
    training, rng = Training(made, 3e-3), np.random.default_rng(0)
    before = training.psnr(source(), np.random.default_rng(1))
    training.fit(source(), 60, rng)
    assert training.psnr(source(), np.random.default_rng(1)) > before + 3
    assert not training.simulator.training


def test_discriminator_is_trained_from_a_third_on(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    training = Training(replace(PLAIN, discriminator=True), 1e-3)
    seen: list[bool] = []
    monkeypatch.setattr(training, "_step", lambda real, adversarial: seen.append(adversarial))
    training.fit(source(), 10, np.random.default_rng(0))
    assert seen == [False] * 3 + [True] * 7


@pytest.mark.usefixtures("quick")
def test_simulators_are_trained_once_and_to_the_same_bits(tmp_path: Path) -> None:
    draws = {"a": (0, 1), "b": (0, 2)}
    first = load_or_train_all(tmp_path / "one", RECIPE, draws, source)
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "one").glob("*")}
    assert len(written) == 2
    again = load_or_train_all(tmp_path / "one", RECIPE, draws, source)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "one").glob("*")} == written
    torch.set_num_threads(1)
    alone = load_or_train_all(tmp_path / "two", RECIPE, {"b": (0, 2)}, source)
    image = torch.rand(1, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(first[0](image), again[0](image))
        assert torch.equal(first[1](image), alone[0](image))


@pytest.mark.usefixtures("quick")
def test_file_of_another_recipe_or_damaged_is_refused(tmp_path: Path) -> None:
    load_or_train_all(tmp_path, RECIPE, {"a": (0, 1)}, source)
    with pytest.raises(GenspotError, match=r"a\.safetensors was trained with other settings"):
        load_or_train_all(tmp_path, RECIPE | {"photographs": []}, {"a": (0, 1)}, source)
    file = tmp_path / "a.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(GenspotError, match="is damaged or of another program"):
        load_or_train_all(tmp_path, RECIPE, {"a": (0, 1)}, source)


@pytest.mark.usefixtures("quick")
def test_simulator_that_gives_nothing_back_is_trained_at_half_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    class Noted(Training):
        def __init__(self, made: Draw, rate: float) -> None:
            rates.append(rate)
            super().__init__(made, rate)

    monkeypatch.setattr(random_train, "Training", Noted)
    monkeypatch.setattr(random_train, "MIN_PSNR", 99.0)
    monkeypatch.setattr(random_train, "FEW_STEPS", RECIPE["steps"])  # no fewer than these
    with pytest.raises(GenspotError, match=r"reached no 99 dB in 4 trainings: .*steps"):
        load_or_train_all(tmp_path, RECIPE, {"a": (0, 1)}, source)
    assert rates == [1e-3, 5e-4, 2.5e-4, 1.25e-4]
    assert not list(tmp_path.glob("*.safetensors*"))


def test_quality_of_nan_is_0() -> None:
    training = Training(PLAIN, 1e-3)
    with torch.no_grad():
        next(training.simulator.parameters()).fill_(float("nan"))
    assert training.psnr(source(), np.random.default_rng(0)) == 0


@pytest.mark.slow  # a minute
def test_processes_train_to_the_bits_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few steps would give too little; what the processes check is therefore reached in 120."""
    photographs = partial(build._source, {}, None, "train")
    recipe = {"steps": 120}
    draws = {"a": (0, 1, 91), "b": (0, 1, 93)}
    monkeypatch.setattr(random_train, "default_workers", lambda: 2)
    both = load_or_train_all(tmp_path / "two", recipe, draws, photographs)
    monkeypatch.setattr(random_train, "default_workers", lambda: 1)
    alone = load_or_train_all(tmp_path / "one", recipe, draws, photographs)
    image = torch.rand(1, 3, 24, 24)
    with torch.inference_mode():
        for one, other in zip(both, alone, strict=True):
            assert torch.equal(one(image), other(image))


@pytest.mark.usefixtures("quick")
def test_sets_are_built_with_other_simulators_for_each_split(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        build.build(
            tmp_path / "random_simulators" / split, "random_simulators", OPTIONS, split, SIMULATION
        )
    weights = sorted(path.name for path in (tmp_path / "simulators").rglob("*.safetensors"))
    assert [name.split("_")[0] for name in weights] == ["test"] * 2 + ["train"] * 3 + ["val"] * 2
    for split, count in (("train", 25), ("val", 3), ("test", 3)):
        for label in ("0_real", "1_fake"):
            files = list((tmp_path / "random_simulators" / split).rglob(f"{label}/*.png"))
            assert len(files) == count
            assert {Image.open(file).size for file in files} == {(40, 40)}
    build.build(tmp_path / "other" / "test", "other", OPTIONS, "test", SIMULATION)
    assert (
        sorted(path.name for path in (tmp_path / "simulators").rglob("*.safetensors"))
        == weights  # sets of other names share the simulators
    )


@pytest.mark.usefixtures("quick")
def test_ablations_have_training_sets_of_their_own_and_one_test_set(tmp_path: Path) -> None:
    for options in (OPTIONS, OPTIONS | {"leave_out": [], "discriminator": "without"}):
        build.build(tmp_path / "sets" / "test", "random_simulators", options, "test", SIMULATION)
    recipe = json.loads((tmp_path / "sets" / "test" / "recipe.json").read_text())
    assert recipe["simulator"] == OPTIONS | {"leave_out": []}
    build.build(tmp_path / "sets" / "val", "random_simulators", OPTIONS, "val", SIMULATION)
    other = OPTIONS | {"leave_out": ["nearest"]}
    with pytest.raises(GenspotError, match="contains something else"):
        build.build(tmp_path / "sets" / "val", "random_simulators", other, "val", SIMULATION)
