"""What a user got wrong, in one line: what is wrong, where, and the mend."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genspot.common.errors import GenspotError
from genspot.runtime import shutdown as signals
from genspot.common.errors import GenspotError
from genspot.common.errors import GenspotError

OWN_ERRORS = (GenspotError, GenspotError, GenspotError)
USERS_ERRORS = (
    *OWN_ERRORS,
    HydraException,
    OmegaConfBaseException,
    YAMLError,
)
JOINED = ("hydra.", "detector.", "datamodule.", "lightning.")  # which take from the choices
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
OTHER_PLACES = (
    "other places: hydra.run.dir=PATH for this run, paths.runs=PATH for all runs, "
    "paths.datasets=PATH for data"
)


def one_line(error: BaseException) -> str:
    """What is wrong, where, and the mend."""
    if isinstance(error, OmegaConfBaseException) and (own := own_error(error)):
        return str(own)
    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        # Hydra gives no options for a list of choices.
        known = error.options or [
            file.stem for file in Path(os.environ["GENSPOT_ROOT"], "conf", group).glob("*.yaml")
        ]
        return f"no {name!r} in {group or 'conf'}/{choices(name, known)}"
    if isinstance(error, OverrideParseException):
        quoted = "\"key='a value'\""
        return f"cannot read {error.override!r}; a value with special characters: {quoted}"
    if "Ambiguous value" in str(error):
        return "several values: give a list, generator=[sitd,san], or sweep over them with -m"
    cause: BaseException = error
    while isinstance(cause, HydraException) and cause.__cause__ is not None:
        cause = cause.__cause__
    where = ""
    if isinstance(error, InstantiationException) and not isinstance(cause, OWN_ERRORS):
        where = " ".join(line for line in str(error).splitlines() if line.startswith("full_key"))
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        parent = cause.parent_node
        known = list(parent) if isinstance(parent, DictConfig) else []
        if cause.key not in known and known:
            if whole := meant(str(cause.full_key), cause.parent_node):
                return f"no setting {cause.full_key!r}; did you mean {whole!r}?"
            groups = [] if "." in str(cause.full_key) else ["experiments"]
            return f"no setting {cause.full_key!r}{choices(str(cause.key), [*known, *groups])}"
    return " ".join(f"{cause} {where}".split())


def worded(error: OSError, folder: Path | None = None) -> OSError:
    """What a disk refused and the mend, of a run in `folder`; any other error as it is, raised."""
    place = error.filename or folder
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        again = f": the same command, into {folder}, goes on from the last checkpoint"
        return OSError(f"no space left on the disk of {place}; make room{again if folder else ''}")
    if error.errno in REFUSED and place:
        return OSError(f"{(error.strerror or 'refused').lower()}: {place}; {OTHER_PLACES}")
    raise error


def of_the_folder(error: Exception) -> BaseException:
    """What Hydra met when it made the run's folder and its log; any other error is raised."""
    # Of a log that cannot be opened, logging makes a ValueError.
    cause = error if isinstance(error, OSError) else error.__cause__
    if signals.INBOX.listening or not isinstance(cause, OSError):
        raise error
    if cause.errno in (errno.EEXIST, errno.ENOENT):  # a file or a broken link in its place
        return OSError(f"no folder can be made of {cause.filename}; {OTHER_PLACES}")
    return worded(cause)


def of_the_others(error: RuntimeError) -> BaseException:
    """What a process meets when another of its run is gone; any other error is raised."""
    text = str(error)
    if "gloo" not in text and not any(one.__name__ == "DistError" for one in type(error).__mro__):
        raise error
    return GenspotError(
        f"another process of this run was lost ({' '.join(text.split())[:200]}); if it was not "
        "killed, its own lines say why; the same command, into the same folder, goes on from the "
        "last checkpoint"
    )


def meant(start: str, settings: DictConfig) -> str:
    """The only setting whose name ends in the word that was typed, which begins with `start`."""
    typed = {word.split("=")[0] for word in sys.argv[1:]}
    wanted = [word for word in typed if word == start or word.startswith(f"{start}.")]
    known = list(dotted(OmegaConf.to_container(settings, resolve=False)))
    found = [name for name in known for word in wanted if name.endswith(f".{word}")]
    own = [name for name in found if not name.startswith(JOINED)]
    return own[0] if len(own) == 1 else ""


def dotted(settings: object, before: str = "") -> Iterator[str]:
    """The names of all values, as they are typed."""
    if not isinstance(settings, dict):
        yield before.rstrip(".")
        return
    for key, value in settings.items():
        yield from dotted(value, f"{before}{key}.")


def own_error(error: BaseException | None) -> BaseException | None:
    """Which of our own made a resolver fail; OmegaConf chains it more or less deep."""
    while error and not isinstance(error, OWN_ERRORS):
        error = error.__cause__ or error.__context__
    return error


def choices(wrong: str, known: object) -> str:
    """What was probably meant, and what there is."""
    names = sorted(map(str, known))  # type: ignore[call-overload]
    near = difflib.get_close_matches(wrong, names, n=1)
    return f"{f'; did you mean {near[0]!r}?' if near else '.'} There are: {', '.join(names)}"
