"""A user's mistake in one line: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
import errno
import re
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from yaml import YAMLError

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.tasks.paths import CONF, EXPERIMENTS

USER_ERRORS = (GenspotError, HydraException, OmegaConfBaseException, YAMLError)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
# Of Hydra's plugins that are extras. It does not know a plugin that is missing.
PLUGINS = {
    f"hydra/launcher/{name}": str(
        missing_extra(f"hydra/launcher={name}", "hydra-submitit-launcher", "slurm")
    )
    for name in ("submitit_slurm", "submitit_local")
} | {
    "hydra/sweeper/optuna": str(
        missing_extra("hydra/sweeper=optuna", "hydra-optuna-sweeper", "optuna")
    ),
    "hydra/launcher/ray": "hydra/launcher=ray needs Ray, in a checkout: make ray; elsewhere: "
    "pip install ray==2.60.0, then pip install --no-deps hydra-ray-launcher==1.2.2",
}
NO_CHOICES = {  # folders of conf/
    "baseline": "baseline: files of conf/baseline/ are not chosen; tests read all of them",
    "download": "download: files of conf/download/ are not chosen; data=NAME and "
    "generator=[NAME,…] say which of them task=download takes",
}
OTHER_FOLDERS = (
    "other places: hydra.run.dir=PATH for this run, paths.runs=PATH for all runs, "
    "paths.datasets=PATH for data"
)


def format_error(error: BaseException) -> str:
    """Return the line for `error`, one of `USER_ERRORS` or what a function below returned."""
    cause: BaseException | None = error
    while cause and not isinstance(cause, GenspotError):  # raised in a resolver or a constructor
        cause = cause.__cause__ or cause.__context__
    if cause:
        return str(cause)
    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if (plugin := f"{group}/{name}") in PLUGINS:
            return PLUGINS[plugin]
        # Hydra gives no options where a list of choices is wrong.
        folder = EXPERIMENTS if group == "experiments" else CONF / group
        options = error.options or [file.stem for file in folder.glob("*.yaml")]
        return f"no {name!r} in {group or 'conf'}/{suggest_choice(name, options)}"
    if isinstance(error, OverrideParseException):
        quoted = "\"key='a value'\""
        return f"cannot read {error.override!r}; a value with special characters: {quoted}"
    if "Ambiguous value" in str(error):
        quoted = "\"report.title='a, b'\""
        return (
            "several values: give a list, generator=[sitd,san], quote a text with commas, "
            f"{quoted}, or sweep over them with -m"
        )
    for group, message in NO_CHOICES.items():
        if str(error).startswith(f"Could not override '{group}'"):
            return message
    if twice := re.match(r"Multiple values for (\S+)\. To override", str(error)):
        return f"{twice[1]} is a setting already: leave out the + before it"
    cause = root_cause(error)
    if missing := re.search(r"interpolation: Missing mandatory value: (\S+)", str(cause)):
        return f"{missing[1]} is missing: give {missing[1]}=VALUE"
    if missing := re.search(r"Interpolation key '([^']+)' not found", str(cause)):
        return f"{missing[1]} is missing: add it to its file, or give +{missing[1]}=VALUE"
    appended = r"An item is already at '([^']+)'"
    if isinstance(cause, InterpolationResolutionError):  # of its old value
        appended = r"Error merging override \+([^+=]+)="
    if found := re.search(appended, str(error)):
        return f"{found[1]} is a setting already: leave out the + before it"
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        settings = cause.parent_node
        if cause.full_key and cause.key not in settings:
            match = re.search(r"Could not override '([^']+)'", str(error))
            if suggestion := suggest_key(match[1] if match else str(cause.full_key), settings):
                return f"no setting {cause.full_key!r}; did you mean {suggestion!r}?"
            groups = [] if "." in str(cause.full_key) else ["experiments"]
            names = [*map(str, settings), *groups]
            return f"no setting {cause.full_key!r}{suggest_choice(str(cause.key), names)}"
    where = place_of(error) if isinstance(error, InstantiationException) else ""
    return " ".join(f"{cause} {where}".split())


def root_cause(error: BaseException) -> BaseException:
    """Return the error that an exception of Hydra's was raised for, or `error` itself."""
    while isinstance(error, HydraException) and error.__cause__ is not None:
        error = error.__cause__
    return error


def place_of(error: BaseException) -> str:
    """Return the line of Hydra's that says which setting it could not instantiate, or ""."""
    return " ".join(line for line in str(error).splitlines() if line.startswith("full_key"))


def suggest_key(key: str, settings: DictConfig) -> str:
    """Return the only setting whose name ends in ".`key`", or "" for none or several."""
    names = _dotted_names(OmegaConf.to_container(settings, resolve=False))
    found = [name for name in names if name.endswith(f".{key}") and not name.startswith("hydra.")]
    return found[0] if len(found) == 1 else ""


def suggest_choice(wrong: str, names: Iterable[str]) -> str:
    """Return the end of a message: the name most like `wrong`, if any, and the list of names."""
    names = sorted(names)
    similar = difflib.get_close_matches(wrong, names, n=1)
    suggestion = f"; did you mean {similar[0]!r}?" if similar else "."
    return f"{suggestion} There are: {', '.join(names)}"


def describe_os_error(error: OSError, folder: Path | None = None) -> OSError:
    """Return what the system refused and what to do, for a run in `folder`.

    Raises:
        OSError: `error` itself, if the user cannot correct it.
    """
    path = error.filename or folder
    if error.errno in NO_SPACE:
        return OSError(f"no space left on the disk of {path}; make room")
    if error.errno in REFUSED and path:
        return OSError(f"{(error.strerror or 'refused').lower()}: {path}; {OTHER_FOLDERS}")
    raise error


def describe_start_error(error: Exception) -> Exception:
    """Return what prevented Hydra from composing, or from making the run's folder and its log.

    Raises:
        Exception: `error` itself, if it is another one.
    """
    if isinstance(error, UnicodeDecodeError) and (file := _config_file(error)):
        return GenspotError(f"{file} is not UTF-8: save it as UTF-8")
    if str(error).startswith("Config group override must be"):
        return GenspotError(
            "a group (task, data, aug, model, schedule, trainer, logger, callbacks, recipe, "
            "ablation) is null, or a number: name one of its choices, as in model=resnet18"
        )
    # logging raises a ValueError for a log file that cannot be opened.
    cause = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(cause, OSError):
        raise error
    # A file or a broken link in its place, or a name that is too long.
    if cause.errno in (errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG):
        return OSError(f"no folder can be made of {cause.filename}; {OTHER_FOLDERS}")
    return describe_os_error(cause)


def _config_file(error: Exception) -> str:
    """Return the file that Hydra was reading, which its error does not name; "" for none."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((str(names["full_path"]) for names in frames if "full_path" in names), "")


def describe_peer_loss(error: RuntimeError) -> GenspotError:
    """Return the error of a process that lost another one of its run.

    Raises:
        RuntimeError: `error` itself, if it is another one.
    """
    text = " ".join(str(error).split())
    if text.startswith("DataLoader worker"):
        return GenspotError(
            f"a process that reads images was lost ({text[:200]}); most often memory is short: "
            "fewer workers=N, or workers=0, take less"
        )
    if "gloo" not in text and not any(cls.__name__ == "DistError" for cls in type(error).__mro__):
        raise error
    return GenspotError(
        f"another process of this run was lost ({text[:200]}); if it was not killed, its own "
        "lines say why"
    )


def _dotted_names(settings: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all values in nested dicts, except references to other values."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _dotted_names(value, f"{prefix}{key}.")
    elif not str(settings).startswith("${"):
        yield prefix.rstrip(".")
