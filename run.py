#!/usr/bin/env python3
"""Compose the configuration, isolate the jobs of a sweep, and hand over to a task."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))
# The processes of a sweep's launcher find there what they unpickle.
known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [sys.path[0], *known])))
os.environ["GENSPOT_ROOT"] = str(ROOT)
os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come to main(), which words them
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # no call home on import

import hydra  # noqa: E402
from hydra.core.config_store import ConfigStore  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from hydra.errors import (  # noqa: E402
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402
from omegaconf.errors import OmegaConfBaseException  # noqa: E402
from yaml import YAMLError  # noqa: E402

from data.errors import DataError  # noqa: E402
from detector.errors import DetectorError  # noqa: E402
from launch import sweeps  # noqa: E402
from launch.errors import LaunchError  # noqa: E402
from launch.folders import LOCK, alone  # noqa: E402


def register_studies() -> None:
    """Make the files of experiments/ choices of the group `experiments`, beside those of conf/."""
    for file in sorted((ROOT / "experiments").glob("*.yaml")):
        ConfigStore.instance().store(
            group="experiments", name=file.stem, node=OmegaConf.load(file), package="_global_"
        )


OWN_ERRORS = (DataError, DetectorError, LaunchError)
USERS_ERRORS = (
    *OWN_ERRORS,
    HydraException,
    OmegaConfBaseException,
    YAMLError,
)


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def run(cfg: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return sweeps.isolate(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with alone(folder):
            work(cfg, folder)
    except LaunchError as error:
        give_up(error)


def work(cfg: DictConfig, folder: Path) -> None:
    try:
        hydra.utils.get_method(cfg.task.run)(cfg)
    except USERS_ERRORS as error:
        remove_if_empty(folder)
        give_up(error)  # here, where Hydra does not add lines of its own
    except OSError as error:
        give_up(worded(error, folder))


def worded(error: OSError, folder: Path | None = None) -> OSError:
    """What a disk refused and the mend, of a run in `folder`; any other error as it is, raised."""
    place = error.filename or folder
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        again = f": the same command, into {folder}, goes on from the last checkpoint"
        return OSError(f"no space left on the disk of {place}; make room{again if folder else ''}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR) and place:
        return OSError(
            f"{(error.strerror or 'refused').lower()}: {place}; other places: hydra.run.dir=PATH "
            "for this run, paths.runs=PATH for all runs, paths.datasets=PATH for data"
        )
    raise error


def one_line(error: BaseException) -> str:
    """What is wrong, where, and the mend."""
    if isinstance(error, OmegaConfBaseException) and (own := own_error(error)):
        return str(own)
    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        # Hydra gives no options for a list of choices.
        known = error.options or [file.stem for file in (ROOT / "conf" / group).glob("*.yaml")]
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
            return f"no setting {cause.full_key!r}{choices(str(cause.key), map(str, known))}"
    return " ".join(f"{cause} {where}".split())


def own_error(error: BaseException | None) -> BaseException | None:
    """Which of our own made a resolver fail; OmegaConf chains it more or less deep."""
    while error and not isinstance(error, OWN_ERRORS):
        error = error.__cause__ or error.__context__
    return error


def remove_if_empty(folder: Path) -> None:
    """Leave no folder behind for a run that never began."""
    left = list(folder.iterdir())
    empty = ("genspot.log", LOCK)
    if all(file.name in empty and not file.stat().st_size for file in left):
        for file in left:
            file.unlink()
        folder.rmdir()


def give_up(error: BaseException) -> NoReturn:
    """End with one line, or with the traceback where GENSPOT_TRACEBACK is set."""
    if os.environ.get("GENSPOT_TRACEBACK"):
        raise error
    print(f"genspot: {one_line(error)}", file=sys.stderr)
    sys.exit(getattr(error, "exit_code", 1))


def choices(wrong: str, known: object) -> str:
    """What was probably meant, and what there is."""
    names = sorted(map(str, known))  # type: ignore[call-overload]
    near = difflib.get_close_matches(wrong, names, n=1)
    return f"{f'; did you mean {near[0]!r}?' if near else '.'} There are: {', '.join(names)}"


def run_or_lose() -> Exception | None:
    """What went wrong in a sweep's launcher: jobs may have ended well all the same."""
    try:
        run()
    except Exception as error:
        if isinstance(error, USERS_ERRORS) or not sweeps.CURRENT:
            raise
        return error
    return None


def main() -> NoReturn:
    register_studies()
    sweeps.ignore_requests_to_requeue()
    try:
        sweeps.end_sweep(lost=run_or_lose())
    except USERS_ERRORS as error:
        give_up(error)
    except OSError as error:  # of Hydra, which makes the run's folder
        give_up(worded(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
