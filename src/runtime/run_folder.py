"""A run's folder: its name, its lock, its configuration, and whether it holds the results."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from genspot.common import run_files
from genspot.common.errors import GenspotError
from genspot.common.files import write_text
from genspot.common.ranks import is_rank_zero

LOCK = ".lock"
EXPORTS = ("results.csv", "results.md", "results.tex")


@functools.cache
def run_id() -> str:
    """Return the beginning of a run folder's name, the same on all processes of the run.

    In a batch job of SLURM it stays the same when the job is requeued. Several runs in one job
    differ in their command lines, of which six digits of a hash are kept.

    Raises:
        GenspotError: this is one process of several, and they have no common name.
    """
    command_line = "\0".join(sys.argv[1:]).encode(errors="surrogateescape")
    digits, env = hashlib.sha256(command_line).hexdigest()[:6], os.environ
    # In a shell on a node of SLURM, the same command may well mean another run.
    if "SLURM_JOB_ID" in env and env.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        job = env["SLURM_JOB_ID"]
        if "SLURM_ARRAY_JOB_ID" in env:
            job = f"{env['SLURM_ARRAY_JOB_ID']}_{env['SLURM_ARRAY_TASK_ID']}"
        return f"slurm-{job}-{digits}"
    rendezvous = env.get("TORCHELASTIC_RUN_ID", "none")  # none: torchrun without --rdzv-id
    if rendezvous != "none":
        return f"torchrun-{rendezvous}-{digits}"
    if int(env.get("WORLD_SIZE", "1")) > 1:
        raise GenspotError(
            "the processes of this run have no common name for its folder; give one: "
            "torchrun --rdzv-id=NAME, or hydra.run.dir=PATH"
        )
    return f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{secrets.token_hex(2)}"


@contextlib.contextmanager
def lock_run_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder`; the first process of a run locks it for all.

    Raises:
        GenspotError: another run has locked it.
    """
    with contextlib.ExitStack() as stack:
        if is_rank_zero():
            try:
                stack.enter_context(FileLock(folder / LOCK).acquire(timeout=0))
            except Timeout:
                raise GenspotError(
                    f"another run is at work in {folder}; wait for it, or name another folder"
                ) from None
            except OSError:
                pass  # the folder of a finished run may be read-only
        yield


def save_config(folder: Path, config_text: str, resume: str) -> None:
    """Save the configuration as config.yaml and remove stale results, on the first process.

    Args:
        folder: the run's folder; it is made if it does not exist.
        config_text: the composed configuration as YAML, without the setting `resume`.
        resume: "auto" keeps the checkpoints of an interrupted training, "never" removes them.

    Raises:
        GenspotError: `folder` holds results, a prediction or an interrupted training of another
            configuration.
    """
    if not is_rank_zero():
        return
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / run_files.CONFIG
    existing = config.read_text(encoding="utf-8") if config.is_file() else config_text
    contents = {run_files.METRICS: "a finished run", run_files.PREDICTIONS: "a prediction"}
    checkpoints = (run_files.LAST_CHECKPOINT, run_files.PREVIOUS_CHECKPOINT)
    if resume == "auto":
        contents |= dict.fromkeys(checkpoints, "an interrupted training")
    for name, content in contents.items():
        if (folder / name).is_file() and existing != config_text:
            raise GenspotError(
                f"{folder} holds {content} with other settings; remove it, or name another "
                "folder: hydra.run.dir=PATH"
            )
    stale = [
        run_files.REPORT,
        run_files.METRICS,
        run_files.SCORES,
        run_files.VALIDATION_SCORES,
        *EXPORTS,
    ]
    if resume == "never":
        stale += [*checkpoints, run_files.BEST_CHECKPOINT]
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    write_text(config_text, config)


def load_if_complete(
    folder: Path, config_text: str, resume: str, newer_than: Path | None = None
) -> dict[str, Any] | None:
    """Return the content of metrics.json if `folder` holds a complete run of this configuration.

    Args:
        folder: the run's folder.
        config_text: the composed configuration as YAML, without the setting `resume`.
        resume: with "never" the result is None, because the run is to be repeated.
        newer_than: the checkpoint of a test, which its results must be newer than; None for a
            training, which writes its own.
    """
    config, metrics = folder / run_files.CONFIG, folder / run_files.METRICS
    required = [config, metrics, folder / run_files.SCORES, folder / run_files.REPORT]
    if newer_than is None:
        required.append(folder / run_files.BEST_CHECKPOINT)
    if resume == "never" or not all(file.is_file() for file in required):
        return None
    if newer_than and newer_than.stat().st_mtime_ns > metrics.stat().st_mtime_ns:
        return None
    if config.read_text(encoding="utf-8") != config_text:
        return None
    content: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
    return content
