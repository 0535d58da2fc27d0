"""The name of a run's folder."""

from __future__ import annotations

import sys

import pytest

from genspot.common.errors import GenspotError
from genspot.runtime.run_id import run_id

SLURM = {"SLURM_JOB_ID": "17"}
ARRAY = {"SLURM_ARRAY_JOB_ID": "16", "SLURM_ARRAY_TASK_ID": "3"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "trial", "WORLD_SIZE": "2"}
VARIABLES = [*SLURM, *ARRAY, *TORCHRUN, "SLURM_JOB_NAME"]


@pytest.mark.parametrize(
    ("env", "start"),
    [
        (SLURM | {"SLURM_JOB_NAME": "genspot"}, "slurm-17-"),
        (SLURM | ARRAY, "slurm-16_3-"),
        (SLURM | TORCHRUN, "slurm-17-"),
        (TORCHRUN, "torchrun-trial-"),
        (SLURM | {"SLURM_JOB_NAME": "bash"}, "20"),
        ({"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1"}, "20"),
        ({}, "20"),
    ],
)
def test_run_id_names_the_job_and_its_command_or_the_time(
    env: dict[str, str], start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_id_of(*overrides: str) -> str:
        monkeypatch.setattr(sys, "argv", ["run.py", *overrides])
        return run_id()

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert run_id_of("seed=1").startswith(start)
    assert run_id_of("seed=1") != run_id_of("seed=2")
    assert (run_id_of("seed=1") == run_id_of("seed=1")) == (start != "20")


def test_run_id_of_ranks_without_a_common_name_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(GenspotError, match=r"--rdzv-id=NAME, or hydra\.run\.dir=PATH"):
        run_id()
