"""Which process of a run this is, before Lightning is imported."""

from __future__ import annotations

import os

# Set by torchrun, by Lightning's launcher, and by srun.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_rank_zero() -> bool:
    """Return whether this process is the only one of its run, or the first of several."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)
