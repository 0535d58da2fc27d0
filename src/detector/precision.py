"""What the machine can do."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from omegaconf import DictConfig

from genspot.common.errors import GenspotError


def precision(choice: str, accelerator: str) -> str:
    """Lightning's name of the precision to train in; "auto" is bfloat16 only where it is fast.

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


def describe(cfg: DictConfig, precision: str) -> str:
    """What a training step is made of, in words."""
    words = [
        f"precision {precision}",
        "channels last" if cfg.trainer.channels_last else "channels first",
        f"{'fused ' if cfg.schedule.optimizer.get('fused') else ''}"
        f"{cfg.schedule.optimizer._target_.rpartition('.')[2]}",
        "compiled" if cfg.trainer.compile else "not compiled",
    ]
    return ", ".join(words)


def exact_float32() -> None:
    """Keep CUDA from rounding the factors of float32 products to TF32 in evaluation."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def refuse_misfits(trainer: pl.Trainer, sync_batchnorm: bool) -> None:
    """Refuse what would only fail, or train apart, after all processes have started.

    Raises:
        GenspotError: torchrun or SLURM started another number of processes than `trainer` is
            told of, or batch norms are to be synchronised on CPUs.
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
