"""The setting `test_sets`, and tables of several generators, as entries of `generator`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from genspot.common.errors import GenspotError
from genspot.common.names import shown
from genspot.data.settings import Labels
from genspot.tasks.generators import origin
from genspot.tasks.kinds import NAME, PLACE
from genspot.tasks.overrides import IN_QUOTES, command_line_overrides, overridden_keys
from genspot.tasks.places import with_folder
from genspot.tasks.schema import plain

TABLES = (".csv", ".tsv", ".parquet", ".arrow")  # endings of files that may have a column of them
# What a value of Hydra's grammar consists of: texts in quotes, brackets, and what separates.
TOKEN = re.compile(rf"""{IN_QUOTES}|[][{{}}():,]|[^][{{}}():,'"]+|.""", re.S)


def add_test_sets(cfg: DictConfig, labels: Labels) -> None:
    """Make the sets of `test_sets` entries of `cfg.generator`, in place.

    They replace the generators that the data set or a study names; not those that the command
    line chooses, nor the set of `test_set.path`. Then each entry whose images come from a table
    with a column of generators is replaced by one entry for each of these, KEY.GENERATOR.

    Raises:
        GenspotError: a set has no name or no place of images, or two sets have one name.
    """
    _refuse_repeated_names()
    chosen = plain(cfg, "generator") or {}
    if not isinstance(chosen, dict):
        return  # `generator_specs` says what is wrong
    places = plain(cfg, "test_sets") or {}
    sets = {key: _entry(key, place, cfg.paths.datasets) for key, place in places.items()}
    sets = _with_real_sets(sets)
    _refuse_further_settings(sets)
    kept = chosen if not sets or _chooses_generators() else {}
    if cfg.test_set.path is not None and "folder" in chosen:
        kept = kept | {"folder": chosen["folder"]}
    for key in sets:
        if kept.get(key, sets[key]) != sets[key]:
            raise GenspotError(f"test_sets.{key}: generator={key} has this name; give another")
    entries = dict(
        part
        for key, entry in (kept | sets).items()
        for part in _by_generator(key, entry, origin(shown(key), sets), labels)
    )
    if entries != chosen:
        nodes = cfg.get("generator") or {}
        same = {key: chosen.get(key) == entry for key, entry in entries.items()}
        with read_write(cfg), open_dict(cfg):
            cfg.generator = {
                key: nodes[key] if same[key] else entry for key, entry in entries.items()
            }


def _entry(key: Any, place: Any, datasets: str) -> dict[str, Any]:
    """Return the settings of one of `test_sets`, as a file of conf/generator/ has them."""
    NAME.check("a key of test_sets, which is a name", key)
    PLACE.check(f"test_sets.{key}", place)
    return {"path": with_folder(place, datasets), "classes": "any"}


def _with_real_sets(sets: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Return the sets; those with real images from one place share them, as `real_set` says.

    So the interval of the mean does not take them for different images.
    """
    keys: dict[str, list[Any]] = {}
    for key, entry in sets.items():
        place = entry["path"]
        if isinstance(place, dict) and (place.get("real") or place.get("only")):
            table = {name: value for name, value in place.items() if name != "only"}
            keys.setdefault(str(place.get("real") or table), []).append(key)
    shared = {key: str(several[0]) for several in keys.values() if several[1:] for key in several}
    return {
        key: {**entry, "real_set": shared[key]} if key in shared else entry
        for key, entry in sets.items()
    }


def _by_generator(key: Any, entry: Any, setting: str, labels: Labels) -> Iterator[tuple[Any, Any]]:
    """Yield the entry, or one for each generator of its table.

    Raises:
        GenspotError: the table cannot be read, or a generator's name is not fit for files.
    """
    place = entry.get("path") if isinstance(entry, dict) else None
    table = place if isinstance(place, dict) else {"path": place}
    found = _generators(key, table, labels)
    for name in found.names if found else ():
        NAME.check(f"{setting}: a generator in its table", name)
        one = {"name": name, "title": name, "path": {**table, "only": name}}
        real_set = {"real_set": str(key)} if found.shared_reals else {}
        yield f"{key}.{name}", {**entry, **one, **real_set}
    if not (found and found.names):
        yield key, entry


def _generators(key: Any, table: Mapping[str, Any], labels: Labels) -> Any:
    """Return the generators of a table (`genspot.data.lists.Generators`); None in other places."""
    place = table.get("path")
    chosen = table.get("generator")  # the column; null: the images are those of one generator
    if "only" in table or ("generator" in table and chosen is None):
        return None
    if not (chosen or (isinstance(place, str) and place.lower().endswith(TABLES))):
        return None
    from genspot.data.places import find_generators  # here: folders do without it

    return find_generators(table, str(key), labels)


def _chooses_generators() -> bool:
    """Return whether the command line chooses generators."""
    return HydraConfig.initialized() and "generator" in overridden_keys(command_line_overrides())


def _refuse_repeated_names() -> None:
    """Raise GenspotError if the command line names one test set twice: Hydra keeps the last."""
    for text in command_line_overrides() if HydraConfig.initialized() else []:
        setting, _, value = text.partition("=")
        if setting.lstrip("+") == "test_sets":
            names = list(top_level_keys(value))
            for name in names:
                if names.count(name) > 1:
                    raise GenspotError(f"test_sets has two sets {shown(name)}: give other names")


def _refuse_further_settings(sets: Mapping[Any, Any]) -> None:
    """Raise GenspotError if the command line gives a set what only files of generators have."""
    for key in overridden_keys(command_line_overrides()) if HydraConfig.initialized() else ():
        if name := next((name for name in sets if key.startswith(f"generator.{name}.")), None):
            raise GenspotError(
                f"{key}: test_sets has the images of {name} and no more; for further settings "
                "give it a file in conf/generator/, as docs/testing.md says"
            )


def top_level_keys(text: str) -> list[str]:
    """Return the keys of a mapping {KEY: VALUE, …} of Hydra's grammar, in order, repeated too."""
    depth, keys, key = 0, list[str](), ""
    expected = False  # a key, before the next colon
    for token in TOKEN.findall(text):
        depth += (token in "{[(") - (token in "}])")
        if depth == 1 and token in "{,":
            expected, key = True, ""
        elif depth == 1 and token == ":" and expected:
            expected = False
            keys.append(key.strip())
        else:
            key += token
    return keys


def is_folder(key: str) -> bool:
    """Return whether a key of `cfg.generator` is that of `test_set.path`, or of a part of it."""
    return key.partition(".")[0] == "folder"
