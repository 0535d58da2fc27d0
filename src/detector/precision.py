"""Numerical precision, and what the machine supports."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from genspot.common.errors import GenspotError


def resolve_precision(choice: str, accelerator: str) -> str:
    """Return Lightning's name of the precision to train in; "auto" is bfloat16 where it is fast.

    Args:
        choice: "auto", or a precision of Lightning, which is returned as it is.
        accelerator: Lightning's accelerator, "auto" included.
    """
    if choice != "auto":
        return choice
    if torch.cuda.is_available() and accelerator != "cpu":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif torch.backends.mps.is_available() and accelerator != "cpu":
        fast = False  # not measured
    else:
        cpu = torch.cpu.get_capabilities()
        fast = bool(cpu.get("amx_bf16") or cpu.get("avx512_bf16"))
    return "bf16-mixed" if fast else "32-true"


def exact_float32() -> None:
    """Switch off TF32, which rounds the factors of float32 products on CUDA devices."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def check_processes(trainer: pl.Trainer, sync_batchnorm: bool) -> None:
    """Check what would only fail after all processes have started.

    Raises:
        GenspotError: torchrun or SLURM started another number of processes than `trainer`
            expects, or batch norms are to be synchronised on CPUs.
    """
    for launched in (TorchElasticEnvironment, SLURMEnvironment):  # Lightning's own order
        if not launched.detect():
            continue
        try:
            launched().validate_settings(trainer.num_devices, trainer.num_nodes)
        except (ValueError, RuntimeError) as error:
            raise GenspotError(
                f"{error} trainer.devices (processes a machine) and trainer.num_nodes (machines) "
                "must say what was started; trainer=ddp or ddp_cpu"
            ) from error
        break
    if sync_batchnorm and trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        raise GenspotError(
            "trainer.sync_batchnorm=true: PyTorch's SyncBatchNorm needs GPUs; leave it false on "
            "CPUs, where each process normalises over its own share"
        )
