"""The composed configuration as small dataclasses with their checks, resolved once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError
from genspot.data.settings import Loading, TestSet, TrainingSet
from genspot.detector.settings import ModelSettings
from genspot.evaluation.bootstrap import Bootstrap


@dataclass(frozen=True)
class RunSettings:
    """What the tasks that compute need."""

    config_text: str  # the configuration as YAML, as config.yaml keeps it
    folder: Path  # of the run
    seed: int  # of every random draw
    resume: str  # "auto" or "never"


@dataclass(frozen=True)
class TestSettings:
    """What is tested, and how the results are reported."""

    __test__ = False  # pytest takes classes named Test… for tests

    specs: dict[str, dict[str, Any]]  # files of conf/generator/ by the names of their metrics
    crop: int | None  # side of the crop in pixels; None: whole images
    degradations: list[str]  # in the order in which they are applied
    spectra: int | None  # average the spectra of this many images of each kind; None: none
    shortcut_baseline: bool  # also measure what a classifier reaches without a detector
    bootstrap: Bootstrap  # of the intervals


def run_settings(cfg: DictConfig) -> RunSettings:
    """Return the settings of every task.

    Raises:
        GenspotError: a value out of range.
    """
    check_integer("seed", cfg.seed, minimum=0, maximum=2**32 - 1)
    if cfg.resume not in ("auto", "never"):
        raise GenspotError(f"resume={cfg.resume}: choose auto or never")
    return RunSettings(config_text(cfg), Path(cfg.paths.output), cfg.seed, cfg.resume)


def config_text(cfg: DictConfig) -> str:
    """Return the configuration as YAML without `resume`, which is no part of what is run."""
    keys = [str(key) for key in cfg if key != "resume"]
    return OmegaConf.to_yaml(OmegaConf.masked_copy(cfg, keys), resolve=True)


def model_settings(cfg: DictConfig) -> ModelSettings:
    """Return the model; what a `_target_` of the user's own config builds is None.

    Raises:
        GenspotError: see `ModelSettings`.
    """
    values = as_dict(cfg.model)
    values.pop("arch", None)  # in timm.yaml, an abbreviation of backbone.arch
    for part in ("input", "backbone"):
        if values.get(part) is None:
            raise GenspotError(f"model.{part}=null: give its name and settings")
        if isinstance(values[part], dict) and "_target_" in values[part]:
            values[part] = None
        elif values.get(part, part) is None:
            raise GenspotError(f"model.{part}=null: give its name and settings")
    return ModelSettings.from_dict(values)


def test_settings(cfg: DictConfig, model: ModelSettings) -> TestSettings:
    """Return what is tested with `model`.

    Raises:
        GenspotError: no generator, or a value out of range.
    """
    specs = generator_specs(cfg)
    if not specs:
        raise GenspotError("name at least one generator to test on: generator=[sitd,san]")
    if cfg.test_set.path is not None and "folder" not in specs:
        raise GenspotError("test_set.path is the set of generator=folder: choose that generator")
    if cfg.spectra is not None:
        check_integer("spectra", cfg.spectra, minimum=1)
    return TestSettings(
        specs={spec.get("name", key): spec for key, spec in specs.items()},
        crop=model.test.with_crop(cfg.crop).crop,
        degradations=[] if cfg.degradations == "none" else str(cfg.degradations).split("+"),
        spectra=cfg.spectra,
        shortcut_baseline=bool(OmegaConf.select(cfg, "data.shortcut_baseline")),
        bootstrap=Bootstrap(seed=cfg.seed, **cfg.bootstrap),
    )


def generator_specs(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Return the chosen files of conf/generator/, with defaults for all keys but `path`.

    Raises:
        GenspotError: a file has no `path`, or classes that are neither a list, "any" nor null.
    """
    # `generator=[]` leaves no such node.
    chosen = as_dict(cfg.generator) if OmegaConf.select(cfg, "generator") else {}
    specs = {}
    for key, spec in chosen.items():
        if not isinstance(spec, dict) or "path" not in spec:
            raise GenspotError(
                f"generator={key}: its file needs {key}.path, the folder of its set"
            )
        defaults = {"title": key, "classes": "any", "images": None}
        specs[key] = {**defaults, **spec, "published": spec.get("published") or {}}
        classes = specs[key]["classes"]
        if not (classes in (None, "any") or isinstance(classes, list)):
            raise GenspotError(f"generator={key}: classes={classes}: give a list, any or null")
    return specs


def training_set(cfg: DictConfig) -> TrainingSet:
    """Return what is trained and validated on.

    Raises:
        GenspotError: a value out of range.
    """
    values = as_dict(cfg.data)
    values.pop("shortcut_baseline")  # concerns the evaluation
    return TrainingSet(**values)


def test_sets(cfg: DictConfig) -> list[TestSet]:
    """Return the test sets of the chosen generators."""
    return [
        TestSet(
            name=spec.get("name", key),
            path=spec["path"],
            classes=spec["classes"],
            simulator=spec.get("simulator"),
            setting=key,
        )
        for key, spec in generator_specs(cfg).items()
    ]


def loading(cfg: DictConfig) -> Loading:
    """Return how images are read.

    Raises:
        GenspotError: a value out of range.
    """
    sizes = cfg.schedule.batch_size, cfg.schedule.eval_batch_size
    return Loading(*sizes, workers=cfg.workers, seed=cfg.seed)


def check_schedule(cfg: DictConfig) -> None:
    """Check what would only fail after the data are read, or after the training.

    Raises:
        GenspotError: a value out of range, or no callback that keeps the best checkpoint.
    """
    check_integer("schedule.max_epochs", cfg.schedule.max_epochs, minimum=1)
    if not OmegaConf.select(cfg, "callbacks.best"):
        raise GenspotError(
            "callbacks: without checkpoint there is no best.ckpt to test; give "
            "callbacks=[checkpoint,…]"
        )
    rate = cfg.schedule.optimizer.lr
    if not isinstance(rate, int | float) or not 0 < rate < 1:
        raise GenspotError(f"schedule.optimizer.lr={rate}: give a number between 0 and 1")


def study_name() -> str | None:
    """Return the chosen study (a file of experiments/), or None."""
    return HydraConfig.get().runtime.choices.get("experiments")


def as_dict(node: DictConfig) -> dict[str, Any]:
    """Return a node of the configuration as plain values, interpolations resolved."""
    values: Any = OmegaConf.to_container(node, resolve=True)
    return dict(values)
