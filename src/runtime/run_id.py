"""The name of a run's folder, and whether a batch job gives it."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time

from genspot.common.errors import GenspotError


def run_id() -> str:
    """Return the beginning of a run folder's name, the same on all processes of the run.

    In a batch job of SLURM it stays the same when the job is requeued. Several runs in one job
    differ in their command lines, of which six digits of a hash are kept.

    Raises:
        GenspotError: this is one process of several, and they have no common name.
    """
    command_line = "\0".join(sys.argv[1:]).encode(errors="surrogateescape")
    digits, env = hashlib.sha256(command_line).hexdigest()[:6], os.environ
    if _in_slurm_job():
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


def is_batch_job() -> bool:
    """Return whether a batch job of SLURM or torchrun started this process."""
    return _in_slurm_job() or "TORCHELASTIC_RUN_ID" in os.environ


def _in_slurm_job() -> bool:
    # In a shell on a node of SLURM, the same command may well mean another run.
    shells = ("bash", "interactive")
    return "SLURM_JOB_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in shells
