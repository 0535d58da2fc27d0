"""The composed configuration as small dataclasses with their checks, resolved once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from genspot.common.errors import GenspotError
from genspot.data.settings import Labels, Loading, Place, TestSet, TrainingSet
from genspot.detector.settings import ENCODER_WEIGHTS, PRETRAINED, ModelSettings
from genspot.tasks.composition import compose_again
from genspot.tasks.config_files import config_folders
from genspot.tasks.download_commands import test_offers, training_offer
from genspot.tasks.error_messages import NO_CHOICES
from genspot.tasks.generators import generator_specs, is_own
from genspot.tasks.objective import check_objective
from genspot.tasks.overrides import (
    check_plain_run,
    check_tasks,
    command_line_overrides,
    parse_overrides,
    search_path_overrides,
)
from genspot.tasks.places import absolute, names_weights
from genspot.tasks.recipes import check_ablation, check_recipe
from genspot.tasks.schema import check_values, plain
from genspot.tasks.test_sets import add_test_sets, is_folder
from genspot.tasks.training_sets import divide_sets, is_divided, trains_on_sets

if TYPE_CHECKING:
    from genspot.evaluation.published import Baseline


@dataclass(frozen=True)
class RunSettings:
    """What the tasks that compute need."""

    config_text: str  # the configuration as YAML, as config.yaml keeps it
    folder: Path  # of the run
    seed: int  # of every random draw
    resume: str  # "auto" or "never"
    quiet: bool  # print where the results are, and not the results
    max_unreadable: int | None  # a run with more unreadable images ends with exit code 1


@dataclass(frozen=True)
class TestSettings:
    """What is tested, and how the results are reported."""

    __test__ = False  # pytest takes classes named Test… for tests

    # Files of conf/generator/ by the names of their metrics. `key` names the file; it is None for
    # sets of `test_sets`.
    specs: dict[str, dict[str, Any]]
    crop: int | None  # side of the crop in pixels; None: whole images
    degradations: list[str]  # in the order in which they are applied
    protocol: str  # what is done to every image after it is decoded; "none": nothing
    spectra: int | None  # average the spectra of this many images of each kind; None: none
    shortcut_baseline: bool  # also measure what a classifier reaches without a detector
    confidence: float  # of the intervals
    baselines: list[Baseline]  # published for a model of this name and settings


def check_settings(cfg: DictConfig) -> None:
    """Check all settings and the chosen generators' files, whatever the task needs of them.

    The test sets of `test_sets` become entries of `cfg.generator`; see `add_test_sets`.

    Raises:
        GenspotError: the command line names a sweeper without -m; a study overrides the recipe;
            an ablation without a study; or the first value of another kind than its setting takes,
            or unknown key.
    """
    check_plain_run()
    check_recipe()
    check_ablation()
    check_values(cfg)
    check_tasks(cfg.task.name)
    for group, message in NO_CHOICES.items():
        if group in cfg:
            raise GenspotError(message)
    add_test_sets(cfg, labels(cfg))
    generator_specs(cfg)
    check_objective(cfg)
    for override in parse_overrides(command_line_overrides()):
        if override.key_or_group == "experiments" and isinstance(override.value(), list):
            raise GenspotError(f"{override.input_line}: give one study, experiments=NAME")


def labels(cfg: DictConfig) -> Labels:
    """Return the names of the labels.

    Raises:
        GenspotError: a name is of both labels, or there twice.
    """
    return Labels(real=tuple(cfg.labels.real), fake=tuple(cfg.labels.fake))


def run_settings(cfg: DictConfig) -> RunSettings:
    """Return the settings of every task."""
    return RunSettings(
        config_text=config_text(cfg),
        folder=Path(cfg.paths.output),
        seed=cfg.seed,
        resume=cfg.resume,
        quiet=cfg.quiet,
        max_unreadable=cfg.max_unreadable,
    )


def config_text(cfg: DictConfig) -> str:
    """Return the configuration as YAML without `resume`, which is no part of what is run.

    The places of images and weights are absolute: a later test compares its images with theirs. Of
    a training on several sets, `data.generator` and `data.hold_out` name all that are trained on
    and left out.

    Raises:
        GenspotError: see `divide_sets`.
    """
    kept = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "resume"])
    for key in ("data.train", "data.val", "model.weights", "schedule.teacher"):
        if place := plain(kept, key):
            OmegaConf.update(kept, key, place if names_weights(place) else absolute(place))
    if cfg.task.name == "train" and trains_on_sets(cfg):
        trained, left_out = divide_sets(cfg)
        OmegaConf.update(kept, "data", {"generator": trained, "hold_out": left_out})
    if plain(kept, "model.weights") is None:  # as in runs of versions without this setting
        with open_dict(kept):
            kept.model.pop("weights", None)
    elif plain(kept, "model.backbone.weights") is not None:  # they are not read beside the others
        OmegaConf.update(kept, "model.backbone.weights", None)
    return OmegaConf.to_yaml(kept, resolve=True)


def model_settings(cfg: DictConfig) -> ModelSettings:
    """Return the model; what a `_target_` of the user's own config builds is None.

    Raises:
        GenspotError: see `ModelSettings`.
    """
    values = as_dict(cfg.model)
    values.pop("arch", None)  # in timm.yaml, an abbreviation of backbone.arch
    values.pop("weights", None)  # of a training, see `genspot.tasks.fine_tuning`
    for part in ("input", "backbone"):
        if values.get(part) is None:
            raise GenspotError(f"model.{part}=null: give its name and settings")
        if isinstance(values[part], dict) and "_target_" in values[part]:
            values[part] = None
    backbone = values["backbone"]
    weights = backbone.get(ENCODER_WEIGHTS) if isinstance(backbone, dict) else None
    if isinstance(weights, str) and weights != PRETRAINED:  # a checkpoint is tested from anywhere
        backbone[ENCODER_WEIGHTS] = os.path.abspath(os.path.expanduser(weights))
    return ModelSettings.from_dict(values)


def test_settings(cfg: DictConfig, model: ModelSettings) -> TestSettings:
    """Return what is tested with `model`.

    Raises:
        GenspotError: no generator, one without a folder, a value out of range, or a file of
            conf/baseline/ that has a fault.
    """
    from genspot.tasks.baselines import read_baselines  # slow: imports SciPy

    specs = generator_specs(cfg)
    if not specs:
        raise GenspotError("name at least one generator to test on: generator=[sitd,san]")
    if cfg.test_set.path is not None and not any(map(is_folder, specs)):
        raise GenspotError("test_set.path is the set of generator=folder: choose that generator")
    for key, spec in specs.items():
        if isinstance(spec["path"], dict) and spec["path"].get("hub", key) is None:
            raise GenspotError(f"generator={key} needs hub.id=ORG/NAME, of a data set")
        if spec["path"] is None:
            setting = "test_set" if key == "folder" else f"generator.{key}"
            raise GenspotError(f"generator={key} needs {setting}.path=PATH, a folder of images")
    own = plain(cfg, "test_sets") or {}
    return TestSettings(
        specs={
            spec["name"]: spec | {"key": None if is_own(key, own) else key}
            for key, spec in specs.items()
        },
        crop=model.test.with_crop(cfg.crop).crop,
        degradations=[] if cfg.degradations == "none" else str(cfg.degradations).split("+"),
        protocol=str(cfg.protocol),
        spectra=cfg.spectra,
        shortcut_baseline=bool(OmegaConf.select(cfg, "data.shortcut_baseline")),
        confidence=cfg.confidence,
        baselines=_comparable(read_baselines(), model),
    )


def _comparable(rows: list[Baseline], model: ModelSettings) -> list[Baseline]:
    """Return the rows of the model's name; none where its settings are not those of its file.

    How it is tested is a condition of each row.
    """
    rows = [row for row in rows if row.model == model.name]
    files = [folder / "model" / f"{model.name}.yaml" for folder in config_folders()]
    if not rows or not any(file.is_file() for file in files):
        return rows
    chosen = model_settings(compose_again([f"model={model.name}", *search_path_overrides()]))
    return rows if _network(model) == _network(chosen) else []


def _network(model: ModelSettings) -> dict[str, Any]:
    """Return the settings of a trained network: without initial weights, which lie anywhere."""
    values = {key: value for key, value in model.as_dict().items() if key != "test"}
    if values["backbone"]:
        values["backbone"] = values["backbone"] | {ENCODER_WEIGHTS: None}
    return values


def training_set(cfg: DictConfig) -> TrainingSet:
    """Return what is trained and validated on.

    Raises:
        GenspotError: a value out of range.
    """
    values = as_dict(cfg.data)
    for key in ("train", "val", "classes"):
        if key not in values:
            raise GenspotError(f"data.{key} is missing: null says that there is none")
    for key in ("shortcut_baseline", "generator", "hold_out", "until", "years", "photos"):
        values.pop(key, None)  # of the evaluation, the report, `divide_sets` and the simulator
    trained = divide_sets(cfg)[0] if trains_on_sets(cfg) else []
    return TrainingSet(
        **{key: value for key, value in values.items() if value is not None}
        | {key: values[key] for key in ("train", "val", "classes")},
        own=not all(_is_below(values[split], cfg.paths[split]) for split in ("train", "val")),
        offer=training_offer(cfg, values),
        labels=labels(cfg),
        parts=tuple(one for one in test_sets(cfg) if one.name in trained),
    )


def test_sets(cfg: DictConfig) -> list[TestSet]:
    """Return the test sets of the chosen generators."""
    specs = generator_specs(cfg)
    offers = test_offers({key: spec["path"] for key, spec in specs.items()})
    return [
        TestSet(
            name=spec["name"],
            path=spec["path"],
            classes=spec["classes"],
            simulator=spec["simulator"],
            setting=key,
            download=spec["download"],
            offer=offers.get(key, ""),
            own=is_folder(key) or not _is_below(spec["path"], cfg.paths.test),
            labels=labels(cfg),
            train=spec["train"],
            val=spec["val"],
            by_class=spec["clusters"] == "class",
            divided=is_divided(cfg, spec),
        )
        for key, spec in specs.items()
    ]


def _is_below(path: Place | None, folder: str) -> bool:
    if isinstance(path, dict) and path.keys() <= {"real", "fake"}:
        return all(_is_below(part, folder) for part in path.values())
    return isinstance(path, str) and Path(path).is_relative_to(folder)


def loading(cfg: DictConfig) -> Loading:
    """Return how images are read.

    Raises:
        GenspotError: a value out of range.
    """
    return Loading(
        batch_size=cfg.schedule.batch_size,
        eval_batch_size=cfg.schedule.eval_batch_size,
        workers=cfg.workers,
        seed=cfg.seed,
        balanced=bool(cfg.schedule.get("balanced")),
        flip=0.5 if cfg.aug.get("flip") is None else cfg.aug.flip,
        max_megapixels=cfg.max_megapixels,
        max_whole_megapixels=cfg.max_whole_megapixels,
    )


def study_name() -> str | None:
    """Return the chosen study (a file of experiments/), or None."""
    return HydraConfig.get().runtime.choices.get("experiments")


def as_dict(node: DictConfig) -> dict[str, Any]:
    """Return a node of the configuration as plain values, interpolations resolved."""
    values: Any = OmegaConf.to_container(node, resolve=True)
    return dict(values)
