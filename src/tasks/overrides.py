"""The overrides of a command line, parsed by Hydra's own parser."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode

from genspot.common.errors import GenspotError

# In Hydra's grammar, texts in quotes; and these or signs that stand for themselves.
IN_QUOTES = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
LITERAL = re.compile(rf"\\.|{IN_QUOTES}", re.S)

# Settings that one or two tasks alone read.
OF_TASKS = {
    **dict.fromkeys(("all", "archives", "recheck"), ("download",)),
    "format": ("export", "predict"),
    "fpr": ("predict",),
    "combine": ("predict",),
    "repo": ("share",),
    "inputs": ("export", "predict", "reference", "verify"),
    "reference": ("predict", "reference", "serve"),
    "deliveries": ("predict",),
    "prior": ("predict",),
    "calibration": ("predict", "serve"),
    "runs": ("report", "share"),
    "report": ("report",),
}

# Settings, or sections of them, that the tasks read which score photos.
OF_PHOTOS = (
    *("task", "checkpoint", "reference", "model", "allow_mismatch", "crop", "protocol", "paths"),
    *("max_megapixels", "max_whole_megapixels", "quiet", "experiments"),
)


def refuse_open_brackets(arguments: Sequence[str]) -> None:
    """Check that no override ends within brackets, as where a shell has split it at a space.

    Raises:
        GenspotError: one does.
    """
    for number, argument in enumerate(arguments):
        if argument.startswith("-") or "=" not in argument or not _open_brackets(argument):
            continue
        for end in range(number + 2, len(arguments) + 1):
            whole = " ".join(arguments[number:end])
            if not _open_brackets(whole):
                raise GenspotError(
                    f"cannot read {argument!r}: put double quotes around the whole, "
                    f'"{whole}"; the shell splits it at spaces otherwise'
                )
        key = argument.partition("=")[0]
        raise GenspotError(
            f"cannot read {argument!r}: a bracket is not closed; put double quotes around the "
            f'whole, "{key}=…"'
        )


def _open_brackets(text: str) -> bool:
    plain = LITERAL.sub("", text)
    return sum(map(plain.count, "{[(")) > sum(map(plain.count, "}])"))


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


def check_plain_run() -> None:
    """Check that a run that is no sweep has no settings of one, which Hydra would ignore.

    Raises:
        GenspotError: the command line names a sweeper or a launcher.
    """
    job = HydraConfig.get()
    for one in parse_overrides(list(job.overrides.hydra)) if job.mode != RunMode.MULTIRUN else ():
        if one.key_or_group.replace("/", ".").startswith(("hydra.sweeper", "hydra.launcher")):
            raise GenspotError(f"{one.input_line} is of a sweep: add -m")


def check_tasks(task: str) -> None:
    """Check that the command line has no setting that only other tasks than `task` read.

    Raises:
        GenspotError: it has one.
    """
    for key in overridden_keys(command_line_overrides()):
        tasks = OF_TASKS.get(key.partition(".")[0], (task,))
        if task not in tasks:
            names = " and ".join(f"task={one}" for one in tasks)
            raise GenspotError(
                f"{key} is a setting of {names}, without effect on task={task}: leave it out"
            )


def refuse_unread(task: str, read: Sequence[str]) -> None:
    """Check that the command line has no setting that `task` does not read.

    Args:
        task: its name.
        read: settings that it reads, or sections of them.

    Raises:
        GenspotError: it has one.
    """
    for key in overridden_keys(command_line_overrides()):
        if not any(f"{key}.".startswith(f"{one}.") for one in read):
            raise GenspotError(f"{key} is without effect on task={task}: leave it out")
