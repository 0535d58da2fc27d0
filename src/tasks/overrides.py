"""The overrides of a command line, parsed by Hydra's own parser."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Return the parsed form of overrides such as "model=resnet18" or "+trainer.max_steps=3".

    Raises:
        hydra.errors.OverrideParseException: one of them cannot be parsed.
    """
    return OverridesParser.create().parse_overrides(overrides=list(overrides))


def overridden_keys(overrides: Sequence[str]) -> list[str]:
    """Return the keys that `overrides` set, groups as dotted keys: "model", "model.train.crop"."""
    return [item.key_or_group.replace("/", ".") for item in parse_overrides(overrides)]


def command_line_overrides() -> list[str]:
    """Return the overrides of this run's command line, without those of Hydra itself."""
    return list(HydraConfig.get().overrides.task)


def search_path_overrides() -> list[str]:
    """Return the override that names the user's own config folders; --config-dir needs none."""
    overrides = parse_overrides(list(HydraConfig.get().overrides.hydra))
    return [str(item.input_line) for item in overrides if item.key_or_group == "hydra.searchpath"]
