"""What a run can do: train, test, predict. Each takes the composed configuration."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytorch_lightning as pl
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from genspot.detector import checkpoint as checkpoints
from genspot.tasks import results as evaluation
from genspot.detector import precision as hardware
from genspot.runtime import provenance
from genspot import report
from genspot.detector import resume
from genspot.detector.backbones import folded
from genspot.detector.metadata import choice
from genspot.common.errors import GenspotError
from genspot.detector.callbacks import Finite, Preemption
from genspot.report.dashboard import log_results
from genspot.detector.module import Detector
from genspot.report.predictions import show_predictions
from genspot.report.runs import training_set
from genspot.runtime.run_folder import finished, keep_config
from genspot.evaluation.scores import read_validation, score_table, unreadable_table, write_validation
from genspot.runtime.shutdown import INBOX

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> None:
    """Train, then test the best checkpoint on every generator."""
    folder = Path(cfg.paths.output)
    if results := finished(folder, cfg):
        _show_again("run", results, folder)
        return
    _quiet()
    _check(cfg)
    keep_config(folder, cfg)
    begun = resume.find(folder, cfg.resume)
    contract = _contract(cfg)
    crop = _crop(cfg.crop, contract)
    data = _data(cfg, crop)
    _prepare(data, "fit", "test")  # a missing test set must not be found out after the training
    # Here, for whether a data set had to be built must not change the weights to begin with.
    pl.seed_everything(cfg.seed, verbose=False)
    detector = _partial(cfg.detector)(network=instantiate(cfg.model.network), contract=contract)
    precision = hardware.precision(cfg.trainer.precision, cfg.trainer.accelerator)
    epoch, within, steps = resume.progress(begun) if begun else (0, 0, 0)
    data.begun = epoch, within * cfg.schedule.batch_size
    curves = resume.curves(folder, steps)
    loggers = _loggers(cfg)
    resume.put_back(curves, loggers)
    trainer = _trainer(
        cfg,
        precision=precision,
        logger=loggers,
        callbacks=[*_callbacks(folder), *instantiate(cfg.schedule.callbacks).values()],
        plugins=[resume.RenamedCheckpointIO()],
    )
    log.info(
        "training %s on %s: %s",
        cfg.model.name,
        trainer.strategy.root_device,
        hardware.describe(cfg, precision),
    )
    if begun:
        log.info("going on from %s", begun)
    trainer.fit(detector, datamodule=data, ckpt_path=begun, weights_only=True)
    best = trainer.checkpoint_callbacks[0].best_model_path  # type: ignore[attr-defined]
    refused = [
        unreadable_table(data.tables[split], refused)
        for split, refused in detector.refused.items()
    ]
    checkpoint = checkpoints.read(best)
    result = _test(cfg, data, checkpoint, contract, crop, refused, trivial=cfg.data.trivial)
    if result:
        log_results(result, folder, loggers)
    for logger in loggers:
        logger.finalize("success")


def test(cfg: DictConfig) -> None:
    """Test a checkpoint on every generator, under the contract that it carries."""
    _quiet()
    folder = Path(cfg.paths.output)
    cfg, checkpoint, contract, crop = _open(cfg)
    # In what is kept and logged, words for what would read None.
    OmegaConf.update(cfg, "crop", crop or "none")
    OmegaConf.update(cfg, "aug.name", contract["aug"] or "unknown")
    if results := finished(folder, cfg, newer_than=checkpoint.path):
        _show_again("test", results, folder)
        return
    keep_config(folder, cfg)
    # A training of genspot's leaves those of its best checkpoint; published files do not.
    best = checkpoint.path.name == "best.ckpt"
    validation = read_validation(checkpoint.path.parent, crop) if best else None
    source = _validation_set(cfg) if validation is None else None
    data = _data(cfg, crop, source=source)
    _prepare(data, "test", *(["validate"] if source else []))
    # The test's own seed only draws resamples; its run is found under that of the training.
    loggers = _loggers(cfg, seed=contract.get("seed", "unknown"))
    if result := _test(cfg, data, checkpoint, contract, crop, validation=validation):
        log_results(result, folder, loggers)
    for logger in loggers:
        logger.finalize("success")


def predict(cfg: DictConfig) -> None:
    """Score a photo, or every image below a folder."""
    _quiet()
    if not isinstance(cfg.inputs, (str, int)):
        raise GenspotError("task=predict needs inputs=PHOTO_OR_FOLDER")
    cfg, checkpoint, contract, crop = _open(cfg)
    keep_config(Path(cfg.paths.output), cfg)
    data = _data(cfg, crop, source=None, generators={})
    _prepare(data, "predict")
    detector = _load(cfg, checkpoint, contract)
    trainer = _trainer(cfg, precision="32-true")
    trainer.predict(detector, datamodule=data, return_predictions=False)
    if trainer.is_global_zero:
        show_predictions(data.tables["predict"], detector.collected, Path(cfg.paths.output), crop)


@rank_zero_only
def _show_again(what: str, results: dict[str, Any], folder: Path) -> None:
    log.info("this %s is already done in %s; remove the folder to run it anew", what, folder)
    report.show(results, folder)


def _loggers(cfg: DictConfig, **changes: Any) -> list[Logger]:
    """The loggers of a run; `changes` replace settings for them alone."""
    node = OmegaConf.merge(cfg, changes)
    return list(instantiate(node.logger.logger, _convert_="all").values())


def _open(
    cfg: DictConfig,
) -> tuple[DictConfig, checkpoints.Checkpoint, dict[str, Any], int | None]:
    """The configuration as evaluated, the checkpoint, its contract, the crop."""
    typed = list(HydraConfig.get().overrides.task)
    checkpoint = checkpoints.read(cfg.checkpoint)
    cfg = _as_trained(cfg, checkpoint.contract, typed)
    contract = _settle(cfg, checkpoint, typed)
    _describe(cfg, contract)
    _check(cfg)
    return cfg, checkpoint, contract, _crop(cfg.crop, contract)


def _validation_set(cfg: DictConfig) -> dict[str, Any] | None:
    """The training set whose validation images are to be scored, if they are here."""
    folder = OmegaConf.select(cfg, "data.val")
    if not folder or not Path(folder).is_dir():
        return None
    source: Any = OmegaConf.to_container(cfg.data, resolve=True)
    return source | {"train": None}  # which would be built where it is simulated


def _test(
    cfg: DictConfig,
    data: Any,
    checkpoint: checkpoints.Checkpoint,
    contract: dict[str, Any],
    crop: int | None,
    refused: Sequence[pa.Table] = (),
    trivial: bool = False,
    validation: pa.Table | None = None,
) -> dict[str, Any] | None:
    """The results, on rank 0; elsewhere None.

    `validation` has the scores of validation images, where they are known; else `data` may have
    those images.
    """
    folder = Path(cfg.paths.output)
    detector = _load(cfg, checkpoint, contract)
    trainer = _trainer(cfg, precision="32-true")
    if "val" in data.tables:
        trainer.predict(detector, data.calibration_dataloader(), return_predictions=False)
        validation = score_table(data.tables["val"], detector.collected)
    trainer.test(detector, datamodule=data, verbose=False)
    if not trainer.is_global_zero:
        return None
    if validation is not None:
        write_validation(validation, folder, crop)
    if cfg.spectra is not None:
        data.write_spectra(folder / "spectra", cfg.spectra)
    about = {
        "title": f"{checkpoint.path.name}, trained on {training_set(contract)}",
        "checkpoint": str(checkpoint.path),
        "trained_on": contract,
        "crop": crop,
        "degrade": [] if cfg.degrade == "none" else cfg.degrade.split("+"),
        "seed": cfg.seed,
        "bootstrap": dict(cfg.bootstrap),
        "versions": provenance.versions(),
        "commit": provenance.commit(Path(cfg.paths.root)),
    }
    return evaluation.publish(
        folder,
        data.tables["test"],
        detector.collected,
        data.generators,
        about,
        validation=validation,
        refused=refused,
        trivial=data.trivial_scores() if trivial else None,
    )


def _contract(cfg: DictConfig) -> dict[str, Any]:
    """What a checkpoint of this run expects, in plain types."""
    network: Any = OmegaConf.to_container(cfg.model.network, resolve=True)
    if "weights" in network:
        network["weights"] = None  # the checkpoint's own will do
    return {
        "data": cfg.data.name,
        "subset": cfg.data.get("subset"),
        "aug": cfg.aug.name,
        "study": HydraConfig.get().runtime.choices.get("experiments"),
        "seed": cfg.seed,
        "model": {"name": cfg.model.name, "network": network},
        "preprocess": OmegaConf.to_container(cfg.preprocess, resolve=True),
    }


def _as_trained(cfg: DictConfig, contract: dict[str, Any], typed: list[str]) -> DictConfig:
    """The configuration with the checkpoint's own data and study, where none were named.

    So a checkpoint is tested on the generators that go with what it was trained on, in the way
    of its study.
    """
    if any(word.startswith(("data=", "experiments=")) for word in typed):
        return cfg
    own = [choice(contract, "study")] if contract.get("study") else []
    if contract["data"] != "folder":
        own.append(choice(contract, "data"))
    elif cfg.task.name == "test" and not any(word.startswith("generator=") for word in typed):
        raise GenspotError("trained on folder: name the test set, generator=folder folder=PATH")
    return compose("config", [*own, *typed])


def _describe(cfg: DictConfig, contract: dict[str, Any]) -> None:
    """Make the configuration that is kept and shown say what is evaluated."""
    if cfg.data.name != contract["data"]:
        OmegaConf.update(cfg, "data", {"name": contract["data"]}, merge=False)
    if cfg.data.get("subset") != contract.get("subset"):
        OmegaConf.update(cfg, "data.subset", contract.get("subset"), force_add=True)
    for part in ("model", "preprocess"):
        OmegaConf.update(cfg, part, contract[part], merge=False)
    aug = {"name": contract["aug"], "train": None, "val": None}
    OmegaConf.update(cfg, "aug", aug, merge=False)


def _settle(
    cfg: DictConfig, checkpoint: checkpoints.Checkpoint, typed: list[str]
) -> dict[str, Any]:
    """The contract to evaluate under; a file that does not know its augmentation may be told."""
    if cfg.contract not in ("keep", "override"):
        raise GenspotError(f"contract={cfg.contract}: choose keep or override")
    contract = checkpoints.settle(
        checkpoint, _contract(cfg), typed, override=cfg.contract == "override"
    )
    if contract["aug"] is None and any(word.startswith("aug=") for word in typed):
        contract["aug"] = cfg.aug.name
    return contract


def _crop(choice: Any, contract: dict[str, Any]) -> int | None:
    """Side of the test images' crop in pixels; None: whole images."""
    if choice is None:
        choice = contract["preprocess"]["crop"]
    if choice == "none":
        return None
    if type(choice) is not int or choice < 1:
        raise GenspotError(f"crop={choice}: give a number of pixels, or none for whole images")
    return choice


def _load(
    cfg: DictConfig, checkpoint: checkpoints.Checkpoint, contract: dict[str, Any]
) -> Detector:
    """The checkpoint's detector, built as its contract says."""
    network = checkpoint.build(contract["model"])
    hardware.exact_float32()
    detector: Detector = _partial(cfg.detector)(
        network=folded(network),
        mean=contract["preprocess"]["mean"],
        std=contract["preprocess"]["std"],
        contract=contract,
    )
    return detector


def _data(cfg: DictConfig, crop: int | None, **changes: Any) -> Any:
    """The data module, testing on `crop`; `changes` replace arguments, they do not merge."""
    node = cfg.datamodule.copy()
    for name, value in {"crop_test": crop, **changes}.items():
        OmegaConf.update(node, name, value, merge=False)
    with INBOX.leaving():
        return instantiate(node, _convert_="all")


def _prepare(data: pl.LightningDataModule, *stages: str) -> None:
    data.prepare_data()
    for stage in stages:
        data.setup(stage)


def _partial(node: DictConfig) -> Any:
    return instantiate(node, _partial_=True, _convert_="all")


def _trainer(cfg: DictConfig, **settings: Any) -> pl.Trainer:
    bar = TQDMProgressBar()
    callbacks = [*settings.pop("callbacks", []), bar]
    settings = {"logger": False, "enable_checkpointing": len(callbacks) > 1} | settings
    try:
        trainer: pl.Trainer = _partial(cfg.lightning)(**settings, callbacks=callbacks)
    except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
        reason = " ".join(str(error).split())
        mend = "trainer=auto takes what there is"
        if cfg.trainer.name == "auto":
            mend = "leave out what was changed of trainer.*, or choose another value"
        raise GenspotError(
            f"trainer={cfg.trainer.name} does not work here: {reason}; {mend}"
        ) from error
    hardware.refuse_misfits(trainer, cfg.trainer.sync_batchnorm)
    # Lightning's own handlers would be put before ours; it has no public way to leave them out.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def _callbacks(folder: Path) -> list[pl.Callback]:
    """The best checkpoint by validation accuracy (the earliest of equals), and the last; guards.

    The last is written after the best: a run that goes on from it finds the best of its epochs.
    """
    best = ModelCheckpoint(
        folder, filename="best", monitor="val/acc", mode="max", enable_version_counter=False
    )
    last = ModelCheckpoint(folder, filename="last", enable_version_counter=False)
    return [best, last, Finite(folder), Preemption(folder)]


def _check(cfg: DictConfig) -> None:
    """Refuse values that would only fail after hours of work."""
    if cfg.task.name != "predict" and not cfg.get("generator"):
        raise GenspotError("name at least one generator to test on: generator=[sitd,san]")
    for name, least, below in (
        ("seed", 0, 2**32),
        ("schedule.max_epochs", 1, 2**31),
        ("bootstrap.replicates", 1, 10**7),
        ("spectra", 1, 2**31),
    ):
        value = OmegaConf.select(cfg, name)
        if name == "spectra" and value is None:
            continue
        if type(value) is not int or not least <= value < below:
            raise GenspotError(f"{name}={value}: give a whole number from {least} on")
    for name in ("bootstrap.confidence", "schedule.optimizer.lr"):
        value = OmegaConf.select(cfg, name)
        if not isinstance(value, (int, float)) or not 0 < value < 1:
            raise GenspotError(f"{name}={value}: give a number between 0 and 1")


def _quiet() -> None:
    """Leave out what Lightning says of itself on every run, and tracebacks of full log files."""
    logging.raiseExceptions = False
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*treespec.*deprecated.*",
        ".*predict returned None.*",
        ".*recommended to use .self.log.*sync_dist=True.*",  # torchmetrics does so by itself
        ".*smaller than the logging interval.*",
        ".*your dataloader is not resumable.*",  # its sampler is: genspot.data.samplers.ShuffledShare
    ):
        warnings.filterwarnings("ignore", message)
