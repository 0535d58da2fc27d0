"""Numbers of processes that the machine does not have."""

from __future__ import annotations

import pytest

from genspot.common.errors import GenspotError
from genspot.detector.precision import check_processes
from helpers.detectors import make_trainer


@pytest.mark.parametrize(
    "environment",
    [
        {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"},
        {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
        | {"SLURM_JOB_NAME": "x", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
    ],
    ids=["torchrun", "slurm"],
)
def test_other_number_of_started_processes_is_refused(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GenspotError, match=r"trainer\.devices"):
        check_processes(make_trainer(devices=1), sync_batchnorm=False)
    check_processes(make_trainer(devices=2, strategy="ddp"), sync_batchnorm=False)


def test_synchronised_batch_norm_on_cpus_is_refused() -> None:
    check_processes(make_trainer(devices=1), sync_batchnorm=True)
    with pytest.raises(GenspotError, match=r"trainer\.sync_batchnorm=true: .* needs GPUs"):
        check_processes(make_trainer(devices=2, strategy="ddp"), sync_batchnorm=True)
