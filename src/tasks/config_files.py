"""Files of conf/ that are all read, and the user's own beside them: no choices of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genspot.common.errors import GenspotError
from genspot.common.names import shown
from genspot.common.text import printable
from genspot.tasks.kinds import SECTION, Kind
from genspot.tasks.paths import CONF


def config_folders() -> list[Path]:
    """Return the folders whose files are choices of this run: conf/, then the user's own."""
    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    paths = [Path(one.path) for one in sources if one.schema == "file"]
    return [*dict.fromkeys(path.resolve() for path in (CONF, *paths))]


def all_files(group: str, what: str) -> dict[str, Path]:
    """Return the files GROUP/NAME.yaml of all config folders by NAME, in the order of the names.

    Args:
        group: the folder within conf/ and the user's own.
        what: an entry is, for the message.

    Raises:
        GenspotError: two files have one name.
    """
    files: dict[str, Path] = {}
    for folder in config_folders():
        for file in (folder / group).glob("*.yaml"):
            if file.stem in files:
                raise GenspotError(
                    f"{file} has the name of {files[file.stem]}: give {what} another"
                )
            files[file.stem] = file
    return {name: files[name] for name in sorted(files)}


def choices(group: str) -> set[str]:
    """Return the names of the files of a group, of all config folders."""
    return {file.stem for folder in config_folders() for file in (folder / group).glob("*.yaml")}


def read_file(file: Path) -> Any:
    """Return the content of a YAML file as plain values.

    Raises:
        GenspotError: it cannot be read.
    """
    try:
        return OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    except RecursionError:
        raise GenspotError(f"{file} cannot be read: a value holds itself") from None
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        reason = printable(" ".join(str(error).split()))
        raise GenspotError(f"{file} cannot be read: {reason}") from error


def check_section(
    where: str,
    values: Any,
    kinds: Mapping[str, Kind],
    required: Iterable[str],
    separator: str = ": ",
) -> None:
    """Raise GenspotError unless `values` has the `required` keys, and values of the `kinds`."""
    if not SECTION.accepts(values):
        raise GenspotError(f"{where}: give {', '.join(kinds)}")
    required = list(required)
    for key in required:
        if key not in values:
            raise GenspotError(f"{where}{separator}{key} is missing; give {', '.join(required)}")
    for key, value in values.items():
        if key not in kinds:
            raise GenspotError(
                f"{where}{separator}{shown(key)} is no key; there are: {', '.join(kinds)}"
            )
        kinds[key].check(f"{where}{separator}{key}", value)
