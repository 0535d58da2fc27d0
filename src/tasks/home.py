"""`~` and `~user` at the beginning of settings: home folders, as in a shell."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write

from genspot.tasks.commands import quoted
from genspot.tasks.overrides import IN_QUOTES

CONFIG_DIR = ("--config-dir", "-cd")
# A value, or an element of one, that begins with ~ and has no quotes: checkpoint=~/a,
# runs=[~/a,~/b], "a={path: ~/b}". It may contain ${interpolations}.
VALUE = re.compile(r"""([=,\[]|:\s|\w:(?=~))(\s*)((?:file://)?~(?:\$\{[^{}]*\}|[^,\[\]{}"'])*)""")
QUOTED = re.compile(f"({IN_QUOTES})")


def quote_home(arguments: Sequence[str]) -> list[str]:
    """Return a command line's arguments with quotes around values that begin with ~.

    Hydra's grammar knows ~ only in front of a setting, where it deletes. The option
    `--config-dir`, which is no setting, and hydra.searchpath, which Hydra reads before all other
    settings, are expanded.
    """
    quoted = []
    for number, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in CONFIG_DIR and equals:
            quoted.append(f"{option}={os.path.expanduser(value)}")
        elif number and arguments[number - 1] in CONFIG_DIR:
            quoted.append(os.path.expanduser(argument))
        else:
            parts = enumerate(QUOTED.split(argument))
            quoted.append(
                "".join(part if at % 2 else VALUE.sub(r'\1\2"\3"', part) for at, part in parts)
            )
        if option.lstrip("+") == "hydra.searchpath":
            home = r"""(?<=["'])(file://)?(~[^/"']*)"""
            quoted[-1] = re.sub(
                home, lambda at: (at[1] or "") + os.path.expanduser(at[2]), quoted[-1]
            )
    return quoted


def expand_home(cfg: DictConfig) -> None:
    """Replace ~ and ~user at the beginning of every value of `cfg`, in place.

    Values that begin otherwise stay: ./~ is a folder of that name. So do those of users whom
    the system does not know.
    """
    with read_write(cfg), open_dict(cfg):
        _expand(cfg)


def _expand(node: DictConfig | ListConfig) -> None:
    plain: Any = OmegaConf.to_container(node, resolve=False)
    for key, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
        if isinstance(value, str) and value.startswith("~"):
            node[key] = os.path.expanduser(value)
        elif isinstance(value, dict | list) and value:
            _expand(node[key])


class ExpandHome(Callback):
    """Expands the settings of a run, and the folder of a sweep, before Hydra makes folders."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        expand_home(config)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        before = config.hydra.sweep.dir
        expand_home(config)
        if config.hydra.sweep.dir != before:
            # Hydra composes each job's configuration again.
            with read_write(config), open_dict(config):
                folder = quoted(config.hydra.sweep.dir)
                config.hydra.overrides.hydra.append(f"hydra.sweep.dir={folder}")
