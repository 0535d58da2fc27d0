"""Weights by name: embedded, published/NAME of the table conf/download/, and hub/OWNER/NAME."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.names import shown
from genspot.common.ranks import is_rank_zero
from genspot.detector.checkpoint import Checkpoint, load_checkpoint
from genspot.detector.embedded_file import embedded_detector
from genspot.detector.initial_weights import HINT, SETTING
from genspot.detector.metadata import Metadata
from genspot.detector.settings import ModelSettings
from genspot.download.client import Client
from genspot.download.progress import Progress
from genspot.download.remote import RemoteFile
from genspot.download.table import Weights
from genspot.download.whole_file import fetch_file, is_verified, missing_bytes
from genspot.tasks.composition import compose_again, composed
from genspot.tasks.config import model_settings
from genspot.tasks.downloads import read_downloads
from genspot.tasks.hub_models import HUB, hub_file
from genspot.tasks.overrides import search_path_overrides
from genspot.tasks.paths import CONF
from genspot.tasks.places import EMBEDDED, PUBLISHED, names_weights

log = logging.getLogger(__name__)

IMAGENET = "imagenet"  # the value of model.backbone.weights
# Backbones that start from the weights of one of torchvision's networks; None: of that of `arch`.
IMAGENET_BACKBONES = {"resnet": None, "resnet50_antialiased": "resnet50"}


def default_folder() -> Path:
    """Return the folder of published weights where no setting of a run names another."""
    return Path(OmegaConf.load(CONF / "config.yaml").paths.weights).expanduser()


def local_file(weights: str | Path, folder: str | Path, setting: str, quiet: bool = False) -> Path:
    """Return the file of `weights`; one that they name is fetched where it is not there yet.

    Args:
        weights: embedded, published/NAME, hub/OWNER/NAME[@REVISION], or the path of a file.
        folder: of published weights.
        setting: that gave `weights`, for messages.
        quiet: show no progress.

    Raises:
        GenspotError: there are no such weights, they cannot be had, or another file is in the
            place of theirs.
    """
    if not names_weights(weights):
        return Path(weights)
    if weights == EMBEDDED:
        return embedded_detector()
    if str(weights).startswith(HUB):
        return hub_file(str(weights), setting)
    return fetch_weights(published_entry(str(weights), setting), Path(folder), quiet)


def published_entry(weights: str, setting: str) -> Weights:
    """Return the entry of the table that published/NAME names.

    Raises:
        GenspotError: there is none; those that there are, are named.
    """
    table = read_downloads()
    entry = table.get(weights.removeprefix(PUBLISHED))
    if isinstance(entry, Weights):
        return entry
    known = [f"{PUBLISHED}{name}" for name, one in table.items() if isinstance(one, Weights)]
    raise GenspotError(
        f"{setting}={shown(weights)}: no such weights; there are {', '.join(known)}, or give the "
        "path of a file"
    )


def load_named_checkpoint(
    weights: str | Path | None,
    folder: str | Path,
    setting: str = "checkpoint",
    quiet: bool = False,
) -> Checkpoint:
    """Return the checkpoint that `weights` are, see `local_file`.

    What the table says of a published file is known of it: its model, data and augmentation.

    Raises:
        GenspotError: see `local_file` and `load_checkpoint`; or it is no detector.
    """
    if weights is None or not names_weights(weights) or not str(weights).startswith(PUBLISHED):
        path = None if weights is None else local_file(weights, folder, setting, quiet)
        return load_checkpoint(path, setting)
    entry = published_entry(str(weights), setting)
    if entry.data is None:
        raise GenspotError(
            f"{setting}={weights} is no detector, but weights that a training starts from: "
            f"model.weights={weights}"
        )
    known = Metadata(entry.data, None, entry.aug, None, None, _model(entry.model))
    checkpoint = load_checkpoint(fetch_weights(entry, Path(folder), quiet), setting, known)
    _check_entry(entry, checkpoint)
    log.info("%s is %s", checkpoint.path, entry.title)
    return checkpoint


def with_initial_weights(cfg: DictConfig, model: ModelSettings) -> ModelSettings:
    """Return `model` with the file of its backbone's weights where it names them.

    These are published/NAME, hub/OWNER/NAME, and ImageNet's of a network that the table
    has; torchvision itself fetches those of its others.

    Raises:
        GenspotError: see `local_file`.
    """
    backbone = model.backbone or {}
    weights = backbone.get("weights")
    if weights == IMAGENET and backbone.get("name") in IMAGENET_BACKBONES:
        network = IMAGENET_BACKBONES[backbone["name"]] or backbone.get("arch")
        if f"{IMAGENET}_{network}" not in read_downloads():
            return model
        weights = f"{PUBLISHED}{IMAGENET}_{network}"
    if not isinstance(weights, str) or not names_weights(weights):
        return model
    try:
        path = local_file(weights, cfg.paths.weights, SETTING, cfg.quiet)
    except GenspotError as error:
        raise GenspotError(f"{error}; {HINT}") from error
    return replace(model, backbone=backbone | {"weights": str(path)})


def fetch_weights(entry: Weights, folder: Path, quiet: bool) -> Path:
    """Return the verified file of `entry`, fetched to `folder` where it is not there yet.

    A file of torchvision may also lie in the folder of its own downloads.

    Raises:
        GenspotError: it cannot be had, or another file is in its place.
    """
    (file,) = entry.files
    path = folder / file.name
    if is_verified(path, file.size, file.sha256):
        return path
    if found := _file_of_torchvision(entry):
        return found
    log.info("%s%s: %s", PUBLISHED, entry.name, entry.title)
    log.info("licence: %s; source: %s", entry.licence, entry.source)
    total = missing_bytes(path, file.size, file.sha256)
    try:
        hidden = quiet or not is_rank_zero()  # the others wait
        with Client() as client, Progress(file.name, total, hidden) as progress:
            fetch_file(RemoteFile(client, file, progress), path, progress)
    except GenspotError as error:
        raise GenspotError(f"{error}; {file.by_hand(folder)}") from error
    log.info("it is %s: %s bytes, SHA-256 %s", path, f"{file.size:,}", file.sha256)
    return path


def _file_of_torchvision(entry: Weights) -> Path | None:
    """Return the file of `entry` that torchvision has downloaded, if it is right."""
    (file,) = entry.files
    path = Path(torch.hub.get_dir(), "checkpoints", file.name)
    try:
        return path if is_verified(path, file.size, file.sha256) else None
    except GenspotError as error:
        log.warning("not used: %s", error)
        return None


def _model(name: str) -> ModelSettings:
    """Return the model of a file of conf/model/, or of the user's own config folder."""
    if HydraConfig.initialized():
        cfg = compose_again([f"model={name}", *search_path_overrides()])
        return model_settings(cfg).without_initial_weights()
    with composed(f"model={name}") as cfg:
        return model_settings(cfg).without_initial_weights()


def _check_entry(entry: Weights, checkpoint: Checkpoint) -> None:
    """Check that a file that says what it is says the same as its entry.

    Raises:
        GenspotError: it does not.
    """
    own = checkpoint.metadata
    pairs = {"model": (entry.model, own.model.name), "data": (entry.data, own.data)}
    for key, (expected, found) in (pairs | {"aug": (entry.aug, own.aug)}).items():
        if expected != found:
            raise GenspotError(
                f"download/{entry.name}.yaml: {key}={shown(expected)}, but {checkpoint.path} says "
                f"{key}={shown(found)}: correct the entry"
            )
