"""The configuration of one run, composed by Hydra from conf/, experiments/ and overrides."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask a server on import
# Without a network, the client of Hugging Face would log each of its tries.
os.environ.setdefault("HF_HUB_VERBOSITY", "error")

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from genspot.common.errors import GenspotError
from genspot.common.names import shown
from genspot.runtime.run_id import run_id
from genspot.tasks.commands import quoted
from genspot.tasks.home import CONFIG_DIR, expand_home, quote_home
from genspot.tasks.overrides import refuse_open_brackets
from genspot.tasks.paths import CONF, EXPERIMENTS

MAX_FOLDER_NAME = 200  # bytes, beside what stands before and after it


def folder_name(text: object) -> str:
    """Return `text`, which becomes part of the name of a run's folder.

    Raises:
        GenspotError: it would be another folder, or cannot be the name of one.
    """
    name = str(text)
    if "/" in name or not name.isprintable() or len(name.encode()) > MAX_FOLDER_NAME:
        raise GenspotError(
            f"{shown(name)} cannot be part of the name of a run's folder, which data.name, "
            "aug.name and model.name (or task.folder) make: give short names without /"
        )
    return name


def ablated(leave_out: Sequence[str], discriminator: str) -> str:
    """Return the end of the names of training sets by a part of the random simulators.

    So ablations do not share their folders; "" of all simulators.
    """
    parts = ["without", *sorted(map(str, leave_out))] if leave_out else []
    parts += [discriminator, "discriminator"] if discriminator != "any" else []
    return "_".join(["", *parts])


def working_folder() -> str:
    """Return the path of the working directory.

    Raises:
        GenspotError: settings cannot hold it.
    """
    folder = os.getcwd()
    if "${" in folder:
        raise GenspotError(
            f"the working directory {shown(folder)} has ${{ in its name, which settings take for "
            "a reference to another one: work in another folder"
        )
    return folder


# The values are kept in the configuration: all jobs of a sweep have the folder of its start.
OmegaConf.register_new_resolver("run_id", run_id, use_cache=True, replace=True)
OmegaConf.register_new_resolver("cwd", working_folder, use_cache=True, replace=True)
OmegaConf.register_new_resolver("folder_name", folder_name, replace=True)
OmegaConf.register_new_resolver("ablated", ablated, replace=True)


def register_studies() -> None:
    """Make the files of experiments/ choices of the group `experiments`, beside those of conf/."""
    for file in sorted(EXPERIMENTS.glob("*.yaml")):
        ConfigStore.instance().store(
            group="experiments", name=file.stem, node=OmegaConf.load(file), package="_global_"
        )


def prepare_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command line's arguments as Hydra takes them: see `quote_home`.

    Options come first: its parser refuses overrides on both sides of one. experiments=null, the
    default, is left out: it takes null for no group's choice.

    Raises:
        GenspotError: an argument ends within brackets.
    """
    refuse_open_brackets(arguments)
    options: list[str] = []
    overrides: list[str] = []
    for number, argument in enumerate(arguments):
        is_value = number > 0 and arguments[number - 1] in CONFIG_DIR
        is_override = not argument.startswith("-") and ("=" in argument or argument[:1] == "~")
        (overrides if is_override and not is_value else options).append(argument)
    return quote_home([*options, *(one for one in overrides if one != "experiments=null")])


def find_task(cfg: DictConfig) -> Callable[[DictConfig], object]:
    """Import and return the function `task.run`, with PyTorch and all else that it needs.

    Raises:
        GenspotError: there is no such function.
    """
    name = cfg.task.run
    try:
        # With a colon, it does not hide why an import fails.
        function = pkgutil.resolve_name(":".join(str(name).rsplit(".", 1)))
    except ModuleNotFoundError as error:
        if error.name is None or not str(name).startswith(error.name):
            raise  # of another package, which the task needs
        function = None
    except (AttributeError, ValueError):
        function = None
    if not callable(function):
        raise GenspotError(f"task.run={shown(name)}: no such function; task=train, test, …")
    task: Callable[[DictConfig], object] = function
    return task


def compose_again(overrides: Sequence[str]) -> DictConfig:
    """Return the configuration of other `overrides`, within a run."""
    cfg = compose("config", list(overrides))
    expand_home(cfg)
    return cfg


@contextmanager
def composed(*overrides: str, config_dir: str | Path | None = None) -> Iterator[DictConfig]:
    """Yield the configuration of a run with `overrides`, as the command line composes it.

    `paths.output` is the folder of the run, which is not made. Within the block, `HydraConfig`
    holds what Hydra knows of the run, and `compose_again` can be called. Afterwards Hydra's state
    is what it was before.

    Args:
        overrides: as on the command line.
        config_dir: a folder of the user's own with further choices, as `--config-dir`.
    """
    register_studies()
    arguments = prepare_arguments(overrides)
    if config_dir is not None:
        folder = os.path.abspath(os.path.expanduser(config_dir))
        if not os.path.isdir(folder):
            raise GenspotError(f"config_dir={folder}: no such folder")
        arguments.append(f"hydra.searchpath=[{quoted(f'file://{folder}')}]")
    hydra_before, config_before = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", arguments, return_hydra_config=True)
            expand_home(cfg)
            HydraConfig.instance().set_config(cfg)
            with read_write(cfg.hydra.runtime), open_dict(cfg.hydra.runtime):
                cfg.hydra.runtime.output_dir = os.path.abspath(cfg.hydra.run.dir)
            HydraConfig.instance().set_config(cfg)
            own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
            yield own
    finally:
        GlobalHydra.instance().hydra = hydra_before
        HydraConfig.instance().cfg = config_before
