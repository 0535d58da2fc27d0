"""A run's folder: a name on which all its processes agree, and a lock."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from genspot.common.errors import GenspotError

LOCK = ".lock"
# Who is which: of torchrun, of Lightning, of srun. Lightning itself is not asked, for run.py
# locks before it imports it.
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def first() -> bool:
    """Whether this process is the only one of its run, or the first of several."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


@functools.cache
def stamp() -> str:
    """The beginning of a run folder's name, the same on all processes of the run.

    That of a batch job of SLURM stays when the job is requeued. Several runs of one job differ in
    their command lines, of which six digits of a hash are kept.

    Raises:
        GenspotError: this is one process of several, and nothing tells them a common name.
    """
    words = "\0".join(sys.argv[1:]).encode(errors="surrogateescape")
    digits, known = hashlib.sha256(words).hexdigest()[:6], os.environ
    # In a shell on a node, the same command again may well mean another run.
    if "SLURM_JOB_ID" in known and known.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        job = known["SLURM_JOB_ID"]
        if "SLURM_ARRAY_JOB_ID" in known:
            job = f"{known['SLURM_ARRAY_JOB_ID']}_{known['SLURM_ARRAY_TASK_ID']}"
        return f"slurm-{job}-{digits}"
    rendezvous = known.get("TORCHELASTIC_RUN_ID", "none")  # none: torchrun without --rdzv-id
    if rendezvous != "none":
        return f"torchrun-{rendezvous}-{digits}"
    if int(known.get("WORLD_SIZE", "1")) > 1:
        raise GenspotError(
            "the processes of this run know no common name for its folder; give one: "
            "torchrun --rdzv-id=NAME, or hydra.run.dir=PATH"
        )
    return f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{secrets.token_hex(2)}"


# On import, for the processes of a launcher know of run.py no more than they unpickle. The value
# is kept in the configuration, so that all jobs of a sweep have the folder of its first moment.
OmegaConf.register_new_resolver("stamp", stamp, use_cache=True, replace=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder`; the first process of a run does it for all.

    Raises:
        GenspotError: another is at work there.
    """
    with contextlib.ExitStack() as stack:
        if first():
            try:
                stack.enter_context(FileLock(folder / LOCK).acquire(timeout=0))
            except Timeout:
                raise GenspotError(
                    f"another run is at work in {folder}; wait for it, or name another folder"
                ) from None
            except OSError:
                pass  # where nobody may write: a finished run that is looked at
        yield
