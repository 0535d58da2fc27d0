"""What is asked of SLURM."""

from __future__ import annotations

import os
import shutil
import subprocess

LIMIT_S = 60  # for an answer; the job that waits for it has its last minutes


def requeue() -> str:
    """Put this job into the queue again; what came of it, in words, or "" outside of SLURM."""
    job = os.environ.get("SLURM_JOB_ID")
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if not job:
        return ""
    if not shutil.which("scontrol"):
        return f", and job {job} was not requeued: no scontrol here"
    command = ["scontrol", "requeue", job]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f", and job {job} was not requeued: {error}"
    if result.returncode:
        return f", and job {job} was not requeued: {' '.join(result.stderr.split())}"
    return f", and job {job} is requeued"
