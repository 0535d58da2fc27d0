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
import timm
import torch
from hydra import compose
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from genspot.data.settings import UPSAMPLERS
from genspot.data.simulated.build import SPLITS
from genspot.data.simulated.random_simulators import choose
from genspot.data.simulated.super_resolution import NETWORKS
from genspot.detector.lr_schedules import build_scheduler
from genspot.detector.published_files import PUBLISHED_FILES, PublishedFile
from genspot.tasks import config
from genspot.tasks.baselines import read_baselines
from genspot.tasks.composition import composed as hydra_composed
from genspot.tasks.generators import generator_specs
from genspot.tasks.networks import make_network
from genspot.tasks.schema import GENERATOR
from helpers.clip import SIDE, clip_overrides, save_encoder
from helpers.settings import ROOT

pytestmark = pytest.mark.usefixtures("hydra_ready")


def names(group: str) -> list[str]:
    return sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))


FROZEN = ["rine", "univfd"]  # models with the weights of an encoder, which tests do not have
SIMULATED = [name for name in names("generator") if name.startswith("sim_")]
SUPER_RESOLUTION = [name for name in names("generator") if name.startswith("sr_")]
RELEASES = {
    "univfd_": 8,
    "gangen_": 9,
    "genimage_": 8,
    "aigc_": 9,
}  # sets, by what names begin with
RELEASED = [name for name in names("generator") if name.startswith(tuple(RELEASES))]
SIMULATED_SETS = ["sim_nearest", "sim_bilinear", "sim_deconv4", "sim_deconv3", "sim_shuffle"]
GROUPS = {
    "forensynths": 13,
    "universalfakedetect": 8,
    "gangen": 9,
    "genimage": 8,
    "aigcdetectbenchmark": 17,
    "diffusion": 16,
    "gan": 18,
}
OWN = [*SIMULATED, *SUPER_RESOLUTION, "folder", "hub", "random_simulators"]
PUBLISHED = [name for name in names("generator") if name not in (*OWN, *RELEASED, *GROUPS)]


def composed(*overrides: str) -> DictConfig:
    return compose("config", list(overrides))


def specs(*overrides: str) -> dict[str, Any]:
    generators: Any = OmegaConf.to_container(composed(*overrides).generator, resolve=True)
    return dict(generators)


@pytest.mark.parametrize("name", [*OWN, *PUBLISHED])
def test_generator_states_what_a_test_needs(name: str) -> None:
    spec = specs(f"generator=[{name}]", "test_set.path=here")[name]
    assert {"title", "path", "classes", "images"} <= spec.keys()
    if name in PUBLISHED:
        facts = {"kind", "real", "upsampling", "year", "licence", "link"}
        assert facts <= spec.keys()
        assert Path(spec["path"]).parent.name == "test"


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


BASELINES = {(one.name, one.row): one for one in read_baselines()}
ORIGINAL, RERUN = ("wang2020", "npr2024", "ferretnet", "rine2024", "fatformer2024"), "graydove2025"


@pytest.mark.parametrize(
    ("name", "row", "ap", "acc"),
    [
        ("wang2020", "No aug.", 90.1, None),
        ("wang2020", "Blur only", 84.4, None),
        ("wang2020", "JPEG only", 93.0, None),
        ("wang2020", "2-class", 81.3, None),
        ("wang2020", "4-class", 85.4, None),
        ("wang2020", "8-class", 87.9, None),
        ("wang2020", "16-class", 91.4, None),
        ("wang2020", "Zhang et al., Cyc-Im", 77.6, None),
        ("wang2020", "Zhang et al., Cyc-Spec", 73.2, None),
        ("wang2020", "Zhang et al., Auto-Im", 75.5, None),
        ("wang2020", "Zhang et al., Auto-Spec", 76.5, None),
        ("npr2024", "NPR", 96.1, 92.5),
        ("npr2024", "CNNDetection", 86.9, 67.1),
        ("npr2024", "Frank", 76.5, 78.9),
        ("npr2024", "Ojha (UnivFD)", 98.3, 89.1),
        ("graydove2025", "CNNSpot", 94.04, 82.96),  # it prints 92.07 for the AP
        ("graydove2025", "FreDetect", 75.75, 68.67),
        ("graydove2025", "UnivFD", 93.14, 80.66),
        ("graydove2025", "NPR", 80.89, 79.68),
        ("graydove2025", "SAFE", 85.75, 84.86),
        ("graydove2025", "FatFormer", 98.08, 89.51),
    ],
)
def test_published_rows_average_to_their_published_means(
    name: str, row: str, ap: float, acc: float | None
) -> None:
    found, within = BASELINES[name, row], 0.01 if name == RERUN else 0.1
    assert np.mean([*found.ap.values()]) == pytest.approx(ap, abs=within)
    if acc is None:
        assert not found.acc
    else:
        assert np.mean([*found.acc.values()]) == pytest.approx(acc, abs=within)


@pytest.mark.parametrize(("aug", "mean"), [("blur_jpg_0.1", 92.6), ("blur_jpg_0.5", 90.8)])
def test_published_checkpoints_average_to_the_means_of_the_paper(aug: str, mean: float) -> None:
    (row,) = (
        one
        for one in BASELINES.values()
        if (one.name, one.aug, one.crop, one.data) == ("wang2020", aug, 224, "progan_20cls")
    )
    eleven = [row.ap[name] for name in PUBLISHED if name not in ("stylegan2", "whichfaceisreal")]
    assert np.mean(eleven) == pytest.approx(mean, abs=0.1)
    assert len(row.ap) == len(row.acc) == 13 and not row.unconfirmed


@pytest.mark.parametrize("key", sorted(BASELINES), ids=" ".join)
def test_baseline_names_choices_that_exist_and_is_tested_as_its_model_is(
    key: tuple[str, str],
) -> None:
    row = BASELINES[key]
    assert {*row.ap, *row.acc} <= {*PUBLISHED}
    assert row.data in names("data") and row.aug in (None, *names("aug"))
    if row.model == "fatformer":  # a model of the user's own
        return
    model = composed(f"model={row.model}").model
    resize = model.test.resize
    assert row.resize == (tuple(resize) if OmegaConf.is_config(resize) else resize)
    assert row.crop == model.test.crop or row.row.endswith((", whole images", "CNNSpot"))


@pytest.mark.parametrize(
    ("recipe", "data", "expected"),
    [
        ("wang2020", "progan_20cls", ["wang2020 Blur+JPEG (0.5)"]),
        ("wang2020", "progan_4cls", ["npr2024 CNNDetection", "wang2020 4-class"]),
        ("npr", "progan_4cls", ["graydove2025 NPR", "npr2024 NPR"]),
        ("safe", "progan_4cls", ["graydove2025 SAFE"]),
        ("ferretnet_b", "progan_4cls", ["ferretnet FerretNet-B"]),
        ("ferretnet_s", "progan_4cls", []),
        ("fredect", "progan_4cls", ["npr2024 Frank"]),
        ("fredect", "progan_20cls", ["graydove2025 FreDetect"]),
        ("univfd", "progan_4cls", ["npr2024 Ojha (UnivFD)"]),
        ("univfd", "progan_20cls", ["graydove2025 UnivFD"]),
        ("rine", "progan_4cls", ["rine2024 RINE, 4-class"]),
        ("zhang_image", "cyclegan", ["wang2020 Zhang et al., Cyc-Im"]),
        ("zhang_spectrum", "autogan", ["wang2020 Zhang et al., Auto-Spec"]),
        ("npr", "progan_20cls", []),
    ],
)
def test_recipe_is_compared_with_what_was_published_for_it(
    recipe: str, data: str, expected: list[str]
) -> None:
    cfg = composed(f"recipe={recipe}", f"data={data}")
    model = config.model_settings(cfg)
    trained_on = {"data": cfg.data.name, "aug": cfg.aug.name, "model": model.as_dict()}
    found = [row for row in read_baselines() if row.matches(trained_on, model.test.crop)]
    assert [f"{row.name} {row.row}" for row in found] == expected


def test_original_figures_come_before_those_of_others() -> None:
    assert {one.name for one in BASELINES.values()} == {*ORIGINAL, RERUN}
    assert all(one.rerun for one in BASELINES.values() if one.name == RERUN)


@pytest.mark.parametrize(
    "name", [name for name in names("data") if name not in ("folder", "sets", "autogan")]
)
def test_data_names_generators_and_classes(name: str) -> None:
    cfg = composed(f"data={name}")
    assert cfg.data.name == name
    assert cfg.data.generator in cfg.generator
    if name.startswith("progan_"):
        assert len(cfg.data.classes) == int(name.removeprefix("progan_").removesuffix("cls"))
        assert set(cfg.data.classes) <= set(composed("data=progan_20cls").data.classes)


def test_autogan_has_a_folder_for_its_name_numbers_and_sizes_and_takes_photos() -> None:
    cfg = composed("data=autogan", "data.photos=photos", "autogan.steps=7")
    options = {"photos": "photos", "width": 64, "blocks": 9, "side": 256, "steps": 7}
    assert cfg.data.simulator == {"name": "autogan"} | options
    assert config.training_set(cfg).simulator == cfg.data.simulator
    changes = [[], ["simulation.train=5"], ["simulation.size=64"], ["data.simulator.name=mine"]]
    folders = {composed("data=autogan", *change).data.train for change in changes}
    assert len(folders) == 4
    assert composed("data=autogan", "autogan.photos=here").data.simulator.photos == "here"
    assert composed("data=autogan").data.simulator.photos is None


def test_study_of_zhang_has_the_rows_of_the_published_paper() -> None:
    params = OmegaConf.load(ROOT / "experiments" / "zhang.yaml").hydra.sweeper.params
    rows = {
        (data, recipe) for data in params.data.split(",") for recipe in params.recipe.split(",")
    }
    published = {
        (one.data, one.model)
        for one in BASELINES.values()
        if one.name == "wang2020" and one.model.startswith("zhang_")
    }
    assert rows == published and len(rows) == 4


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
        if setting == "super_resolved":
            continue  # of other sets, see test_super_resolution
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
    assert result.dtype == image.dtype
    if name == "deliveries":  # below its least side, an image is only made larger
        assert all(48 <= side <= 50 * 1.25**2 for side in result.shape[:2])
    else:
        assert result.shape == image.shape


@pytest.mark.parametrize("name", FROZEN)
def test_model_of_a_frozen_encoder_gives_one_logit_per_image(name: str, tmp_path: Path) -> None:
    cfg = composed(*clip_overrides(name, save_encoder(tmp_path / "clip.pth")))
    network = make_network(cfg, config.model_settings(cfg)).eval()
    assert network(torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)).shape == (2,)
    published = composed(f"model={name}")
    pretrained = timm.models.get_pretrained_cfg(published.model.backbone.arch)
    assert config.model_settings(published).name == name
    for key in ("mean", "std"):
        assert tuple(published.model.input[key]) == getattr(pretrained, key)
    assert pretrained.input_size[1:] == (published.model.test.crop,) * 2
    assert pretrained.hf_hub_id == "timm/vit_large_patch14_clip_224.openai"


@pytest.mark.parametrize("name", [name for name in names("model") if name not in FROZEN])
def test_model_gives_one_logit_per_image(name: str) -> None:
    changes = {"timm": "model.arch=resnet10t", "fredect": "model.train.crop=64"}.get(name)
    cfg = composed(f"model={name}", *([changes] if changes else []))
    if "weights" in cfg.model.backbone:
        cfg.model.backbone.weights = None
    settings = config.model_settings(cfg)
    network = make_network(cfg, settings).eval()
    side = (settings.input or {}).get("size", 64)
    with torch.inference_mode():
        assert network(torch.zeros(2, side, side, 3, dtype=torch.uint8)).shape == (2,)
    assert settings.name == {"timm": "timm_resnet10t"}.get(name, name)


@pytest.mark.parametrize("name", [name for name in names("model") if name.startswith("resnet")])
def test_resnet_head_starts_from_the_published_distribution(name: str) -> None:
    cfg = composed(f"model={name}", "model.backbone.weights=null")
    head: Any = make_network(cfg, config.model_settings(cfg)).backbone.fc
    assert head.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert head.bias.item() == 0


@pytest.mark.parametrize("file", PUBLISHED_FILES, ids=lambda file: file.metadata.model.name)
def test_published_file_is_taken_for_the_model_and_data_of_its_name(file: PublishedFile) -> None:
    metadata = file.metadata
    cfg = composed(f"model={metadata.model.name}", f"data={metadata.data}")
    assert config.model_settings(cfg).without_initial_weights() == metadata.model
    assert cfg.data.num_classes == metadata.num_classes
    if metadata.aug is not None:
        assert composed(f"recipe={metadata.model.name}").aug.name == metadata.aug


def test_weights_that_a_training_starts_from_are_no_part_of_the_model() -> None:
    cfg, other = (composed("model=resnet18", *more) for more in ([], ["model.weights=a.pth"]))
    assert config.model_settings(cfg) == config.model_settings(other)


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
@pytest.mark.parametrize("optimizer", names("schedule/optimizer"))
def test_schedule_builds_its_scheduler_on_each_optimizer(name: str, optimizer: str) -> None:
    cfg = composed(f"schedule={name}", f"schedule/optimizer={optimizer}")
    assert cfg.schedule.name == name
    built = instantiate(cfg.schedule.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    assert built.param_groups[0]["fused"]
    if cfg.schedule.lr_scheduler:
        build_scheduler(instantiate(cfg.schedule.lr_scheduler), built, 50, 5).step()


# The table of docs/recipes.md: model, aug, flip, optimiser, rate, weight decay, batch, epochs.
RECIPES = {
    "ferretnet_b": ("ferretnet_b", "none", 0.5, "Adam", 2e-4, 5e-4, 32, 100),
    "ferretnet_s": ("ferretnet_s", "none", 0.5, "Adam", 2e-4, 5e-4, 32, 100),
    "fredect": ("fredect", "blur_jpg_0.1", 0, "Adam", 1e-4, 0, 64, 10_000),
    "npr": ("npr", "none", 0.5, "Adam", 2e-4, 0, 32, 50),
    "resnet50_median3": ("resnet50_median3", "none", 0.5, "Adam", 2e-4, 5e-4, 32, 100),
    "resnet50_npr": ("resnet50_npr", "none", 0.5, "Adam", 2e-4, 0, 32, 50),
    "safe": ("safe", "safe", 0.5, "AdamW", 5e-3, 0.01, 128, 20),
    "wang2020": ("resnet50", "blur_jpg_0.5", 0.5, "Adam", 1e-4, 0, 64, 10_000),
    "zhang_image": ("zhang_image", "none", 0, "SGD", 0.01, 1e-4, 16, 20),
    "zhang_spectrum": ("zhang_spectrum", "none", 0, "SGD", 0.01, 1e-4, 16, 20),
}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_is_the_training_of_its_publication(name: str) -> None:
    cfg = composed(f"recipe={name}")
    schedule, optimizer = cfg.schedule, cfg.schedule.optimizer
    assert RECIPES[name] == (
        *(cfg.model.name, cfg.aug.name, cfg.aug.flip),
        *(optimizer._target_.rpartition(".")[2], optimizer.lr, optimizer.weight_decay),
        *(schedule.batch_size, schedule.max_epochs),
    )
    assert ("plateau" in cfg.callbacks) == (schedule.name == "paper")


def test_recipes_have_the_details_that_their_publications_state() -> None:
    npr, safe, ferretnet = (composed(f"recipe={name}") for name in ("npr", "safe", "ferretnet_b"))
    assert (npr.schedule.lr_scheduler.factor, npr.schedule.lr_scheduler.every) == (0.9, 10)
    assert npr.callbacks.best.monitor is None  # the last epoch is kept
    scheduler = safe.schedule.lr_scheduler
    assert (scheduler.warmup_epochs, scheduler.min_lr) == (1, 1e-6)
    assert safe.schedule.label_smoothing == 0.1
    assert list(ferretnet.schedule.optimizer.betas) == [0.937, 0.999]
    assert composed("recipe=zhang_image").schedule.optimizer.momentum == 0.9
    assert composed("recipe=fredect").model.train.position == "centre"


@pytest.mark.parametrize("name", names("recipe"))
def test_recipe_states_its_source_and_composes(name: str) -> None:
    text = (ROOT / "conf" / "recipe" / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n# ")
    assert composed(f"recipe={name}").model.name


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


ABLATIONS = {
    **{f"without_{kind}": {"random_simulators.leave_out": [kind]} for kind in UPSAMPLERS},
    "with_discriminator": {"random_simulators.discriminator": "with"},
    "without_discriminator": {"random_simulators.discriminator": "without"},
    "without_super_resolution": {
        "data.hold_out": ["sr_realcugan", *SIMULATED_SETS, "sr_realesrgan", "sr_waifu2x"]
    },
    "without_deliveries": {"aug.name": "without_deliveries"},
    "pixels_alone": {"model.backbone.halves": ["pixels"]},
    "spectrum_alone": {"model.backbone.halves": ["spectrum"]},
    "laplacian_alone": {
        "model.input.parts": [{"name": "laplacian"}],
        "model.backbone.channels": 3,
    },
    "narrow": {"model.backbone.width": 12},
    "wide": {"model.backbone.width": 48},
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablation_changes_one_thing_of_the_study(name: str) -> None:
    whole, changed = (
        composed("experiments=embedded", f"ablation={one}") for one in ("none", name)
    )
    expected = ABLATIONS[name]
    for key, value in expected.items():
        found = OmegaConf.select(changed, key)
        assert (list(found) if isinstance(value, list) else found) == value
        assert OmegaConf.select(whole, key) != found
    (section,) = {key.partition(".")[0] for key in expected}
    unresolved = [OmegaConf.to_container(cfg) for cfg in (whole, changed)]
    assert {key for key in unresolved[0] if unresolved[0][key] != unresolved[1][key]} == {section}
    if section == "model":
        assert changed.model.name == name  # tables tell them apart


def test_ablations_of_simulators_do_not_share_training_sets_and_share_the_test_set() -> None:
    names_ = [name for name, change in ABLATIONS.items() if "simulators" in next(iter(change))]
    found = [
        composed("experiments=embedded", f"ablation={name}").generator.random_simulators
        for name in ["none", *names_]
    ]
    assert len({one.train for one in found}) == len({one.val for one in found}) == len(found) == 9
    assert len({one.path for one in found}) == 1
    assert found[0].train.endswith("/train_3200")


def test_study_embedded_has_all_ablations_and_its_miniature_those_without_an_extra() -> None:
    swept = {
        study: {
            one.strip()
            for one in OmegaConf.load(
                ROOT / "experiments" / f"{study}.yaml"
            ).hydra.sweeper.params.ablation.split(",")
        }
        for study in ("embedded", "embedded_mini")
    }
    assert swept["embedded"] == set(names("ablation")) == {"none", *ABLATIONS}
    assert swept["embedded"] - swept["embedded_mini"] == {"without_super_resolution"}


def test_deliveries_leave_what_the_model_crops() -> None:
    for model, crop in (("resnet50", 224), ("pixels_and_spectrum", 112)):
        transforms = composed("aug=deliveries", f"model={model}").aug.train.transforms
        assert transforms[-1].min_side == crop


@pytest.mark.parametrize("study", ["embedded", "embedded_mini"])
def test_each_ablation_of_simulators_trains_on_other_simulators(study: str) -> None:
    chosen = []
    for name in ["none", *(name for name in ABLATIONS if "simulators" in str(ABLATIONS[name]))]:
        cfg = composed(f"experiments={study}", f"ablation={name}")
        one, seeds = cfg.random_simulators, (cfg.simulation.seed, SPLITS.index("train"))
        chosen.append(tuple(choose(one.count, seeds, one.leave_out, one.discriminator)))
    assert len(chosen) == 9 and chosen[0] not in chosen[1:]
