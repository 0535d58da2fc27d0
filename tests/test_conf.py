"""Every file of conf/ and experiments/ composes, what it names exists, its figures are right."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from genspot.data.simulated.super_resolution import NETWORKS
from genspot.detector.metadata import PUBLISHED as PUBLISHED_METADATA
from genspot.tasks import config
from genspot.tasks.components import make_network
from genspot.tasks.composition import composed as hydra_composed
from genspot.tasks.generators import generator_specs
from genspot.tasks.schema import GENERATOR
from helpers.settings import ROOT

pytestmark = pytest.mark.usefixtures("hydra_ready")


def names(group: str) -> list[str]:
    return sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))


SIMULATED = [name for name in names("generator") if name.startswith("sim_")]
SUPER_RESOLUTION = [name for name in names("generator") if name.startswith("sr_")]
RELEASES = {
    "univfd_": 8,
    "gangen_": 9,
    "genimage_": 8,
    "aigc_": 9,
}  # sets, by what names begin with
RELEASED = [name for name in names("generator") if name.startswith(tuple(RELEASES))]
GROUPS = {
    "forensynths": 13,
    "universalfakedetect": 8,
    "gangen": 9,
    "genimage": 8,
    "aigcdetectbenchmark": 17,
    "diffusion": 16,
    "gan": 18,
}
OWN = [*SIMULATED, *SUPER_RESOLUTION, "folder", "hub"]
PUBLISHED = [name for name in names("generator") if name not in (*OWN, *RELEASED, *GROUPS)]


def composed(*overrides: str) -> DictConfig:
    return compose("config", list(overrides))


def specs(*overrides: str) -> dict[str, Any]:
    generators: Any = OmegaConf.to_container(composed(*overrides).generator, resolve=True)
    return dict(generators)


@pytest.mark.parametrize("name", [*OWN, *PUBLISHED])
def test_generator_states_what_a_test_needs(name: str) -> None:
    spec = specs(f"generator=[{name}]", "test_set.path=here")[name]
    assert {"title", "path", "classes", "images", "published"} <= spec.keys()
    if name in PUBLISHED:
        facts = {"kind", "real", "upsampling", "year", "licence", "link"}
        assert facts <= spec.keys()
        assert Path(spec["path"]).parent.name == "test"
        assert {"blur_jpg_0.5", "blur_jpg_0.1"} <= spec["published"].keys()


@pytest.mark.parametrize("name", RELEASED)
def test_released_set_states_its_facts_and_where_they_are_from(name: str) -> None:
    (key, spec), *others = specs(f"generator=[{name}]", "paths.test=/sets").items()
    assert (key, others) == (name, [])
    needed = {"title", "path", "classes", "images", "kind", "real", "year", "licence"}
    assert needed | {"link", "download"} <= spec.keys() <= GENERATOR.keys()
    assert set(spec.get("unconfirmed", [])) <= spec.keys()
    places = spec["path"].values() if isinstance(spec["path"], dict) else [spec["path"]]
    assert all(place.startswith("/sets/") for place in [*places, spec.get("train", "/sets/")])
    file = ROOT / "conf" / "generator" / f"{name}.yaml"
    assert re.search(r"commit [0-9a-f]{7}", file.read_text(encoding="utf-8").partition("\n\n")[0])
    assert "published" not in spec  # no figure of these sets is confirmed


def test_released_sets_are_as_many_as_their_releases_have() -> None:
    found = Counter(name.partition("_")[0] + "_" for name in RELEASED)
    assert found == RELEASES
    every = specs(f"generator=[{','.join([*RELEASED, *PUBLISHED])}]")
    for key in ("title", "path"):
        values = [str(spec[key]) for spec in every.values()]
        assert len(set(values)) == len(values) == len(RELEASED) + len(PUBLISHED)


@pytest.mark.parametrize(("group", "count"), GROUPS.items())
def test_group_names_files_of_single_sets_and_states_nothing_itself(
    group: str, count: int
) -> None:
    file = OmegaConf.load(ROOT / "conf" / "generator" / f"{group}.yaml")
    assert list(file) == ["defaults"]
    found = specs(f"generator={group}")
    assert len(found) == count
    assert found == specs(f"generator=[{','.join(found)}]")  # in the order of the files
    assert "published" not in specs("generator=diffusion")["aigc_sdxl"]


def test_groups_of_one_release_begin_their_names_with_it() -> None:
    for release, group in (("univfd", "universalfakedetect"), ("gangen", "gangen")):
        assert {name.partition("_")[0] for name in specs(f"generator={group}")} == {release}
    aigc = specs("generator=aigcdetectbenchmark")
    assert [name for name in aigc if name not in PUBLISHED] == [
        name for name in aigc if name.startswith("aigc_")
    ]


def test_groups_combine_in_order_and_a_set_of_two_groups_counts_once() -> None:
    thirteen, diffusion = specs("generator=forensynths"), specs("generator=diffusion")
    both = specs("generator=[forensynths,diffusion]")
    assert list(both) == [*thirteen, *diffusion] and len(both) == 29
    kinds = {spec["kind"] for spec in diffusion.values()}
    assert all("diffusion" in kind or kind == "text-to-image service" for kind in kinds)
    overlapping = specs("generator=[gan,forensynths,gangen,genimage]")
    assert list(overlapping) == list(
        dict.fromkeys(
            name
            for group in ("gan", "forensynths", "gangen", "genimage")
            for name in specs(f"generator={group}")
        )
    )
    with hydra_composed("generator=[universalfakedetect,diffusion]") as cfg:
        assert len(generator_specs(cfg)) == 17
        assert {spec["real_set"] for spec in generator_specs(cfg).values()} == {
            "univfd_laion",
            None,
        }


def test_value_in_a_set_of_a_group_can_be_changed() -> None:
    changed = specs("generator=gangen", "generator.gangen_began.path=elsewhere")
    assert changed["gangen_began"]["path"] == "elsewhere" and len(changed) == 9


def test_each_super_resolution_network_has_a_file_that_names_its_package() -> None:
    assert sorted(f"sr_{name}" for name in NETWORKS) == SUPER_RESOLUTION
    for name in SUPER_RESOLUTION:
        spec = composed(f"generator=[{name}]").generator[name]
        assert (spec.simulator.network, spec.clusters) == (name.removeprefix("sr_"), "class")
        file = ROOT / "conf" / "generator" / f"{name}.yaml"
        assert NETWORKS[spec.simulator.network].package in file.read_text(encoding="utf-8")


def test_published_test_sets_are_thirteen_with_90329_images() -> None:
    cfg = composed("data=progan_20cls")
    order = "progan stylegan biggan cyclegan stargan gaugan crn imle sitd san deepfake stylegan2"
    assert list(cfg.generator) == [*order.split(), "whichfaceisreal"]
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


@pytest.mark.parametrize(
    "name", [name for name in names("data") if name not in ("folder", "sets")]
)
def test_data_names_generators_and_classes(name: str) -> None:
    cfg = composed(f"data={name}")
    assert cfg.data.name == name
    assert cfg.data.generator in cfg.generator
    if name.startswith("progan_"):
        assert len(cfg.data.classes) == int(name.removeprefix("progan_").removesuffix("cls"))
        assert set(cfg.data.classes) <= set(composed("data=progan_20cls").data.classes)


def test_generator_on_the_command_line_replaces_those_of_the_data_set() -> None:
    assert list(composed("data=progan_20cls", "generator=[sitd,san]").generator) == ["sitd", "san"]


def simulated_sets(*overrides: str) -> dict[str, str]:
    """The folder of each simulated set."""
    cfg = composed("data=simulated", *overrides)
    tests = {f"test {name}": spec.path for name, spec in cfg.generator.items()}
    return {"train": cfg.data.train, "val": cfg.data.val} | tests


def test_simulation_setting_changes_the_names_of_the_folders_that_it_concerns() -> None:
    """Runs with different settings must not share a folder."""
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
def test_aug_keeps_shape_and_type(name: str, split: str) -> None:
    cfg = composed(f"aug={name}")
    assert cfg.aug.name == name
    image = np.random.default_rng(0).integers(0, 256, (48, 50, 3), dtype=np.uint8)
    result = instantiate(cfg.aug[split], _convert_="all")(image=image)["image"]
    assert (result.shape, result.dtype) == (image.shape, image.dtype)


@pytest.mark.parametrize("name", names("model"))
def test_model_gives_one_logit_per_image(name: str) -> None:
    arch = ["model.arch=resnet10t"] if name == "timm" else []
    cfg = composed(f"model={name}", *arch)
    if "weights" in cfg.model.backbone:
        cfg.model.backbone.weights = None
    settings = config.model_settings(cfg)
    network = make_network(cfg, settings).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 64, 64, 3, dtype=torch.uint8)).shape == (2,)
    assert settings.name == {"timm": "timm_resnet10t"}.get(name, name)


@pytest.mark.parametrize("name", [name for name in names("model") if name.startswith("resnet")])
def test_resnet_head_starts_from_the_published_distribution(name: str) -> None:
    cfg = composed(f"model={name}", "model.backbone.weights=null")
    head: Any = make_network(cfg, config.model_settings(cfg)).backbone.fc
    assert head.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert head.bias.item() == 0


def test_resnet50_is_what_a_published_file_is_taken_for() -> None:
    cfg = composed("model=resnet50", "model.backbone.weights=null")
    assert config.model_settings(cfg) == PUBLISHED_METADATA.model


@pytest.mark.parametrize("name", names("trainer"))
def test_trainer_sets_arguments_of_lightnings_trainer(name: str) -> None:
    trainer = composed(f"trainer={name}").trainer
    assert trainer.name == name
    arguments = trainer.keys() - {"_target_", "name", "channels_last", "compile"}
    assert arguments <= inspect.signature(pl.Trainer).parameters.keys()
    assert trainer.use_distributed_sampler is False


@pytest.mark.parametrize("name", names("callbacks"))
def test_callbacks_are_lightnings(name: str) -> None:
    cfg = composed(f"callbacks=[{name}]", "paths.output=here")
    for callback in instantiate(cfg.callbacks).values():
        assert isinstance(callback, pl.Callback)


@pytest.mark.parametrize("name", names("schedule"))
def test_schedule_builds_its_optimizer(name: str) -> None:
    cfg = composed(f"schedule={name}")
    optimizer = instantiate(cfg.schedule.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    if cfg.schedule.lr_scheduler:
        instantiate(cfg.schedule.lr_scheduler)(optimizer, total_steps=5).step()


def test_paper_schedule_is_the_published_one() -> None:
    cfg = composed()
    schedule = cfg.schedule
    assert (schedule.name, schedule.batch_size, schedule.optimizer.lr) == ("paper", 64, 1e-4)
    plateau = cfg.callbacks.plateau
    assert (plateau.patience, plateau.min_delta, plateau.min_delta_after_drop) == (5, 1e-3, 2e-3)
    assert not plateau.overwrite_best


@pytest.mark.parametrize("name", names("task"))
def test_task_names_a_function(name: str) -> None:
    assert callable(get_method(composed(f"task={name}").task.run))


@pytest.mark.parametrize("name", names("logger"))
def test_logger_names_functions(name: str) -> None:
    for logger in composed(f"logger={name}").logger.logger.values():
        assert callable(get_method(logger._target_))


def test_default_logger_is_csv() -> None:
    assert composed().logger.name == "csv"


@pytest.mark.parametrize(
    "file", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda f: f.stem
)
def test_study_composes_and_states_its_command(file: Path) -> None:
    assert composed(f"experiments={file.stem}").task.name in ("train", "test")
    assert f"experiments={file.stem}" in file.read_text()
