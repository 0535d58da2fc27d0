"""Commands for a shell that continue a run or a sweep."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from genspot.runtime.run_id import is_batch_job


def how_to_continue(setting: str, folder: Path) -> str:
    """Return the command that continues what is in `folder`, as the user typed it.

    Without `resume=never`, which would begin it again.

    Args:
        setting: "hydra.run.dir", or "hydra.sweep.dir" for a sweep.
        folder: of the run or the sweep.
    """
    override = f"{setting}={quoted(folder)}"
    if is_batch_job():  # srun or torchrun started this process, with a command of their own
        return f"the same command in the same job, or with {shlex.quote(override)}"
    program, arguments = _typed_command()
    pattern = rf"\+*({re.escape(setting)}=|resume=['\"]?never)"
    others = [argument for argument in arguments if not re.match(pattern, argument)]
    return shlex.join([*program, *others, override])


def quoted(path: Path | str) -> str:
    """Return `path` as the value of an override in Hydra's grammar."""
    text = str(path)
    if re.fullmatch(r"[A-Za-z0-9_/.-]+", text):
        return text
    return QuotedString(text.replace("${", "\\${"), Quote.double).with_quotes()


def _typed_command() -> tuple[list[str], list[str]]:
    """Return the program and the arguments of this process."""
    count = len(sys.argv) - 1
    program = sys.orig_argv[: len(sys.orig_argv) - count]
    arguments = sys.orig_argv[len(program) :]
    if len(program) < 2 or (program[-1] != sys.argv[0] and program[-2] != "-m"):
        program, arguments = [sys.executable, sys.argv[0]], sys.argv[1:]  # a forked process
    script = program[-1]
    if program[-2] != "-m" and not script.endswith(".py"):  # the command that pip installs
        found = shutil.which(Path(script).name)
        name = Path(script).name if found and os.path.samefile(found, script) else script
        program = [name]
    return program, arguments
