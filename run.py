#!/usr/bin/env python3
"""Compose the configuration, isolate the jobs of a sweep, and hand over to a task."""

from __future__ import annotations

import difflib
import errno
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))
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
from detector.reuse import finished  # noqa: E402


class SweepError(Exception):
    """Jobs of a sweep failed; each has said why."""


def register_studies() -> None:
    """Make the files of experiments/ choices of the group `experiments`, beside those of conf/."""
    for file in sorted((ROOT / "experiments").glob("*.yaml")):
        ConfigStore.instance().store(
            group="experiments", name=file.stem, node=OmegaConf.load(file), package="_global_"
        )


OWN_ERRORS = (DataError, DetectorError, SweepError)
USERS_ERRORS = (
    *OWN_ERRORS,
    HydraException,
    OmegaConfBaseException,
    YAMLError,
)


@dataclass
class Sweep:
    """What came of a sweep's jobs."""

    folder: Path | None = None
    failed: list[str] = field(default_factory=list)

    def end(self) -> None:
        """Report on all jobs that have results; then say which have none.

        Raises:
            SweepError: some failed.
        """
        if self.folder and any(self.folder.glob("*/metrics.json")):
            words = ["task=report", f"runs=['{self.folder}']", "hydra.mode=RUN"]
            words += [f"hydra.run.dir='{self.folder}'"]
            subprocess.run([sys.executable, str(ROOT / "run.py"), *words], check=False)
        if self.failed:
            raise SweepError("; ".join(self.failed))


SWEEP = Sweep()


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def run(cfg: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return isolate(cfg)
    try:
        hydra.utils.get_method(cfg.task.run)(cfg)
    except USERS_ERRORS as error:
        remove_if_empty(Path(HydraConfig.get().runtime.output_dir))
        give_up(error)  # here, where Hydra does not add lines of its own
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        folder = HydraConfig.get().runtime.output_dir
        give_up(
            OSError(
                f"no space left on the disk of {error.filename or folder}; make room: the same "
                f"command, into {folder}, goes on from the last checkpoint"
            )
        )


def isolate(cfg: DictConfig) -> None:
    """Run this job of a sweep as a plain run in a process of its own; finished ones not again.

    In the sweep's process, a strategy that starts this script again on every device would start
    the whole sweep again; and what one job leaves behind would reach the next.
    """
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    SWEEP.folder = Path(job.sweep.dir).absolute()
    if cfg.task.name == "train" and finished(folder, cfg):
        print(f"job {job.job.num} is already done: {folder}")
        return
    command = [sys.executable, str(ROOT / "run.py"), *job.overrides.task]
    command += ["hydra.mode=RUN", f'hydra.run.dir="{folder}"']
    code = subprocess.run(command, check=False).returncode
    if code:
        SWEEP.failed.append(f"job {job.job.num} failed with exit code {code}: {folder}")


def one_line(error: BaseException) -> str:
    """What is wrong, where, and the mend."""
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


def remove_if_empty(folder: Path) -> None:
    """Leave no folder behind for a run that never began."""
    left = list(folder.iterdir())
    if all(file.name == "genspot.log" and not file.stat().st_size for file in left):
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


def main() -> NoReturn:
    register_studies()
    try:
        run()
        SWEEP.end()
    except USERS_ERRORS as error:
        give_up(error)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
