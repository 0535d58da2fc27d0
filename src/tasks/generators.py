"""The test sets: the chosen files of conf/generator/, and the user's own, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.names import name_key, shown
from genspot.evaluation.results import MEAN_ROWS
from genspot.tasks.kinds import NAME
from genspot.tasks.overrides import command_line_overrides, parse_overrides
from genspot.tasks.schema import GENERATOR, check_keys, plain

# How the files whose sets the command line defines are given another name.
NAMES = {"folder": "test_set.name=NAME", "hub": "hub.name=NAME"}


def generator_specs(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Return the chosen files of conf/generator/ by their keys, all of `GENERATOR` filled in.

    Keys that a file leaves out are None, but for `name` (the file's key), `title` (the name)
    and `classes` ("any").

    Raises:
        GenspotError: a file has another key, or a value of another kind, or no `path`; two sets
            have one name; or `clusters` fits neither `classes` nor the other sets of `real_set`.
    """
    chosen = plain(cfg, "generator")  # None with generator=[]
    if not isinstance(chosen, dict | None):
        raise GenspotError(f"generator={shown(chosen)}: give a list, generator=[sitd,san]")
    specs = {key: _generator(key, values) for key, values in (chosen or {}).items()}
    _check_distinct(specs, plain(cfg, "test_sets") or {})
    _check_clusters(specs)
    _check_files(len(specs))
    return specs


def _generator(key: Any, values: Any) -> dict[str, Any]:
    """Return the checked settings of one file."""
    setting = f"generator.{shown(key)}"
    NAME.check("a key of generator, which is a name", key)
    if key in GENERATOR and not isinstance(values, dict):
        raise GenspotError(
            f"{setting}={shown(values)}: a file of generator/ gives its set a name: NAME: "
            f"{{{key}: {shown(values)}}}"
        )
    if not isinstance(values, dict) or "path" not in values:
        raise GenspotError(f"{setting} needs {setting}.path, the folder of its images")
    if "published" in values:  # of versions before conf/baseline/
        raise GenspotError(
            f"{setting}.published: published figures have files of their own, one a publication: "
            "move them to baseline/NAME.yaml beside generator/, as docs/test_sets.md says"
        )
    check_keys(setting, values, list(GENERATOR))
    for name, value in values.items():
        GENERATOR[name].check(f"{setting}.{name}", value)
    if values.get("val") and not values.get("train"):
        raise GenspotError(f"{setting}.val needs {setting}.train, the training images")
    spec = {**dict.fromkeys(GENERATOR), "classes": "any", **values}
    spec["name"] = spec["name"] or key
    spec["title"] = spec["title"] or spec["name"]
    return spec


def _check_distinct(specs: dict[str, dict[str, Any]], own: Mapping[Any, Any]) -> None:
    """Raise if two test sets have one name, or one that of the means.

    Raises:
        GenspotError: they would share a row and files. Case does not distinguish them everywhere.
    """
    keys: dict[str, str] = {}
    for key, spec in specs.items():
        name = spec["name"]
        folded = name_key(name)
        if folded in MEAN_ROWS.values():
            raise GenspotError(
                f"{origin(key, own)}: the row of the means has the name {name}; give "
                f"{_another_name(key, own)}"
            )
        if folded in keys:
            first = keys[folded]
            names = dict.fromkeys((specs[first]["name"], name))
            raise GenspotError(
                f"{origin(first, own)} and {origin(key, own)} have one name, "
                f"{' and '.join(names)}; case does not count: give {_another_name(key, own)}"
            )
        keys[folded] = key


def is_own(key: str, own: Mapping[Any, Any]) -> bool:
    """Return whether the test set `key` is one of `own`, the setting `test_sets`, or a part."""
    return key in own or any(key.startswith(f"{one}.") for one in own)


def origin(key: str, own: Mapping[Any, Any]) -> str:
    """Return where the test set `key` is defined: in the setting `test_sets`, `own`, or a file."""
    return f"{'test_sets' if is_own(key, own) else 'generator'}.{key}"


def _another_name(key: str, own: Mapping[Any, Any]) -> str:
    """Return what the user has to give for another name of the test set `key`."""
    if key in own:
        return "another key in test_sets"
    if any(key.startswith(f"{one}.") for one in (*own, *NAMES)):
        return "one generator of the table, test_sets={NAME: {path: TABLE, only: GENERATOR}}"
    return NAMES.get(key, f"+generator.{key}.name=NAME")


def _check_clusters(specs: dict[str, dict[str, Any]]) -> None:
    """Raise if a set has no class folders to be its clusters, or shares reals that have others.

    Raises:
        GenspotError: its intervals would say nothing, or those of the means would be too narrow.
    """
    by_real_set: dict[str, str] = {}
    for key, spec in specs.items():
        if spec["clusters"] and spec["classes"] is None:
            raise GenspotError(
                f"generator.{key}.clusters={spec['clusters']} needs class folders, one for each "
                f"photograph: give generator.{key}.classes=any"
            )
        if spec["real_set"] is None:
            continue
        first = by_real_set.setdefault(spec["real_set"], key)
        if spec["clusters"] != specs[first]["clusters"]:
            raise GenspotError(
                f"generator.{first} and generator.{key} share the real images of "
                f"{spec['real_set']}: give both clusters=class, or neither"
            )


def _check_files(count: int) -> None:
    """Raise if there are fewer sets than the command line chooses files."""
    if not HydraConfig.initialized():
        return
    for override in parse_overrides(command_line_overrides()):
        if override.key_or_group != "generator":
            continue
        files = override.value()
        files = files if isinstance(files, list) else [files]
        if len(files) > count:
            raise GenspotError(
                f"generator=[{','.join(map(str, files))}]: a file is empty, or two define one "
                "set; name each once, and let each file begin with a key of its own"
            )
