"""The composed configuration as small dataclasses with their checks, resolved once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import albumentations
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from genspot.augment.degradations import parse_degradations
from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry, check_integer
from genspot.data.settings import Loading, Simulation, TestSet, TrainingSet
from genspot.detector.settings import ModelSettings
from genspot.evaluation.bootstrap import Bootstrap


@dataclass(frozen=True)
class RunSettings:
    """What every task needs.

    Attributes:
        config_text: the configuration as YAML, as config.yaml keeps it.
        folder: of the run.
        seed: of every random draw.
        resume: "auto" or "never".
    """

    config_text: str
    folder: Path
    seed: int
    resume: str


@dataclass(frozen=True)
class TestSettings:
    """What is tested, and how the results are reported.

    Attributes:
        specs: the files of conf/generator/ by the names of their metrics.
        crop: side of the crop in pixels, or None for whole images.
        degradations: names, in the order in which they are applied.
        spectra: average the spectra of this many images of each kind; None for none.
        shortcut_baseline: also measure what a classifier reaches that knows nothing of generators.
        bootstrap: settings of the intervals.
    """

    __test__ = False  # pytest takes classes named Test… for tests

    specs: dict[str, dict[str, Any]]
    crop: int | None
    degradations: list[str]
    spectra: int | None
    shortcut_baseline: bool
    bootstrap: Bootstrap


@dataclass(frozen=True)
class TrainerSettings:
    """The trainer: arguments of pytorch_lightning.Trainer, and how the network is laid out.

    Attributes:
        name: of the file of conf/trainer/.
        channels_last: lay images and weights out as N×H×W×C in memory.
        compile: compile the backbone with torch.compile.
        arguments: of pytorch_lightning.Trainer.
    """

    name: str
    channels_last: bool
    compile: bool
    arguments: dict[str, Any]


@dataclass(frozen=True)
class DataSettings:
    """Everything that the data module is made of; see `genspot.data.datamodule`."""

    training_set: TrainingSet | None
    test_sets: list[TestSet]
    augment: dict[str, albumentations.Compose | None]
    train_geometry: Geometry
    test_geometry: Geometry
    loading: Loading
    simulation: Simulation


def run_settings(cfg: DictConfig) -> RunSettings:
    """Return the settings of every task.

    Raises:
        GenspotError: the seed is out of range.
    """
    check_integer("seed", cfg.seed, minimum=0, maximum=2**32 - 1)
    # `resume` says what to do with the folder, and is no part of what is run.
    kept = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "resume"])
    text = OmegaConf.to_yaml(kept, resolve=True)
    return RunSettings(text, Path(cfg.paths.output), cfg.seed, cfg.resume)


def model_settings(cfg: DictConfig) -> ModelSettings:
    """Return the model; what a `_target_` of the user's own config builds is None.

    Raises:
        GenspotError: see `ModelSettings`.
    """
    values: Any = OmegaConf.to_container(cfg.model, resolve=True)
    values.pop("arch", None)  # an abbreviation in timm.yaml, which backbone.arch refers to
    for part in ("input", "backbone"):
        node = values.get(part)
        if not isinstance(node, dict):
            raise GenspotError(f"model.{part}={node}: give its name and its settings")
        if "_target_" in node:
            values[part] = None
    return ModelSettings.from_dict(values)


def test_settings(cfg: DictConfig, model: ModelSettings) -> TestSettings:
    """Return what is tested with `model`.

    Raises:
        GenspotError: no generator, or a value out of range.
    """
    specs = generator_specs(cfg)
    if not specs:
        raise GenspotError("name at least one generator to test on: generator=[sitd,san]")
    if cfg.spectra is not None:
        check_integer("spectra", cfg.spectra, minimum=1)
    return TestSettings(
        specs={spec.get("name", key): spec for key, spec in specs.items()},
        crop=test_geometry(cfg, model).crop,
        degradations=[] if cfg.degradations == "none" else str(cfg.degradations).split("+"),
        spectra=cfg.spectra,
        shortcut_baseline=bool(OmegaConf.select(cfg, "data.shortcut_baseline", default=False)),
        bootstrap=Bootstrap(seed=cfg.seed, **cfg.bootstrap),
    )


def generator_specs(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Return the chosen files of conf/generator/; `generator=[]` leaves no such node."""
    specs = OmegaConf.select(cfg, "generator")
    container: Any = OmegaConf.to_container(specs, resolve=True) if specs else {}
    return dict(container)


def test_geometry(cfg: DictConfig, model: ModelSettings) -> Geometry:
    """Return the geometry of test images: the model's own, with `crop` in place of its crop.

    Raises:
        GenspotError: `crop` is neither a number of pixels nor "none".
    """
    return model.test.with_crop(cfg.crop)


def data_settings(cfg: DictConfig, model: ModelSettings) -> DataSettings:
    """Return what the data module of a training is made of.

    Raises:
        GenspotError: a value out of range.
    """
    source: Any = OmegaConf.to_container(cfg.data, resolve=True)
    source.pop("shortcut_baseline")  # concerns the evaluation
    specs = generator_specs(cfg)
    return DataSettings(
        training_set=TrainingSet(**source),
        test_sets=[_test_set(key, spec) for key, spec in specs.items()],
        augment={
            "train": instantiate(cfg.aug.train, _convert_="all"),
            "val": instantiate(cfg.aug.val, _convert_="all"),
            "test": parse_degradations(cfg.degradations),
        },
        train_geometry=model.train,
        test_geometry=test_geometry(cfg, model),
        loading=Loading(
            batch_size=cfg.schedule.batch_size,
            eval_batch_size=cfg.schedule.eval_batch_size,
            workers=cfg.workers,
            seed=cfg.seed,
        ),
        simulation=Simulation(**cfg.simulation),
    )


def without_training_images(data: DataSettings, keep_validation: bool) -> DataSettings:
    """Return the same for a test, which reads validation images at most."""
    source = data.training_set
    kept = replace(source, train=None) if source and keep_validation else None
    return replace(data, training_set=kept)


def without_test_sets(data: DataSettings) -> DataSettings:
    """Return the same for a task that only reads the training and validation images."""
    return replace(data, test_sets=[])


def _test_set(key: str, spec: dict[str, Any]) -> TestSet:
    return TestSet(
        name=spec.get("name", key),
        path=spec["path"],
        classes=spec["classes"],
        simulator=spec.get("simulator"),
        setting=key,
    )


def trainer_settings(cfg: DictConfig) -> TrainerSettings:
    """Return the trainer's settings."""
    arguments: Any = OmegaConf.to_container(cfg.trainer, resolve=True)
    own = {key: arguments.pop(key) for key in ("name", "channels_last", "compile")}
    return TrainerSettings(arguments=arguments, **own)


def check_schedule(cfg: DictConfig) -> None:
    """Check values that would only fail after the data are read.

    Raises:
        GenspotError: a value out of range.
    """
    check_integer("schedule.max_epochs", cfg.schedule.max_epochs, minimum=1)
    rate = cfg.schedule.optimizer.lr
    if not isinstance(rate, int | float) or not 0 < rate < 1:
        raise GenspotError(f"schedule.optimizer.lr={rate}: give a number between 0 and 1")


def study_name() -> str | None:
    """Return the chosen study (a file of experiments/), or None."""
    return HydraConfig.get().runtime.choices.get("experiments")
