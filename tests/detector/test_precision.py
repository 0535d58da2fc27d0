"""Precisions and numbers of processes that the machine does not have."""

from __future__ import annotations

import pytest
import torch

from genspot.common.errors import GenspotError
from genspot.detector.precision import check_processes, resolve_precision
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


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("32-true", "32-true"), (32, "32-true"), ("bf16", "bf16-mixed"), ("bf16-mixed",) * 2],
)
def test_precision_of_a_cpu_has_lightnings_name(choice: object, expected: str) -> None:
    assert resolve_precision(choice, "cpu") == expected


@pytest.mark.parametrize(
    "choice", ["16-true", "bf16-true", "64-true", 64, "hello", None, "transformer-engine", True]
)
def test_precision_without_float32_weights_is_refused(choice: object) -> None:
    for accelerator in ("cpu", "auto"):
        with pytest.raises(GenspotError, match=f"precision={choice}: choose auto, 32-true, bf16"):
            resolve_precision(choice, accelerator)


def test_float16_on_a_cpu_is_refused() -> None:
    """Lightning takes bfloat16 instead, with a warning."""
    with pytest.raises(GenspotError, match=r"16-mixed needs a GPU"):
        resolve_precision("16-mixed", "cpu")


@pytest.mark.parametrize(
    ("amx", "wrong", "expected"),
    [(True, None, "bf16-mixed"), (True, "conv1", "32-true"), (False, None, "32-true")],
)
def test_auto_is_bfloat16_on_a_cpu_with_amx_where_it_is_right(
    amx: bool, wrong: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    capabilities = {"avx512_bf16": True, "amx_bf16": amx}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", "cpu", wrong) == expected


def test_auto_is_float32_on_a_cpu_whose_capabilities_are_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert resolve_precision("auto", "cpu") == "32-true"


def test_bfloat16_with_a_wrong_gradient_is_refused() -> None:
    with pytest.raises(GenspotError, match=r"wrong gradient of layer4\.0\.conv1 in bfloat16"):
        resolve_precision("bf16-mixed", "cpu", "layer4.0.conv1")
