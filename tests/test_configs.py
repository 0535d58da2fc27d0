"""Every file of conf/ and experiments/ composes, its targets resolve, its figures are right."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose
from hydra.utils import get_class, get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from conftest import ROOT

pytestmark = pytest.mark.usefixtures("hydra_ready")


def names(group: str) -> list[str]:
    return sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))


SIMULATED = [name for name in names("generator") if name.startswith("sim_")]
PUBLISHED = sorted(
    [
        "progan",
        "stylegan",
        "biggan",
        "cyclegan",
        "stargan",
        "gaugan",
        "crn",
        "imle",
        "sitd",
        "san",
        "deepfake",
        "stylegan2",
        "whichfaceisreal",
    ]
)


def composed(*overrides: str) -> DictConfig:
    return compose("config", list(overrides))


@pytest.mark.parametrize("name", names("generator"))
def test_generator(name: str) -> None:
    cfg = composed(f"generator=[{name}]", "folder=here")
    spec = OmegaConf.to_container(cfg.generator, resolve=True)[name]  # type: ignore
    assert {"title", "folder", "classes", "images", "published"} <= spec.keys()
    if name in PUBLISHED:
        facts = {"kind", "real", "upsampling", "year", "licence", "link"}
        assert facts <= spec.keys()
        assert Path(spec["folder"]).parent.name == "test"
        assert {"blur_jpg_0.5", "blur_jpg_0.1"} <= spec["published"].keys()


def test_published_set_is_the_thirteen_and_its_images_add_up() -> None:
    cfg = composed("data=progan_20cls")
    assert sorted(cfg.generator) == PUBLISHED
    assert len(PUBLISHED) == 13
    assert sum(spec.images for spec in cfg.generator.values()) == 90_329


@pytest.mark.parametrize(
    ("row", "mean"),
    [("none", 90.1), ("blur_0.5", 84.4), ("jpg_0.5", 93.0), ("blur_jpg_0.1", 92.6)]
    + [("blur_jpg_0.5", 90.8)]
    + [
        ("progan_2cls", 81.3),
        ("progan_4cls", 85.4),
        ("progan_8cls", 87.9),
        ("progan_16cls", 91.4),
    ],
)
def test_published_rows_average_to_their_published_mean(row: str, mean: float) -> None:
    eleven = [name for name in PUBLISHED if name not in ("stylegan2", "whichfaceisreal")]
    cfg = composed(f"generator=[{','.join(eleven)}]")
    figures = [cfg.generator[name].published[row].ap for name in eleven]
    assert np.mean(figures) == pytest.approx(mean, abs=0.1)


@pytest.mark.parametrize("name", [name for name in names("data") if name != "folder"])
def test_data(name: str) -> None:
    cfg = composed(f"data={name}")
    assert cfg.data.name == name
    assert cfg.generator
    if name.startswith("progan_"):
        assert len(cfg.data.classes) == int(name.removeprefix("progan_").removesuffix("cls"))
        assert set(cfg.data.classes) <= set(composed("data=progan_20cls").data.classes)


def test_a_typed_generator_wins_over_those_of_the_data_set() -> None:
    assert list(composed("data=progan_20cls", "generator=[sitd,san]").generator) == ["sitd", "san"]


def simulated_sets(*overrides: str) -> dict[str, str]:
    """The folder of each simulated set."""
    cfg = composed("data=simulated", *overrides)
    tests = {f"test {name}": spec.folder for name, spec in cfg.generator.items()}
    return {"train": cfg.data.train, "val": cfg.data.val} | tests


def test_every_setting_of_the_simulation_is_in_the_names_of_the_folders_that_it_changes() -> None:
    """Two runs with different settings must not meet in a folder, and may in all others."""
    before = simulated_sets()
    assert set(before) == {"train", "val", *(f"test {name}" for name in SIMULATED)}
    assert len(set(before.values())) == len(before)
    for setting, value in composed().simulation.items():
        after = simulated_sets(f"simulation.{setting}={value + 1}")
        changed = {name for name, folder in after.items() if folder != before[name]}
        split = str(setting) if setting in ("train", "val", "test") else ""
        assert changed == {name for name in before if name.startswith(split)}, setting
        assert not set(after[name] for name in changed) & set(before.values())


@pytest.mark.parametrize("name", names("aug"))
@pytest.mark.parametrize("split", ["train", "val"])
def test_aug(name: str, split: str) -> None:
    cfg = composed(f"aug={name}")
    assert cfg.aug.name == name
    image = np.random.default_rng(0).integers(0, 256, (48, 50, 3), dtype=np.uint8)
    result = instantiate(cfg.aug[split], _convert_="all")(image=image)["image"]
    assert (result.shape, result.dtype) == (image.shape, image.dtype)


@pytest.mark.parametrize("name", names("model"))
def test_model(name: str) -> None:
    scratch = {"weights": None}
    node = OmegaConf.to_container(composed(f"model={name}").model.network, resolve=True)
    network = instantiate(node | (scratch if "weights" in node else {})).eval()  # type: ignore
    with torch.inference_mode():
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, 1)
    if not name.startswith("resnet"):
        return
    last = network.fc
    assert last.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert last.bias.item() == 0


@pytest.mark.parametrize("name", names("trainer"))
def test_trainer(name: str) -> None:
    cfg = composed(f"trainer={name}")
    plain = {"name", "accelerator", "devices", "num_nodes", "strategy", "precision"}
    plain |= {"sync_batchnorm", "channels_last", "compile"}
    assert cfg.trainer.keys() == plain
    arguments = set(cfg.lightning) - {"_target_"}
    assert arguments <= inspect.signature(pl.Trainer).parameters.keys()
    assert cfg.lightning.use_distributed_sampler is False


@pytest.mark.parametrize("name", names("schedule"))
def test_schedule(name: str) -> None:
    cfg = composed(f"schedule={name}")
    optimizer = instantiate(cfg.schedule.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    if cfg.schedule.lr_scheduler:
        instantiate(cfg.schedule.lr_scheduler)(optimizer, total_steps=5).step()
    for callback in instantiate(cfg.schedule.callbacks).values():
        assert isinstance(callback, pl.Callback)


def test_paper_schedule_is_the_published_one() -> None:
    schedule = composed().schedule
    assert (schedule.name, schedule.batch_size, schedule.optimizer.lr) == ("paper", 64, 1e-4)
    plateau = schedule.callbacks.plateau
    assert (plateau.patience, plateau.min_delta, plateau.min_delta_after_drop) == (5, 1e-3, 2e-3)
    assert not plateau.overwrite_best


@pytest.mark.parametrize("name", names("task"))
def test_task(name: str) -> None:
    assert callable(get_method(composed(f"task={name}").task.run))


@pytest.mark.parametrize("name", names("logger"))
def test_logger(name: str) -> None:
    for logger in composed(f"logger={name}").logger.logger.values():
        assert callable(get_method(logger._target_))


@pytest.mark.parametrize("node", ["detector", "datamodule", "lightning"])
def test_what_joins_the_choices_fits_the_signatures(node: str) -> None:
    cfg: Any = composed()[node]
    parameters = inspect.signature(get_class(cfg._target_)).parameters
    assert set(cfg) - {"_target_"} <= parameters.keys()


@pytest.mark.parametrize(
    "file", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda f: f.stem
)
def test_study_composes_and_states_its_command(file: Path) -> None:
    assert composed(f"experiments={file.stem}").task.name in ("train", "test")
    assert f"experiments={file.stem}" in file.read_text()
