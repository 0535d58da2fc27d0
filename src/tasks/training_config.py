"""The configuration under which a checkpoint is tested: its own, where nothing else is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.names import NO_PROTOCOL
from genspot.common.protocols import OWN_PROTOCOL
from genspot.common.text import safe_repr
from genspot.detector.detector_file import DetectorFile
from genspot.detector.metadata import Metadata
from genspot.detector.settings import ENCODER_SETTING, ENCODER_WEIGHTS, ModelSettings
from genspot.tasks.composition import compose_again
from genspot.tasks.config import check_settings, model_settings
from genspot.tasks.model_name import check_model_name
from genspot.tasks.overrides import (
    command_line_overrides,
    overridden_keys,
    search_path_overrides,
)
from genspot.tasks.places import names_weights
from genspot.tasks.schema import plain

if TYPE_CHECKING:
    from genspot.detector.checkpoint import Checkpoint

OF_PHOTOS_ALONE = ("predict", "serve", "reference")
# Training sets that no test sets go with, and what the user has to name.
TO_NAME = {
    "folder": "test set, generator=folder test_set.path=PATH",
    "sets": "test sets, generator=[sitd,san]",
}


def with_training_config(cfg: DictConfig, metadata: Metadata) -> DictConfig:
    """Return the configuration with the checkpoint's own study, data, model config and protocol.

    So a checkpoint is tested on the generators that go with its training set, with the settings
    of its study, and on images that are prepared as those of its training. What the command line
    chooses takes precedence. Photos that are asked about have no part in the training's data,
    whose settings are not composed for them: that takes a fifth of a second.

    Raises:
        GenspotError: it was trained on a folder or on sets, and no test set is named.
    """
    overrides = command_line_overrides()
    keys = overridden_keys(overrides)
    from_checkpoint = []
    if not {"data", "experiments"} & set(keys):
        if metadata.study:
            from_checkpoint.append(f"experiments={metadata.study}")
        if metadata.data != "folder" and cfg.task.name not in OF_PHOTOS_ALONE:
            from_checkpoint.append(f"data={metadata.data}")
        named = metadata.study or {"generator", "test_sets"} & {key.split(".")[0] for key in keys}
        if cfg.task.name == "test" and metadata.data in TO_NAME and not named:
            raise GenspotError(
                f"trained on {metadata.data}: name the {TO_NAME[metadata.data]} or "
                "test_sets={NAME: PATH, …}"
            )
    custom = metadata.model.backbone is None or metadata.model.input is None
    if custom and "model" not in keys:
        from_checkpoint.append(f"model={metadata.model.name}")  # from the user's own config folder
    if from_checkpoint:
        cfg = compose_again([*from_checkpoint, *search_path_overrides(), *overrides])
        check_settings(cfg)
    unchosen = "protocol" not in keys and cfg.protocol == NO_PROTOCOL  # else a study chose it
    if unchosen or cfg.protocol == OWN_PROTOCOL:
        OmegaConf.update(cfg, "protocol", metadata.protocol)
    return cfg


def resolve_metadata(cfg: DictConfig, checkpoint: Checkpoint | DetectorFile) -> Metadata:
    """Return what the checkpoint is tested as: its own metadata, and what may be overridden.

    Args:
        cfg: as composed; only what the command line sets of `model` and `aug` counts.
        checkpoint: with the metadata of its training.

    Raises:
        GenspotError: an override contradicts the checkpoint, without allow_mismatch=true.
    """
    metadata = checkpoint.metadata
    keys = overridden_keys(command_line_overrides())
    if metadata.aug is None and "aug" in keys:  # a published file does not say
        metadata = replace(metadata, aug=cfg.aug.name)
    if names_weights(cfg.checkpoint) and "aug" in keys and cfg.aug.name != metadata.aug:
        raise GenspotError(
            f"checkpoint={cfg.checkpoint} was trained with aug={metadata.aug}, not aug="
            f"{cfg.aug.name}: leave aug out"
        )
    if plain(cfg, "model.weights") is not None and "model.weights" in keys:
        raise GenspotError(
            f"model.weights={cfg.model.weights} starts a training; task={cfg.task.name} takes "
            "checkpoint=PATH alone"
        )
    changed = [key for key in keys if key == "model" or key.startswith("model.")]
    if not changed:
        return metadata
    check_model_name(cfg)
    requested = model_settings(cfg)
    expected, existing = requested.as_dict(), metadata.model.as_dict()
    expected["trainable"] = existing["trainable"]  # makes no difference to a test
    _move_encoder(existing, expected, changed)
    if "model" not in changed:
        expected = _with_overrides(existing, expected, changed)
    if difference := _first_difference(existing, expected, "model"):
        if not cfg.allow_mismatch:
            raise GenspotError(
                f"{checkpoint.path} was trained with {difference}; leave model out, or insist "
                "with allow_mismatch=true"
            )
        return replace(metadata, model=ModelSettings.from_dict(expected))
    return replace(metadata, model=ModelSettings.from_dict(existing))


def _move_encoder(existing: dict[str, Any], expected: dict[str, Any], keys: list[str]) -> None:
    """Let both name the same weights of a frozen encoder: those of `expected` if `keys` do.

    They may lie elsewhere now. The checkpoint has their digest.
    """
    own, requested = existing["backbone"] or {}, expected["backbone"] or {}
    if ENCODER_WEIGHTS in own and ENCODER_WEIGHTS in requested:
        source, target = (requested, own) if ENCODER_SETTING in keys else (own, requested)
        target[ENCODER_WEIGHTS] = source[ENCODER_WEIGHTS]


def _with_overrides(
    existing: dict[str, Any], requested: dict[str, Any], keys: list[str]
) -> dict[str, Any]:
    """Return `existing` with the values of `requested` at the dotted `keys` (below "model")."""
    tree = OmegaConf.create(existing)
    for key in keys:
        below = key.partition(".")[2]
        if below == "backbone.weights":
            continue  # initial weights, which a trained detector has no use for
        OmegaConf.update(tree, below, OmegaConf.select(OmegaConf.create(requested), below))
    values: Any = OmegaConf.to_container(tree)
    arch = (existing["backbone"] or {}).get("arch")
    if "model.name" not in keys and arch and existing["name"].endswith(arch):
        # The models whose file names them after it.
        values["name"] = existing["name"].removesuffix(arch) + str(values["backbone"]["arch"])
    return dict(values)


def _first_difference(existing: Any, requested: Any, setting: str) -> str | None:
    """Return "setting=existing, not requested" for the first value that differs, or None."""
    if isinstance(existing, dict) and isinstance(requested, dict):
        for key in sorted(
            existing.keys() | requested.keys(), key=lambda key: (key != "name", key)
        ):
            pair = existing.get(key), requested.get(key)
            if difference := _first_difference(*pair, f"{setting}.{key}"):
                return difference
        return None
    if existing == requested:
        return None
    return f"{setting}={safe_repr(existing)}, not {safe_repr(requested)}"


def record(
    cfg: DictConfig,
    metadata: Metadata,
    crop: int | None,
    known: Mapping[str, Any] | None = None,
) -> None:
    """Make the configuration that is kept and logged say what is evaluated.

    `aug` and `crop` become words where their value would read as null.

    Args:
        cfg: is changed.
        metadata: of the checkpoint.
        crop: of the test images; None for whole images.
        known: settings of `data` that the training's run has recorded: what made the fakes, and
            which sets were left out. None: as `cfg` says.
    """
    if cfg.data.name != metadata.data:
        OmegaConf.update(cfg, "data", {"name": metadata.data}, merge=False)
    if OmegaConf.select(cfg, "data.num_classes") != metadata.num_classes:
        OmegaConf.update(cfg, "data.num_classes", metadata.num_classes, force_add=True)
    for key, value in (known or {}).items():
        OmegaConf.update(cfg, f"data.{key}", value, force_add=True)
    OmegaConf.update(cfg, "model", metadata.model.as_dict(), merge=False)
    OmegaConf.update(cfg, "aug", {"name": metadata.aug or "unknown"}, merge=False)
    OmegaConf.update(cfg, "crop", crop or "none")
